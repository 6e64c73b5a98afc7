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
    /// The operating system refuses something that the host cannot do without.
    #[error("the system refuses what the engine needs: {0}")]
    System(String),
    /// The host failed.
    #[error("{0}")]
    Host(String),
}

impl Error {
    /// Why a component cannot be compiled or linked: because of what it is, or because of the system.
    pub(crate) fn of_component(e: &wasmtime::Error) -> Error {
        if is_system(e) { Error::System(one_line(e)) } else { Error::Component(one_line(e)) }
    }

    /// Why a component that fits cannot be instantiated.
    pub(crate) fn of_start(e: &wasmtime::Error) -> Error {
        match e.downcast_ref::<wasmtime::Trap>() {
            Some(trap) => Error::Trap(trap.to_string()),
            None => Error::of_component(e),
        }
    }
}

/// The innermost cause and what it was about, on one line.
pub(crate) fn one_line(e: &wasmtime::Error) -> String {
    let mut text = e.chain().map(|c| c.to_string()).collect::<Vec<_>>().join(": ");
    text.truncate(text.find("\n").unwrap_or(text.len()));
    text
}

/// Whether a system call failed. Wasmtime has these errors as text only: `… (os error 12)`.
fn is_system(e: &wasmtime::Error) -> bool {
    e.root_cause().to_string().contains("(os error ")
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
