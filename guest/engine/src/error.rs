//! Why a request failed: one case per class of cause, as in the contract.

use chord_ops::DeviceError;

/// Message inside: what, expected, found, where.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's argument.
    #[error("{0}")]
    InvalidArgument(String),
    /// No such model file.
    #[error("{0}")]
    NotFound(String),
    /// The model file is malformed.
    #[error("{0}")]
    InvalidModel(String),
    /// Well-formed but not supported.
    #[error("{0}")]
    Unsupported(String),
    /// The prompt does not fit into the context.
    #[error(
        "the prompt is {n_prompt_tokens} tokens, which does not leave room in the context of {n_ctx}; \
         shorten it or raise the context size"
    )]
    ContextExceeded {
        /// Tokens of the session with the prompt.
        n_prompt_tokens: u32,
        /// Context size, tokens.
        n_ctx: u32,
    },
    /// Cancelled by the host.
    #[error("cancelled")]
    Cancelled,
    /// A limit on memory or size.
    #[error("{0}")]
    Limit(String),
    /// The device failed or lost the weights.
    #[error("{0}")]
    Device(String),
}

impl From<chord_model::Error> for Error {
    fn from(e: chord_model::Error) -> Error {
        use chord_model::Error as E;
        match e {
            E::Gguf(e) => e.into(),
            E::NotModel { .. } | E::Architecture { .. } | E::Feature { .. } | E::Type { .. } => {
                Error::Unsupported(e.to_string())
            }
            _ => Error::InvalidModel(e.to_string()),
        }
    }
}

impl From<DeviceError> for Error {
    fn from(e: DeviceError) -> Error {
        match e {
            DeviceError::Cancelled => Error::Cancelled,
            DeviceError::Limit(m) => Error::Limit(m),
            DeviceError::CacheFull { .. } => Error::Limit(e.to_string()),
            DeviceError::Tensor(_) => Error::InvalidModel(e.to_string()),
            _ => Error::Device(e.to_string()),
        }
    }
}

impl From<chord_sampler::Error> for Error {
    fn from(e: chord_sampler::Error) -> Error {
        Error::InvalidArgument(e.to_string())
    }
}

impl From<chord_gguf::Error> for Error {
    fn from(e: chord_gguf::Error) -> Error {
        match e {
            chord_gguf::Error::NotFound(_) => Error::NotFound(e.to_string()),
            _ => Error::InvalidModel(e.to_string()),
        }
    }
}

impl From<chord_tokenizer::Error> for Error {
    fn from(e: chord_tokenizer::Error) -> Error {
        match e {
            chord_tokenizer::Error::NoText => Error::Unsupported(e.to_string()),
            _ => Error::InvalidModel(e.to_string()),
        }
    }
}
