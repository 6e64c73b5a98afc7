//! A session: one KV sequence and the tokens it has read.

use crate::model::{Shared, check_tokens};
use crate::{Error, GenerateOptions, Generation, Host, Prompt};
use chord_ops::{Device, Pick, SeqId, Span, Step};
use std::cell::{Ref, RefCell};
use std::rc::Rc;

/// What a model has read so far.
pub struct Session<H: Host> {
    shared: Rc<Shared<H>>,
    sequence: Rc<Sequence<H>>,
}

/// The sequence of a session; closed on the device when the last owner goes.
pub(crate) struct Sequence<H: Host> {
    shared: Rc<Shared<H>>,
    pub(crate) state: Rc<RefCell<History>>,
}

/// Tokens of a session; the first `evaluated` of them are in the cache.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) seq: SeqId,
    pub(crate) tokens: Vec<u32>,
    pub(crate) evaluated: usize,
    /// A generation is in progress.
    pub(crate) busy: bool,
}

impl<H: Host> Drop for Sequence<H> {
    fn drop(&mut self) {
        let Some(core) = &self.shared.core else { return };
        let core = &mut *core.borrow_mut();
        // Nobody is left to tell: a sequence that cannot be closed goes with its cache.
        let _ = core.device.close(&mut core.cache, self.state.borrow().seq);
    }
}

impl<H: Host> Session<H> {
    pub(crate) fn open(shared: Rc<Shared<H>>) -> Result<Session<H>, Error> {
        let seq = {
            let core = &mut *shared.core()?.borrow_mut();
            core.device.open(&mut core.cache)?
        };
        Ok(Session::with(shared, History { seq, tokens: Vec::new(), evaluated: 0, busy: false }))
    }

    fn with(shared: Rc<Shared<H>>, history: History) -> Session<H> {
        let sequence = Rc::new(Sequence { shared: shared.clone(), state: Rc::new(RefCell::new(history)) });
        Session { shared, sequence }
    }

    /// Tokens read so far.
    pub fn len(&self) -> u32 {
        self.sequence.state.borrow().tokens.len() as u32
    }

    /// Whether nothing has been read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tokens read so far.
    pub fn tokens(&self) -> Ref<'_, [u32]> {
        Ref::map(self.sequence.state.borrow(), |s| s.tokens.as_slice())
    }

    /// Reads tokens without generating.
    pub fn append(&self, tokens: &[u32]) -> Result<(), Error> {
        self.evaluate(tokens, &[]).map(|_| ())
    }

    /// Reads tokens and returns the logits of the wanted ones, `(wanted, vocabulary)`.
    /// `wanted`: strictly increasing indices into `tokens`. On error the session is as before.
    pub fn evaluate(&self, tokens: &[u32], wanted: &[u32]) -> Result<Vec<f32>, Error> {
        self.check_idle()?;
        check_tokens(tokens, self.shared.info.vocabulary)?;
        check_wanted(wanted, tokens.len())?;
        self.check_room(tokens.len(), self.shared.info.context_size as usize)?;
        let before = self.len();
        let first = self.sequence.state.borrow().tokens.len();
        self.sequence.state.borrow_mut().tokens.extend_from_slice(tokens);
        let wanted: Vec<usize> = wanted.iter().map(|&w| first + w as usize).collect();
        self.run_pending(&wanted).inspect_err(|_| {
            // The device keeps whole steps only; what it has read beyond `before` is forgotten again.
            let _ = self.truncate(before);
        })
    }

    /// Runs the tokens that are not in the cache yet, in steps; returns the logits of `wanted` (session indices).
    fn run_pending(&self, wanted: &[usize]) -> Result<Vec<f32>, Error> {
        let core = &mut *self.shared.core()?.borrow_mut();
        let state = &mut *self.sequence.state.borrow_mut();
        let mut logits = Vec::new();
        while state.evaluated < state.tokens.len() {
            let end = state.tokens.len().min(state.evaluated + core.step_tokens as usize);
            let range = state.evaluated..end;
            let positions: Vec<u32> = range.clone().map(|i| i as u32).collect();
            let in_step = wanted.iter().filter(|w| range.contains(w));
            let wanted: Vec<u32> = in_step.map(|w| (w - range.start) as u32).collect();
            let step = Step {
                tokens: &state.tokens[range.clone()],
                positions: &positions,
                spans: &[Span { seq: state.seq, len: range.len() as u32 }],
                wanted: &wanted,
                pick: Pick::All,
            };
            logits.extend(core.device.run(&mut core.plan, &mut core.cache, &step)?.values);
            state.evaluated = end;
        }
        Ok(logits)
    }

    /// A new session that has read the first `length` tokens of this one.
    pub fn fork(&self, length: u32) -> Result<Session<H>, Error> {
        let state = self.sequence.state.borrow();
        self.check_length(length)?;
        let evaluated = state.evaluated.min(length as usize);
        let seq = {
            let core = &mut *self.shared.core()?.borrow_mut();
            core.device.fork(&mut core.cache, state.seq, evaluated as u32)?
        };
        let tokens = state.tokens[..length as usize].to_vec();
        Ok(Session::with(self.shared.clone(), History { seq, tokens, evaluated, busy: false }))
    }

    /// Forgets all but the first `length` tokens.
    pub fn truncate(&self, length: u32) -> Result<(), Error> {
        self.check_idle()?;
        self.check_length(length)?;
        let core = &mut *self.shared.core()?.borrow_mut();
        let state = &mut *self.sequence.state.borrow_mut();
        if (length as usize) < state.evaluated {
            core.device.truncate(&mut core.cache, state.seq, length)?;
            state.evaluated = length as usize;
        }
        state.tokens.truncate(length as usize);
        Ok(())
    }

    /// Starts a generation that continues `prompt`.
    pub fn generate(&self, prompt: &Prompt, options: &GenerateOptions) -> Result<Generation<H>, Error> {
        self.check_idle()?;
        let tokens = self.prompt_tokens(prompt, options)?;
        check_tokens(&tokens, self.shared.info.vocabulary)?;
        // One place must be left for the first generated token.
        self.check_room(tokens.len(), self.shared.info.context_size.saturating_sub(1) as usize)?;
        Generation::start(self.shared.clone(), self.sequence.clone(), tokens, options)
    }

    fn prompt_tokens(&self, prompt: &Prompt, options: &GenerateOptions) -> Result<Vec<u32>, Error> {
        let tokens = match prompt {
            Prompt::Tokens(tokens) => tokens.clone(),
            Prompt::Text(text) => {
                self.shared.tokenizer.check_text()?;
                let special = !options.literal_prompt;
                let mut tokens = self.shared.tokenizer.encode(text, self.is_empty(), special);
                // A tokenizer that ends its input with EOS would end the answer before it begins.
                if self.is_empty()
                    && tokens.len() > 1
                    && tokens.last().copied() == self.shared.tokenizer.eos()
                {
                    tokens.pop();
                }
                tokens
            }
        };
        let state = self.sequence.state.borrow();
        if tokens.is_empty() && state.evaluated == state.tokens.len() {
            return Err(Error::InvalidArgument("the prompt is empty: there is nothing to continue".into()));
        }
        Ok(tokens)
    }

    fn check_idle(&self) -> Result<(), Error> {
        if self.sequence.state.borrow().busy {
            let why = "the session has a generation in progress; drop it first, or fork the session";
            return Err(Error::InvalidArgument(why.into()));
        }
        Ok(())
    }

    fn check_length(&self, length: u32) -> Result<(), Error> {
        if length <= self.len() {
            return Ok(());
        }
        let n = self.len();
        Err(Error::InvalidArgument(format!("length: expected at most {n} (tokens read), found {length}")))
    }

    /// `new` more tokens must leave the session at `most` tokens or fewer.
    fn check_room(&self, new: usize, most: usize) -> Result<(), Error> {
        let n = self.sequence.state.borrow().tokens.len() + new;
        if n <= most {
            return Ok(());
        }
        let n_prompt_tokens = u32::try_from(n).unwrap_or(u32::MAX);
        Err(Error::ContextExceeded { n_prompt_tokens, n_ctx: self.shared.info.context_size })
    }
}

fn check_wanted(wanted: &[u32], tokens: usize) -> Result<(), Error> {
    let increasing = wanted.windows(2).all(|w| w[0] < w[1]);
    if increasing && wanted.last().is_none_or(|&w| (w as usize) < tokens) {
        return Ok(());
    }
    let expected = format!("strictly increasing indices below {tokens}");
    Err(Error::InvalidArgument(format!("wanted: expected {expected}, found {wanted:?}")))
}
