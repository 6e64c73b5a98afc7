//! Why a tokenizer cannot be used.

/// One case per cause.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No tokenizer in the file.
    #[error("the file has no tokenizer: key `tokenizer.ggml.model` is missing")]
    Missing,
    /// A model without a tokenizer.
    #[error(
        "the model has no tokenizer (tokenizer.ggml.model says so): it reads and writes token ids, not text; \
         give the prompt as token ids"
    )]
    NoText,
    /// A kind of tokenizer that is not here.
    #[error("tokenizer.ggml.model: tokenizers of kind `{found}` are not supported; supported: {supported}")]
    Model {
        /// What the file says.
        found: String,
        /// What could be used.
        supported: &'static str,
    },
    /// A pre-tokenizer that is not here.
    #[error("tokenizer.ggml.pre: pre-tokenizer `{found}` is not supported; supported: {supported}")]
    Pre {
        /// What the file says.
        found: String,
        /// What could be used.
        supported: String,
    },
    /// A key that this kind of tokenizer needs.
    #[error("tokenizer: key `{0}` is missing")]
    MissingKey(&'static str),
    /// A vocabulary of no tokens.
    #[error("tokenizer.ggml.tokens: expected at least one token, found none")]
    Empty,
    /// More tokens than ids.
    #[error("tokenizer.ggml.tokens: expected fewer than 2^31 tokens, found {0}")]
    TooMany(usize),
    /// An array that must have one element per token.
    #[error("{key}: expected {expected} elements (one per token), found {found}")]
    Length {
        /// The array.
        key: &'static str,
        /// Tokens.
        expected: usize,
        /// Its elements.
        found: usize,
    },
    /// An id that no token has.
    #[error("{key}: expected a token id below {tokens}, found {found}")]
    Id {
        /// The key.
        key: String,
        /// Tokens.
        tokens: usize,
        /// Its value.
        found: u32,
    },
    /// Normalisation rules that cannot be read.
    #[error("{0}")]
    Charsmap(String),
    /// A merge that is not two parts.
    #[error(
        "tokenizer.ggml.merges: expected two parts with a space between them, found {found:?} at index {index}"
    )]
    Merge {
        /// Where.
        index: usize,
        /// The merge.
        found: String,
    },
    /// A value of the wrong type.
    #[error(transparent)]
    Gguf(#[from] chord_gguf::Error),
}
