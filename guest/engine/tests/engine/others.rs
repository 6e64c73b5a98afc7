//! GGUF files that are no models: each is named.

use crate::draft::{Draft, DraftTensor};
use chord_engine::{Error, LoadOptions, inspect};
use chord_gguf::Value;
use chord_quant::DType;

fn text(s: &str) -> Value {
    Value::String(s.into())
}

/// A file of these pairs and one tensor.
fn file(pairs: &[(&str, Value)]) -> Draft {
    let bytes = vec![0; 16];
    let tensor = DraftTensor { name: "a.weight".into(), dtype: DType::F32, dims: vec![4], bytes };
    pairs.iter().fold(Draft { pairs: vec![], tensors: vec![tensor] }, |d, (k, v)| d.with(k, v.clone()))
}

/// The message with which it is refused, which `inspect` gives, too.
fn refused(draft: &Draft) -> String {
    let Error::Unsupported(message) = draft.refused() else { panic!("{}", draft.refused()) };
    assert_eq!(inspect(&draft.host(), "model.gguf").unwrap().runnable, Err(message.clone()));
    message
}

#[test]
fn adapters() {
    let family = ("general.architecture", text("llama"));
    let kind = ("general.type", text("adapter"));
    let alpha = ("adapter.lora.alpha", Value::F32(16.0));
    let lora = file(&[family.clone(), kind, ("adapter.type", text("lora")), alpha.clone()]);
    assert!(refused(&lora).starts_with("the file is an adapter (LoRA)"), "{}", refused(&lora));
    assert_eq!(refused(&file(&[family, alpha])), refused(&lora), "older ones have no type");
    let vector = file(&[("general.architecture", text("controlvector"))]);
    assert!(refused(&vector).contains("control vector"));
}

#[test]
fn projectors() {
    let new = file(&[("general.type", text("mmproj")), ("general.architecture", text("clip"))]);
    assert!(refused(&new).contains("(mmproj)"), "{}", refused(&new));
    assert_eq!(refused(&file(&[("general.architecture", text("clip"))])), refused(&new));
}

#[test]
fn importance_matrices() {
    let matrix = file(&[("general.type", text("imatrix")), ("imatrix.chunk_count", Value::U32(3))]);
    assert!(refused(&matrix).contains("importance matrix"), "{}", refused(&matrix));
}

#[test]
fn vocabularies() {
    let mut draft = Draft::model("tiny-llama-f32.gguf");
    draft.tensors.clear();
    assert!(refused(&draft).contains("a vocabulary only"), "{}", refused(&draft));
    let vocab_only = LoadOptions { vocab_only: true, ..Default::default() };
    let model = draft.host().load(&vocab_only).expect("it can tokenize");
    assert!(!model.tokenize("Once", true, false).unwrap().is_empty());
    let empty = draft.without("tokenizer.ggml.tokens").with("tokenizer.ggml.model", text("none"));
    assert!(refused(&empty).contains("without any tensor"), "{}", refused(&empty));
    let typed = Draft::model("tiny-llama-f32.gguf").with("general.type", text("model"));
    assert!(typed.host().load(&LoadOptions::default()).is_ok(), "models say that they are models");
}
