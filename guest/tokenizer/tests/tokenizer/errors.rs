//! What is wrong with a tokenizer is said.

use crate::data::{pairs, strings};
use chord_gguf::{Array, Value};
use chord_tokenizer::{Error, Tokenizer};

fn text(s: &str) -> Value {
    Value::String(s.into())
}

/// A small tokenizer of either kind with some keys changed (`Some`) or left out (`None`).
fn with(model: &str, changes: &[(&str, Option<Value>)]) -> Result<Tokenizer, Error> {
    let mut all =
        vec![("tokenizer.ggml.model", text(model)), ("tokenizer.ggml.tokens", strings(["a", "b", "ab"]))];
    match model {
        "gpt2" => {
            all.push(("tokenizer.ggml.pre", text("gpt-2")));
            all.push(("tokenizer.ggml.merges", strings(["a b"])));
        }
        _ => all.push(("tokenizer.ggml.scores", Value::Array(Array::F32(vec![0.0, -1.0, -2.0])))),
    }
    for (key, value) in changes {
        all.retain(|(k, _)| k != key);
        all.extend(value.clone().map(|v| (*key, v)));
    }
    Tokenizer::from_gguf(&pairs(all))
}

fn error(model: &str, key: &str, value: Option<Value>) -> Error {
    with(model, &[(key, value)]).expect_err("it is refused")
}

#[test]
fn unchanged_they_work() {
    assert_eq!(with("gpt2", &[]).unwrap().encode("ab", false, false), [2]);
    assert_eq!(with("llama", &[]).unwrap().encode("ab", false, false).last(), Some(&2));
}

#[test]
fn kinds() {
    assert!(matches!(error("gpt2", "tokenizer.ggml.model", None), Error::Missing));
    let e = error("gpt2", "tokenizer.ggml.model", Some(text("klingon")));
    assert!(matches!(&e, Error::Model { found, .. } if found == "klingon"), "{e}");
    assert!(e.to_string().contains("gpt2"), "it names what is supported: {e}");
    let e = error("gpt2", "tokenizer.ggml.model", Some(Value::U32(1)));
    assert!(matches!(e, Error::Gguf(_)), "{e}");
}

#[test]
fn pre_tokenizers() {
    let e = error("gpt2", "tokenizer.ggml.pre", Some(text("klingon")));
    assert!(matches!(&e, Error::Pre { found, .. } if found == "klingon"), "{e}");
    assert!(e.to_string().contains("llama-bpe"), "{e}");
}

#[test]
fn missing_keys() {
    let key = "tokenizer.ggml.tokens";
    assert_eq!(error("gpt2", key, None), Error::MissingKey(key));
    let key = "tokenizer.ggml.merges";
    assert_eq!(error("gpt2", key, None), Error::MissingKey(key));
    let key = "tokenizer.ggml.scores";
    assert_eq!(error("llama", key, None), Error::MissingKey(key));
}

#[test]
fn lengths() {
    assert_eq!(error("gpt2", "tokenizer.ggml.tokens", Some(strings([]))), Error::Empty);
    let key = "tokenizer.ggml.token_type";
    let e = error("gpt2", key, Some(Value::Array(Array::I32(vec![1]))));
    assert_eq!(e, Error::Length { key, expected: 3, found: 1 });
    let key = "tokenizer.ggml.scores";
    let e = error("llama", key, Some(Value::Array(Array::F32(vec![1.0; 4]))));
    assert_eq!(e, Error::Length { key, expected: 3, found: 4 });
}

#[test]
fn ids() {
    for key in ["tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"] {
        let e = error("gpt2", key, Some(Value::U32(3)));
        assert_eq!(e, Error::Id { key: key.into(), tokens: 3, found: 3 });
    }
    // "None" as converters write it.
    for none in [Value::U32(u32::MAX), Value::I32(-1)] {
        assert_eq!(with("gpt2", &[("tokenizer.ggml.bos_token_id", Some(none))]).unwrap().bos(), None);
    }
}

#[test]
fn merges() {
    for bad in ["ab", "", "a", "a "] {
        let e = error("gpt2", "tokenizer.ggml.merges", Some(strings(["a b", bad])));
        assert_eq!(e, Error::Merge { index: 1, found: bad.into() });
    }
    // Of parts that are no tokens: they cannot happen, and llama.cpp takes them.
    let t = with("gpt2", &[("tokenizer.ggml.merges", Some(strings(["a c", "x y", "a b"])))]).unwrap();
    assert_eq!(t.encode("ab", false, false), [2]);
}

#[test]
fn odd_scores_and_duplicate_tokens_work() {
    let scores = Value::Array(Array::F32(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY]));
    let t = with("llama", &[("tokenizer.ggml.scores", Some(scores))]).unwrap();
    assert_eq!(t.encode("ab", false, false).last(), Some(&2));
    let t = with("gpt2", &[("tokenizer.ggml.tokens", Some(strings(["a", "a", "b"])))]).unwrap();
    assert_eq!(t.encode("b", false, false), [2]);
    assert!(t.encode("a", false, false)[0] < 2);
}
