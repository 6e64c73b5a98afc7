//! How generations end, and what they report.

use crate::memory::{Memory, bytes, greedy, rest};
use chord_engine::{Event, FinishReason, GenerateOptions, LoadOptions, Prompt};

const STORY: &str = "Once upon a time";

#[test]
fn tokens_run_out() {
    let model = Memory::model("tiny-llama-f32.gguf").load(&LoadOptions::default()).unwrap();
    for n in [0, 1, 5] {
        let session = model.open().unwrap();
        let (ids, _, reason) = rest(&mut session.generate(&Prompt::Tokens(vec![1, 2]), &greedy(n)).unwrap());
        assert_eq!((ids.len() as u32, reason), (n, FinishReason::Length));
    }
}

#[test]
fn the_context_runs_out() {
    let host = Memory::model("tiny-llama-f32.gguf");
    let model = host.load(&LoadOptions { context_size: Some(20), ..Default::default() }).unwrap();
    let session = model.open().unwrap();
    let options = GenerateOptions { max_tokens: None, ..greedy(0) };
    let (ids, _, reason) = rest(&mut session.generate(&Prompt::Tokens(vec![1, 2, 3]), &options).unwrap());
    assert_eq!((ids.len(), reason), (17, FinishReason::ContextFull));
    assert_eq!(session.len(), 20);
}

#[test]
fn a_stop_text_is_cut_off_wherever_tokens_end() {
    let model = Memory::model("demo-stories-3.7M-f32.gguf").load(&LoadOptions::default()).unwrap();
    let generate = |stop: &[&str]| {
        let options = GenerateOptions { stop: stop.iter().map(|s| s.to_string()).collect(), ..greedy(40) };
        rest(&mut model.open().unwrap().generate(&Prompt::Text(STORY.into()), &options).unwrap())
    };
    let (_, text, _) = generate(&[]);
    // Within words, over words, one that never comes.
    for (from, to) in [(10, 13), (20, 35), (31, 32)] {
        let stop = &text[from..to];
        let (_, cut, reason) = generate(&["never here", stop]);
        assert_eq!(reason, FinishReason::Stop, "{stop:?} in {text:?}");
        assert_eq!(cut, text[..text.find(stop).unwrap()], "{stop:?}");
    }
    let (_, held_back, reason) = generate(&[&format!("{}!?", &text[text.len() - 4..])]);
    assert_eq!(
        (held_back, reason),
        (text, FinishReason::Length),
        "a stop text that begins at the end is given out"
    );
}

#[test]
fn the_prompt_is_counted_and_its_cached_part_too() {
    let model = Memory::model("tiny-llama-f32.gguf").load(&LoadOptions::default()).unwrap();
    let session = model.open().unwrap();
    session.append(&[1, 2, 3]).unwrap();
    let mut generation = session.generate(&Prompt::Tokens(vec![4, 5]), &greedy(1)).unwrap();
    let events = generation.advance().unwrap();
    let Event::PromptDone(usage) = events[0] else { panic!("{events:?}") };
    assert_eq!((usage.prompt_tokens, usage.cached_tokens), (5, 3));
    let Some(Event::Finish(finish)) = events.last() else { panic!("{events:?}") };
    assert_eq!(finish.usage.completion_tokens, 1);
}

#[test]
fn logprobs_are_those_of_the_logits() {
    let model = Memory::model("tiny-llama-f32.gguf").load(&LoadOptions::default()).unwrap();
    let prompt = vec![1, 40, 41, 42];
    let logits = model.open().unwrap().evaluate(&prompt, &[3]).unwrap();
    let sum: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
    let options = GenerateOptions { logprobs: true, ..greedy(1) };
    let session = model.open().unwrap();
    let mut generation = session.generate(&Prompt::Tokens(prompt), &options).unwrap();
    let events = generation.advance().unwrap();
    let token = events.iter().find_map(|e| match e {
        Event::Token(t) => Some(t),
        _ => None,
    });
    let token = token.expect("a token");
    let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
    assert_eq!(token.id as usize, best);
    let expected = f64::from(logits[best]) - sum.ln();
    assert!((f64::from(token.logprob.expect("asked for")) - expected).abs() < 1e-4);
}

#[test]
fn a_seed_decides() {
    let model = Memory::model("tiny-llama-f32.gguf").load(&LoadOptions::default()).unwrap();
    let generate = |seed| {
        let mut options = greedy(20);
        options.sampler.temperature = 1.0;
        options.sampler.seed = seed;
        rest(&mut model.open().unwrap().generate(&Prompt::Tokens(vec![1]), &options).unwrap()).0
    };
    assert_eq!(generate(3), generate(3));
    assert_ne!(generate(3), generate(4));
}

#[test]
fn not_a_number_ends_the_generation_and_says_so() {
    let mut bytes = bytes("tiny-llama-f32.gguf");
    let gguf = chord_gguf::Gguf::parse(&bytes, "tiny").unwrap();
    let norm = gguf.tensor("output_norm.weight").unwrap();
    let at = norm.offset as usize;
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let model = Memory::of("model.gguf", bytes).load(&LoadOptions::default()).unwrap();
    let session = model.open().unwrap();
    let (ids, text, reason) = rest(&mut session.generate(&Prompt::Tokens(vec![1, 2]), &greedy(5)).unwrap());
    assert_eq!((ids.len(), text.as_str(), reason), (0, "", FinishReason::InvalidLogits));
}
