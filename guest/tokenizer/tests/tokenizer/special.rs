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
fn ids_beyond_the_vocabulary_are_nothing() {
    let t = tokenizer("llama-spm");
    assert_eq!(t.decode(&[u32::MAX, 32_000, 1 << 30], true), b"");
    assert_eq!((t.token_text(32_000), t.is_control(u32::MAX)), (None, false));
    assert_eq!(t.vocab_size(), 32_000);
    assert!(metadata("llama-spm").get("tokenizer.ggml.scores").is_some());
}
