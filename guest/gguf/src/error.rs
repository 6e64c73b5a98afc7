//! Why a file is refused: what, expected, found, where.

use chord_quant::DType;

/// One line each; the file is named first.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file.
    #[error("{0}")]
    NotFound(String),
    /// The bytes cannot be read.
    #[error("{file}: cannot be read: {why}")]
    Read {
        /// File name.
        file: String,
        /// Message of the source.
        why: String,
    },
    /// The file is something else.
    #[error("{file}: not a GGUF file: {found}")]
    NotGguf {
        /// File name.
        file: String,
        /// What it is instead.
        found: String,
    },
    /// A version that cannot be read.
    #[error("{file}: GGUF version: expected 2 or 3, found {found}")]
    Version {
        /// File name.
        file: String,
        /// Version of the file, with a hint.
        found: String,
    },
    /// The file ends too early.
    #[error("{file}: truncated: {what} needs {needed} bytes at offset {offset}, the file has {size}")]
    Truncated {
        /// File name.
        file: String,
        /// What was being read.
        what: String,
        /// Bytes needed.
        needed: u64,
        /// Where, in bytes.
        offset: u64,
        /// Size of the file in bytes.
        size: u64,
    },
    /// The header breaks a rule of the format.
    #[error("{file}: {what}: expected {expected}, found {found}")]
    Header {
        /// File name.
        file: String,
        /// Which part: count, key, tensor.
        what: String,
        /// Allowed.
        expected: String,
        /// In the file.
        found: String,
    },
    /// A tensor breaks a rule of the format.
    #[error("{file}: tensor `{tensor}`: {what}: expected {expected}, found {found}")]
    Tensor {
        /// File name.
        file: String,
        /// Tensor name.
        tensor: String,
        /// Which property.
        what: &'static str,
        /// Allowed.
        expected: String,
        /// In the file.
        found: String,
    },
    /// A key is not there.
    #[error("metadata key `{key}` is missing")]
    MissingKey {
        /// The key.
        key: String,
    },
    /// A key has another type or range than needed.
    #[error("metadata key `{key}`: expected {expected}, found {found}")]
    KeyType {
        /// The key.
        key: String,
        /// Type or range needed.
        expected: &'static str,
        /// In the file.
        found: String,
    },
    /// An array has more or fewer elements than needed.
    #[error("metadata key `{key}`: expected {expected} elements, found {found}")]
    Elements {
        /// The key.
        key: String,
        /// How many are needed.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The parts of a split model disagree.
    #[error("{file}: split model: {what}: expected {expected}, found {found}")]
    Split {
        /// File name.
        file: String,
        /// Which property.
        what: &'static str,
        /// Needed.
        expected: String,
        /// Found.
        found: String,
    },
}

impl Error {
    /// There is no file `name`.
    pub fn not_found(name: &str, why: impl core::fmt::Display) -> Error {
        let why = why.to_string();
        Error::NotFound(if why.contains(name) { why } else { format!("{name}: {why}") })
    }

    /// The bytes of `name` cannot be read.
    pub fn read(name: &str, why: impl core::fmt::Display) -> Error {
        Error::Read { file: name.into(), why: why.to_string() }
    }

    pub(crate) fn header(
        file: &str,
        what: impl Into<String>,
        expected: impl Into<String>,
        found: impl core::fmt::Display,
    ) -> Error {
        Error::Header {
            file: file.into(),
            what: what.into(),
            expected: expected.into(),
            found: found.to_string(),
        }
    }

    pub(crate) fn tensor(
        file: &str,
        tensor: &str,
        what: &'static str,
        expected: impl Into<String>,
        found: impl core::fmt::Display,
    ) -> Error {
        Error::Tensor {
            file: file.into(),
            tensor: tensor.into(),
            what,
            expected: expected.into(),
            found: found.to_string(),
        }
    }
}

/// Names of all known tensor types.
pub(crate) fn known_types() -> String {
    DType::all().map(|t| format!("{} ({t})", t.ggml_id())).collect::<Vec<_>>().join(", ")
}
