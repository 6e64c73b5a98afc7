//! What is in a model file and whether it can run, without loading it.

use crate::model::open_gguf;
use crate::{Error, Host};
use chord_gguf::{Gguf, Value};
use chord_tokenizer::Tokenizer;

/// One metadata pair.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataEntry {
    /// Key.
    pub key: String,
    /// Type: `u32`, `string`, `array<string>`.
    pub kind: String,
    /// Value as text, shortened.
    pub value: String,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorEntry {
    /// Name.
    pub name: String,
    /// Type name.
    pub dtype: &'static str,
    /// Row length first.
    pub shape: Vec<u64>,
    /// Size in bytes.
    pub bytes: u64,
    /// Index into [`Report::files`].
    pub file: u32,
    /// Byte offset in that file.
    pub offset: u64,
}

/// The directory of a model file.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// GGUF version.
    pub version: u32,
    /// Names of the file and its split siblings.
    pub files: Vec<String>,
    /// In file order.
    pub metadata: Vec<MetadataEntry>,
    /// In file order.
    pub tensors: Vec<TensorEntry>,
    /// `general.architecture`.
    pub architecture: Option<String>,
    /// Whether the model can run; else why not.
    pub runnable: Result<(), String>,
    /// Whether its tokenizer can be used; else why not.
    pub tokenizable: Result<(), String>,
    /// What the file leaves open or says oddly, for people; one sentence each.
    pub warnings: Vec<String>,
}

/// Reads the directory of the model file `name`.
pub fn inspect<H: Host>(host: &H, name: &str) -> Result<Report, Error> {
    let gguf = open_gguf(host, name)?;
    let tokenizer = Tokenizer::from_gguf(&gguf.metadata);
    let tokenizable = tokenizer.as_ref().map_err(Clone::clone).and_then(|t| t.check_text());
    Ok(Report {
        version: gguf.version,
        files: gguf.files().to_vec(),
        metadata: gguf.metadata.iter().map(|(k, v)| entry(k, v)).collect(),
        tensors: tensors(&gguf),
        architecture: gguf.metadata.shown("general.architecture").map(Into::into),
        runnable: runnable(&gguf).map_err(|e| e.to_string()),
        tokenizable: tokenizable.map_err(|e| e.to_string()),
        warnings: tokenizer.map_or_else(|_| Vec::new(), |t| t.warnings()),
    })
}

/// A plan can be recorded and is valid.
fn runnable(gguf: &Gguf) -> Result<(), Error> {
    let spec = chord_model::spec(gguf)?;
    let recording = chord_model::record(&spec, gguf, 1, 1, 1)?;
    chord_ops::validate(recording.plan, &Default::default())
        .map(|_| ())
        .map_err(|e| Error::InvalidModel(e.to_string()))
}

fn tensors(gguf: &Gguf) -> Vec<TensorEntry> {
    let one = |t: &chord_gguf::TensorInfo| TensorEntry {
        name: t.name.clone(),
        dtype: t.dtype.name(),
        shape: t.dims.clone(),
        bytes: t.bytes,
        file: t.file as u32,
        offset: t.offset,
    };
    gguf.tensors.iter().map(one).collect()
}

fn entry(key: &str, value: &Value) -> MetadataEntry {
    MetadataEntry { key: key.into(), kind: value.kind(), value: value.preview(80) }
}
