//! Model families: one file each, one line in [`ARCHITECTURES`].

mod decoder;
mod gemma2;
mod gemma3;
mod keys;
mod llama;
mod phi3;
mod qwen2;
mod qwen3;
mod qwen3moe;
mod rope;

use crate::kind::{check_kind, check_tensors};
use crate::{Error, ModelSpec};
use chord_gguf::Gguf;
use keys::Keys;

/// Reads one family's metadata.
type ToSpec = fn(&Keys<'_>) -> Result<ModelSpec, Error>;

/// `general.architecture` and how to read it.
const ARCHITECTURES: &[(&str, ToSpec)] = &[
    ("llama", llama::spec),
    ("qwen2", qwen2::spec),
    ("qwen3", qwen3::spec),
    ("qwen3moe", qwen3moe::spec),
    ("gemma2", gemma2::spec),
    ("gemma3", gemma3::spec),
    ("phi3", phi3::spec),
];

/// Names of all supported families.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    ARCHITECTURES.iter().map(|a| a.0)
}

/// Reads the spec of a model file.
pub fn spec(gguf: &Gguf) -> Result<ModelSpec, Error> {
    check_kind(gguf)?;
    check_tensors(gguf)?;
    let name = gguf.metadata.require_str("general.architecture")?;
    let Some((_, to_spec)) = ARCHITECTURES.iter().find(|a| a.0 == name) else {
        let supported = architectures().collect::<Vec<_>>().join(", ");
        return Err(Error::Architecture { found: name.into(), supported });
    };
    to_spec(&Keys::new(gguf, name))
}
