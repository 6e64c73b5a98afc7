//! Vocabularies: real ones from `tests/data/vocab`, small ones made here.

use chord_gguf::{Array, Gguf, Metadata, StringArray, Value};
use chord_tokenizer::Tokenizer;
use std::io::Read;
use std::path::PathBuf;

/// Folder of the real vocabularies.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/vocab")
}

/// Metadata of a real vocabulary.
pub fn metadata(name: &str) -> Metadata {
    let path = folder().join(format!("{name}.gguf.gz"));
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).expect("it is gzip");
    Gguf::parse(&bytes, name).expect("it is GGUF").metadata
}

/// A real tokenizer.
pub fn tokenizer(name: &str) -> Tokenizer {
    Tokenizer::from_gguf(&metadata(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// An array of strings.
pub fn strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    let mut array = StringArray::new();
    texts.into_iter().for_each(|t| array.push(t));
    Value::Array(Array::String(array))
}

/// Metadata of these pairs.
pub fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, Value)>) -> Metadata {
    let mut metadata = Metadata::default();
    for (key, value) in pairs {
        assert!(metadata.insert(key, value), "{key} twice");
    }
    metadata
}
