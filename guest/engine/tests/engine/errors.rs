//! Which class of error each cause has: callers decide by it.

use chord_engine::Error;
use chord_ops::DeviceError;

#[test]
fn device_errors_keep_their_class() {
    let text = || "words".to_string();
    assert_eq!(Error::from(DeviceError::Cancelled), Error::Cancelled);
    assert_eq!(Error::from(DeviceError::Limit(text())), Error::Limit("words".into()));
    assert_eq!(Error::from(DeviceError::Tensor(text())), Error::InvalidModel("tensor refused: words".into()));
    let full = Error::from(DeviceError::CacheFull { used: 60, max: 64, wanted: 10 });
    assert!(
        matches!(&full, Error::Limit(m) if m.starts_with("KV cache is full: 60 of 64 tokens")),
        "{full:?}"
    );
    for (error, message) in [
        (DeviceError::Step(text()), "step refused: words"),
        (DeviceError::WeightsLost(text()), "weights lost: words"),
        (DeviceError::Failed(text()), "device failed: words"),
    ] {
        assert_eq!(Error::from(error), Error::Device(message.into()));
    }
}

#[test]
fn errors_of_files_and_models_keep_their_class() {
    let missing = chord_gguf::Error::NotFound("m.gguf: no such file".into());
    let not_gguf = chord_gguf::Error::NotGguf { file: "m.gguf".into(), found: "a poem".into() };
    assert_eq!(Error::from(missing.clone()), Error::NotFound("m.gguf: no such file".into()));
    assert_eq!(Error::from(not_gguf.clone()), Error::InvalidModel("m.gguf: not a GGUF file: a poem".into()));
    // The same through the crate of the models.
    assert_eq!(Error::from(chord_model::Error::from(missing.clone())), missing.into());
    assert_eq!(Error::from(chord_model::Error::from(not_gguf.clone())), not_gguf.into());
    let no_text = chord_tokenizer::Error::NoText;
    assert_eq!(Error::from(no_text.clone()), Error::Unsupported(no_text.to_string()));
}
