//! Several generations of one model advance together and come out as if alone.

use crate::memory::{Memory, families, greedy, rest};
use chord_engine::{Event, LoadOptions, Prompt};

const PROMPTS: [&[u32]; 3] = [&[1, 20, 300, 44, 5], &[1, 7], &[1, 99, 98, 97, 96, 95, 94, 93, 92]];

#[test]
fn interleaved_generations_equal_lone_ones() {
    for name in families() {
        let host = Memory::model(&name);
        let alone = host.load(&LoadOptions::default()).unwrap();
        let expected: Vec<_> = PROMPTS
            .iter()
            .map(|p| {
                let session = alone.open().unwrap();
                rest(&mut session.generate(&Prompt::Tokens(p.to_vec()), &greedy(20)).unwrap())
            })
            .collect();
        let model = host.load(&LoadOptions { sessions: Some(3), ..Default::default() }).unwrap();
        let sessions: Vec<_> = PROMPTS.iter().map(|_| model.open().unwrap()).collect();
        let generation = |(s, p): (&chord_engine::Session<_>, &&[u32])| {
            s.generate(&Prompt::Tokens(p.to_vec()), &greedy(20)).unwrap()
        };
        let mut generations: Vec<_> = sessions.iter().zip(&PROMPTS).map(generation).collect();
        host.steps.borrow_mut().clear();
        let found: Vec<_> = generations.iter_mut().map(rest).collect();
        assert_eq!(found, expected, "{name}");
        let steps = host.steps.borrow();
        assert_eq!(steps[0], PROMPTS.iter().map(|p| p.len()).sum::<usize>(), "all prompts in one step");
        assert_eq!(&steps[1..], [3; 19], "one token of each in every step");
    }
}

#[test]
fn a_long_prompt_is_cut_into_steps_while_others_go_on() {
    let host = Memory::model("tiny-llama-f32.gguf");
    let options = LoadOptions { sessions: Some(2), step_tokens: Some(16), ..Default::default() };
    let model = host.load(&options).unwrap();
    let (first, second) = (model.open().unwrap(), model.open().unwrap());
    let mut one = first.generate(&Prompt::Tokens(vec![1, 2, 3]), &greedy(8)).unwrap();
    one.advance().unwrap();
    let long: Vec<u32> = (0..40).map(|i| 1 + i % 50).collect();
    let mut two = second.generate(&Prompt::Tokens(long.clone()), &greedy(4)).unwrap();
    host.steps.borrow_mut().clear();
    let found = rest(&mut two);
    assert_eq!(&host.steps.borrow()[..4], [16, 16, 11, 2], "15 of the prompt beside the other's token");
    let alone = host.load(&LoadOptions::default()).unwrap();
    let session = alone.open().unwrap();
    assert_eq!(found, rest(&mut session.generate(&Prompt::Tokens(long), &greedy(4)).unwrap()));
    let waiting = one.advance().unwrap();
    assert!(waiting.len() > 1, "tokens of the other steps were kept: {waiting:?}");
    assert!(waiting.iter().all(|e| matches!(e, Event::Token(_))));
}

#[test]
fn a_dropped_generation_leaves_the_others_alone() {
    let host = Memory::model("tiny-llama-f32.gguf");
    let model = host.load(&LoadOptions { sessions: Some(2), ..Default::default() }).unwrap();
    let (a, b) = (model.open().unwrap(), model.open().unwrap());
    let mut one = a.generate(&Prompt::Tokens(PROMPTS[0].to_vec()), &greedy(10)).unwrap();
    let two = b.generate(&Prompt::Tokens(PROMPTS[1].to_vec()), &greedy(10)).unwrap();
    one.advance().unwrap();
    drop(two);
    drop(b);
    let found = rest(&mut one).0;
    let alone = host.load(&LoadOptions::default()).unwrap().open().unwrap();
    let expected = rest(&mut alone.generate(&Prompt::Tokens(PROMPTS[0].to_vec()), &greedy(10)).unwrap()).0;
    assert_eq!(found, expected[expected.len() - found.len()..]);
}
