//! What models say of themselves, and why some are refused.

use crate::memory::{Memory, bytes};
use chord_engine::{Error, LoadOptions, inspect};
use chord_gguf::Gguf;

#[test]
fn a_model_describes_itself() {
    let model = Memory::model("tiny-qwen3-f32.gguf").load(&LoadOptions::default()).unwrap();
    let info = model.info();
    assert_eq!(info.architecture, "qwen3");
    assert_eq!(info.vocabulary as usize, model.tokenizer().vocab_size());
    assert_eq!(info.device, "1 thread, portable");
    assert!(info.context_size <= 4096 && info.context_size <= info.trained_context);
    assert!(info.parameters * 4 == info.tensor_bytes, "all F32: {info:?}");
}

#[test]
fn a_vocabulary_alone_tokenizes_and_does_no_more() {
    let host = Memory::model("tiny-llama-f32.gguf");
    let model = host.load(&LoadOptions { vocab_only: true, ..Default::default() }).unwrap();
    let ids = model.tokenizer().encode("Once upon", true, false);
    assert!(!ids.is_empty());
    let Err(Error::InvalidArgument(message)) = model.open() else { panic!("a session without tensors") };
    assert!(message.contains("vocab-only"), "{message}");
    let vocabulary = model.info().vocabulary;
    assert!(matches!(model.detokenize(&[vocabulary], false), Err(Error::InvalidArgument(_))));
}

#[test]
fn options_out_of_range_are_named() {
    let host = Memory::model("tiny-llama-f32.gguf");
    let refused = |options: LoadOptions| match host.load(&options) {
        Err(Error::InvalidArgument(message)) => message,
        other => panic!("{:?}", other.map(|m| m.info().clone())),
    };
    let huge = LoadOptions { context_size: Some(1 << 25), ..Default::default() };
    assert_eq!(refused(huge), "context-size: expected 1 to 16777216, found 33554432");
    let zero = LoadOptions { sessions: Some(0), ..Default::default() };
    assert!(refused(zero).starts_with("sessions:"));
    let many = LoadOptions { sessions: Some(1 << 24), context_size: Some(1 << 24), ..Default::default() };
    assert!(refused(many).contains("2^32"));
    let zero = LoadOptions { step_tokens: Some(0), ..Default::default() };
    assert!(refused(zero).starts_with("step-tokens:"));
    assert!(host.load(&LoadOptions { device: Some("tpu".into()), ..Default::default() }).is_err());
}

#[test]
fn a_file_that_is_not_there_or_not_whole_is_named() {
    let host = Memory::of("other.gguf", Vec::new());
    let Err(Error::NotFound(message)) = host.load(&LoadOptions::default()) else { panic!("no such file") };
    assert!(message.contains("model.gguf"), "{message}");
    let whole = bytes("tiny-llama-f32.gguf");
    for cut in [0, 3, 100, whole.len() / 2, whole.len() - 1] {
        let host = Memory::of("model.gguf", whole[..cut].to_vec());
        let refused = host.load(&LoadOptions::default()).map(|m| m.info().clone());
        let Err(Error::InvalidModel(message)) = refused else { panic!("{cut} bytes: {refused:?}") };
        assert!(message.contains("model.gguf"), "{message}");
    }
}

#[test]
fn a_report_has_all_that_is_in_the_file() {
    let report = inspect(&Memory::model("tiny-mixtral-f32.gguf"), "model.gguf").unwrap();
    let gguf = Gguf::parse(&bytes("tiny-mixtral-f32.gguf"), "model.gguf").unwrap();
    assert_eq!((report.version, report.files.as_slice()), (gguf.version, gguf.files()));
    assert_eq!(report.architecture.as_deref(), Some("llama"));
    assert_eq!((report.runnable, report.tokenizable, report.warnings), (Ok(()), Ok(()), vec![]));
    assert!(!gguf.tensors.is_empty() && report.tensors.len() == gguf.tensors.len());
    for (found, t) in report.tensors.iter().zip(&gguf.tensors) {
        assert_eq!((&found.name, found.dtype, &found.shape), (&t.name, t.dtype.name(), &t.dims));
        assert_eq!((found.bytes, found.file as usize, found.offset), (t.bytes, t.file, t.offset));
    }
    let expected = gguf.metadata.iter().map(|(k, v)| (k.to_string(), v.kind(), v.preview(80)));
    let found: Vec<_> = report.metadata.into_iter().map(|m| (m.key, m.kind, m.value)).collect();
    assert_eq!(found, expected.collect::<Vec<_>>());
}
