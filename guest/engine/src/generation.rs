//! A generation: a pulled stream of events that continues a session.

use crate::model::Shared;
use crate::scheduler::{Active, GenerationId};
use crate::session::Sequence;
use crate::{Error, GenerateOptions, Host};
use std::rc::Rc;

/// A generated token.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenEvent {
    /// Its id.
    pub id: u32,
    /// Text completed by it; may be empty.
    pub text: String,
    /// Natural logarithm of its probability before sampling, if asked for.
    pub logprob: Option<f32>,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// End-of-generation token.
    End,
    /// A stop text.
    Stop,
    /// `max_tokens`.
    Length,
    /// The context is full.
    ContextFull,
    /// The model computed NaN or infinity.
    InvalidLogits,
}

/// Tokens of a generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// In the prompt, the session's earlier tokens included.
    pub prompt_tokens: u32,
    /// Of these, in the cache before the generation began.
    pub cached_tokens: u32,
    /// Generated.
    pub completion_tokens: u32,
}

/// End of a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    /// Why.
    pub reason: FinishReason,
    /// Tokens.
    pub usage: Usage,
    /// Text held back until now.
    pub text: String,
}

/// Something that happened in a generation.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The prompt is in the cache.
    PromptDone(Usage),
    /// A token.
    Token(TokenEvent),
    /// The end; last event.
    Finish(Finish),
}

/// A stream of events. Dropping it cancels; the session keeps what was generated.
pub struct Generation<H: Host> {
    shared: Rc<Shared<H>>,
    sequence: Rc<Sequence<H>>,
    id: GenerationId,
}

impl<H: Host> Generation<H> {
    pub(crate) fn start(
        shared: Rc<Shared<H>>,
        sequence: Rc<Sequence<H>>,
        prompt: Vec<u32>,
        options: &GenerateOptions,
    ) -> Result<Generation<H>, Error> {
        let active = Active::new(shared.tokenizer.clone(), sequence.state.clone(), prompt, options)?;
        let id = shared.core()?.borrow_mut().scheduler.add(active);
        Ok(Generation { shared, sequence, id })
    }

    /// The next events; empty after the end. Advances every active generation of the model by one step if this one has
    /// no event waiting.
    pub fn advance(&mut self) -> Result<Vec<Event>, Error> {
        let core = &mut *self.shared.core()?.borrow_mut();
        let n_ctx = self.shared.info.context_size;
        if core.scheduler.must_step(self.id) {
            core.step(n_ctx);
        }
        core.scheduler.take_events(self.id)
    }
}

impl<H: Host> Drop for Generation<H> {
    fn drop(&mut self) {
        if let Some(core) = &self.shared.core {
            core.borrow_mut().scheduler.remove(self.id);
        }
        self.sequence.state.borrow_mut().busy = false;
    }
}
