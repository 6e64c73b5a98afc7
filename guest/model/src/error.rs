//! Why a model cannot be built.

/// What, expected, found, where.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The directory of the file is malformed or lacks a key.
    #[error(transparent)]
    Gguf(#[from] chord_gguf::Error),
    /// The file holds something else.
    #[error("the file is {found}: {fix}")]
    NotModel {
        /// What it is.
        found: &'static str,
        /// What to do.
        fix: &'static str,
    },
    /// The family is not known.
    #[error("architecture `{found}` is not supported; supported: {supported}")]
    Architecture {
        /// `general.architecture`.
        found: String,
        /// All that are, separated by commas.
        supported: String,
    },
    /// A known family with a feature that is not built.
    #[error("{what} is not supported yet ({key} = {found})")]
    Feature {
        /// The mechanism.
        what: &'static str,
        /// Metadata key that asks for it.
        key: String,
        /// Its value.
        found: String,
    },
    /// A metadata value outside its range.
    #[error("metadata key `{key}`: expected {expected}, found {found}")]
    Value {
        /// Metadata key.
        key: String,
        /// Allowed values.
        expected: String,
        /// Value in the file.
        found: String,
    },
    /// A tensor is not in the file.
    #[error("tensor `{0}` is missing")]
    MissingTensor(String),
    /// A tensor disagrees with the metadata.
    #[error("tensor `{name}`: expected shape {expected}, found {found}")]
    Shape {
        /// Tensor name.
        name: String,
        /// Shape from the metadata, row length first.
        expected: String,
        /// Shape in the file.
        found: String,
    },
    /// A tensor has a type that cannot be computed with.
    #[error("tensor `{name}`: type {found} is not supported; supported: {supported}")]
    Type {
        /// Tensor name.
        name: String,
        /// Its type.
        found: String,
        /// All that are, separated by commas.
        supported: String,
    },
}
