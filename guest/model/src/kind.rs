//! GGUF files that are no models: other programs write them, beside or in place of a model.

use crate::Error;
use chord_gguf::Gguf;

/// Refuses a file that is an adapter, the eyes or ears of a model, or statistics about one, and says so.
pub fn check_kind(gguf: &Gguf) -> Result<(), Error> {
    match kind(gguf) {
        None => Ok(()),
        Some((found, fix)) => Err(Error::NotModel { found, fix }),
    }
}

/// What the file is instead of a model, and what to do.
fn kind(gguf: &Gguf) -> Option<(&'static str, &'static str)> {
    let is = |key: &str, value: &str| gguf.metadata.shown(key).is_some_and(|v| v == value);
    let has = |key: &str| gguf.metadata.get(key).is_some();
    if is("general.type", "adapter") || has("adapter.type") || has("adapter.lora.alpha") {
        let fix = "merge it into its model with llama-export-lora and give the result";
        return Some(("an adapter (LoRA), which changes a model and is none", fix));
    }
    if is("general.architecture", "controlvector") || is("general.type", "controlvector") {
        return Some(("a control vector, which steers a model and is none", "give the model's file"));
    }
    if is("general.type", "mmproj") || is("general.architecture", "clip") {
        let found = "the part of a model that sees or hears (mmproj), not the one that reads and writes";
        return Some((found, "give the language model's file, which lies beside it"));
    }
    if is("general.type", "imatrix") || has("imatrix.datasets") || has("imatrix.chunk_count") {
        let found = "an importance matrix (imatrix), which helps to quantise a model and is none";
        return Some((found, "give the model's file"));
    }
    None
}

/// Refuses a file without tensors, and says whether it has a vocabulary.
pub(crate) fn check_tensors(gguf: &Gguf) -> Result<(), Error> {
    if !gguf.tensors.is_empty() {
        return Ok(());
    }
    let (found, fix) = match gguf.metadata.get("tokenizer.ggml.tokens") {
        Some(_) => {
            ("a vocabulary only, without any tensor", "it can tokenize; to generate, give a whole model")
        }
        None => ("without any tensor", "download it again, or give the first part of a split model"),
    };
    Err(Error::NotModel { found, fix })
}
