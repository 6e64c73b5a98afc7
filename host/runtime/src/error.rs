//! What can go wrong around an engine.

use chord_wit::inference::Error as EngineError;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no component that this runtime can run as an engine.
    #[error("not an engine component: {0}")]
    Component(String),
    /// A model file cannot be opened.
    #[error("cannot open model `{path}`: {why}")]
    Model {
        /// Path as given.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The engine refused the request.
    #[error("{}", engine_message(.0))]
    Engine(EngineError),
    /// The engine was stopped by [`crate::Canceller`].
    #[error("cancelled")]
    Cancelled,
    /// The engine exceeded [`crate::Limits::call_time`].
    #[error(
        "the engine did not answer within {0:?} and was stopped; raise the limit if the model is that slow"
    )]
    Deadline(std::time::Duration),
    /// The engine broke its contract and was stopped. The instance is unusable; make a fresh one.
    #[error("the engine trapped: {0}")]
    Trap(String),
    /// The instance was stopped by an earlier trap.
    #[error("this engine instance was stopped by an earlier trap; make a fresh one")]
    Poisoned,
    /// The host failed.
    #[error("{0}")]
    Host(String),
}

impl From<EngineError> for Error {
    fn from(e: EngineError) -> Error {
        match e {
            EngineError::Cancelled => Error::Cancelled,
            e => Error::Engine(e),
        }
    }
}

fn engine_message(e: &EngineError) -> String {
    match e {
        EngineError::InvalidArgument(m)
        | EngineError::NotFound(m)
        | EngineError::InvalidModel(m)
        | EngineError::Unsupported(m)
        | EngineError::Limit(m)
        | EngineError::Device(m)
        | EngineError::Other(m) => m.clone(),
        EngineError::ContextExceeded((n_prompt, n_ctx)) => format!(
            "the prompt is {n_prompt} tokens, which does not leave room in the context of {n_ctx}; \
             shorten it or raise --ctx-size"
        ),
        EngineError::Cancelled => "cancelled".into(),
    }
}
