//! Special tokens in text, and around it.

use crate::data::{metadata, strings, tokenizer};
use chord_gguf::{Array, Metadata, Value};
use chord_tokenizer::Tokenizer;

#[test]
fn are_recognised_only_on_request() {
    let t = tokenizer("llama-bpe");
    let text = "<|begin_of_text|>Hi<|eot_id|>";
    let parsed = t.encode(text, false, true);
    assert_eq!((parsed[0], *parsed.last().unwrap(), parsed.len()), (128_000, 128_009, 3));
    let plain = t.encode(text, false, false);
    assert!(plain.len() > 3 && plain.iter().all(|&id| !t.is_control(id)), "{plain:?}");
    assert_eq!(t.decode(&parsed, false), b"Hi");
    assert_eq!(t.decode(&parsed, true), text.as_bytes());
}

#[test]
fn begin_and_end_as_the_model_says() {
    let t = tokenizer("llama-bpe");
    assert_eq!((t.bos(), t.encode("", true, false)), (Some(128_000), vec![128_000]));
    assert!(t.is_end_of_generation(128_009), "<|eot_id|>");
    assert!(!t.is_end_of_generation(0));
    let t = tokenizer("gpt-2");
    assert_eq!(t.encode("", true, false), [], "GPT-2 has none");
    assert!(t.is_end_of_generation(50_256));
    let t = tokenizer("llama-spm");
    assert_eq!(t.encode("Hi", true, false)[0], 1);
}

#[test]
fn phi_3_tokens_take_white_space_along() {
    let t = tokenizer("phi-3");
    let user = t.encode("<|user|>", false, true);
    assert_eq!(user.len(), 1);
    assert_eq!(t.encode("<|user|>\n Hi", false, true), t.encode("<|user|>Hi", false, true));
}

/// A, B, AB and three special tokens of which one begins another.
fn small() -> Metadata {
    let tokens = ["A", "B", "AB", "<a>", "<a><b>", "<user>"];
    crate::data::pairs([
        ("tokenizer.ggml.model", Value::String("gpt2".into())),
        ("tokenizer.ggml.pre", Value::String("gpt-2".into())),
        ("tokenizer.ggml.tokens", strings(tokens)),
        ("tokenizer.ggml.token_type", Value::Array(Array::I32(vec![1, 1, 1, 3, 3, 4]))),
        ("tokenizer.ggml.merges", strings(["A B"])),
    ])
}

#[test]
fn the_longest_wins_and_user_defined_ones_always_count() {
    let t = Tokenizer::from_gguf(&small()).unwrap();
    assert_eq!(t.encode("A<a><b>B<a>AB", false, true), [0, 4, 1, 3, 2]);
    assert_eq!(t.encode("A<user>B", false, false), [0, 5, 1]);
    assert_eq!(t.encode("<a>", false, false), [0u32; 0], "bytes that the vocabulary lacks are left out");
    assert_eq!(t.encode("AAB", false, false), [0, 2]);
}

#[test]
fn typed_characters_are_in_no_control_token() {
    let t = Tokenizer::from_gguf(&small()).unwrap();
    let text = "A<a>B<a><b>A<user><a>";
    assert_eq!(t.encode_prompt(text, &[]), [0, 3, 1, 4, 0, 5, 3]);
    assert_eq!(t.encode_prompt(text, &[1]), [0, 1, 4, 0, 5, 3], "the first <a> is text");
    assert_eq!(t.encode_prompt(text, &[10]), [0, 3, 1, 3, 0, 5, 3], "not <a><b>, but <a> before it");
    assert_eq!(t.encode_prompt(text, &[1, 5, 13, 18]), [0, 1, 0, 5], "user-defined tokens are text");
    assert_eq!(t.control_starts(text), [1, 5, 18]);
    assert_eq!(t.control_starts("<<a><a"), [1]);
    assert_eq!(t.control_edges(), ['<', '>'].into());
}

#[test]
fn what_is_typed_gets_the_ids_of_plain_text() {
    for name in ["llama-bpe", "llama-spm", "phi-3", "qwen2", "gemma-4"] {
        let t = tokenizer(name);
        let controls = (0..t.vocab_size() as u32).filter(|&id| t.is_control(id));
        let text: String = controls.filter_map(|id| Some(format!("{} x", t.token_text(id)?))).collect();
        let mut plain = t.encode(&text, false, false);
        plain.splice(0..0, t.bos().filter(|_| t.adds_bos()));
        assert_eq!(t.encode_prompt(&text, &t.control_starts(&text)), plain, "{name}");
    }
}

/// llama.cpp's `llama_vocab_is_eog` of every id.
#[test]
fn answers_end_as_in_llama_cpp() {
    let expected: &[(&str, &[u32])] = &[
        ("bert-bge", &[0]),
        ("command-r", &[0, 255_001]),
        ("deepseek-coder", &[32_014]),
        ("gemma-4", &[1, 50, 106]),
        ("llama-bpe", &[128_001, 128_009]),
        ("nomic-bert-moe", &[2]),
        ("phi-3", &[2, 32_000, 32_007]),
        ("qwen2", &[128_247, 151_643, 151_645]),
        ("starcoder", &[0, 4]),
    ];
    for (name, ends) in expected {
        let t = tokenizer(name);
        let found: Vec<u32> = (0..t.vocab_size() as u32).filter(|&id| t.is_end_of_generation(id)).collect();
        assert_eq!(&found, ends, "{name}");
    }
}

/// User-defined tokens and text, say the files: the former would be found in any text.
#[test]
fn names_tell_what_controls_the_model() {
    let t = tokenizer("phi-3");
    assert!(t.is_control(2) && !t.encode("a</s>", false, false).contains(&2));
    assert_eq!(t.encode("</s>", false, true), [2]);
    let t = tokenizer("deepseek-coder");
    let text = "<｜fim▁begin｜>a<｜fim▁hole｜>b<｜fim▁end｜>";
    assert!(t.encode(text, false, false).iter().all(|id| !(32_015..=32_017).contains(id)));
    assert_eq!(t.encode(text, false, true), [32_016, 64, 32_015, 65, 32_017]);
    let t = tokenizer("gemma-4");
    let html = (0..t.vocab_size() as u32).find(|&id| t.token_text(id) == Some("</s>")).unwrap();
    assert!(!t.is_control(html) && !t.is_end_of_generation(html), "something else ends answers");
}

/// A token of this type in a vocabulary of these.
fn named(names: &[&str], kind: i32) -> Tokenizer {
    let metadata = crate::data::pairs([
        ("tokenizer.ggml.model", Value::String("gpt2".into())),
        ("tokenizer.ggml.tokens", strings(names.iter().copied())),
        ("tokenizer.ggml.token_type", Value::Array(Array::I32(vec![kind; names.len()]))),
        ("tokenizer.ggml.merges", strings([])),
        ("tokenizer.ggml.eos_token_id", Value::I32(-1)),
        ("tokenizer.ggml.fim_sep_token_id", Value::U32(0)),
    ]);
    Tokenizer::from_gguf(&metadata).unwrap()
}

#[test]
fn parts_of_answers_end_nothing() {
    let ends = |names: &[&str]| {
        let t = named(names, 4);
        names
            .iter()
            .enumerate()
            .filter(|&(id, _)| t.is_end_of_generation(id as u32))
            .map(|(_, &n)| n)
            .collect::<String>()
    };
    assert_eq!(ends(&["A", "<|end|>", "<|return|>"]), "A<|end|><|return|>");
    assert_eq!(ends(&["A", "<|end|>", "<|return|>", "<|call|>"]), "A<|return|><|call|>");
    assert_eq!(ends(&["A", "<|end|>", "<|flush|>", "<|calls|>"]), "A<|flush|><|calls|>");
    assert_eq!(ends(&["A", "</s>", "<|tool_response>"]), "A<|tool_response>");
    assert_eq!(
        ends(&["A", "<|file_sep|>", "<fim_prefix>", "<fim_pad>"]),
        "A<fim_pad>",
        "a key names the separator"
    );
}

#[test]
fn ids_beyond_the_vocabulary_are_nothing() {
    let t = tokenizer("llama-spm");
    assert_eq!(t.decode(&[u32::MAX, 32_000, 1 << 30], true), b"");
    assert_eq!((t.token_text(32_000), t.is_control(u32::MAX)), (None, false));
    assert_eq!(t.vocab_size(), 32_000);
    assert!(metadata("llama-spm").get("tokenizer.ggml.scores").is_some());
}
