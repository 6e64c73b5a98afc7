//! Continuous batching: one step of the device advances every active generation of a model.
//!
//! Tokens of a step: first the generations that wait for their next token (one token each), then prompts, in order of
//! arrival, until the step is full. A generation whose last token was in the step gets its next token sampled.

use crate::generation::{Event, Finish, FinishReason, TokenEvent, Usage};
use crate::model::Core;
use crate::session::History;
use crate::stop::StopMatcher;
use crate::{Error, GenerateOptions};
use chord_ops::{Device, Pick, Picked, Span, Step};
use chord_sampler::{Candidates, Chain, SampleError};
use chord_tokenizer::{Detokenizer, Tokenizer};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// Names an active generation of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GenerationId(u64);

/// The active generations of a model, in order of arrival.
#[derive(Default)]
pub(crate) struct Scheduler {
    active: BTreeMap<GenerationId, Active>,
    next: u64,
}

/// One generation in progress.
pub(crate) struct Active {
    tokenizer: Rc<Tokenizer>,
    history: Rc<RefCell<History>>,
    chain: Chain,
    text: Detokenizer,
    stop: StopMatcher,
    remaining: Option<u32>,
    ignore_eos: bool,
    logprobs: bool,
    usage: Usage,
    events: VecDeque<Event>,
    state: State,
}

enum State {
    Running,
    Finished,
    /// Failed; the error is handed out once, then the stream has ended.
    Failed(Error),
}

impl Active {
    /// Puts the prompt at the end of the session and marks the session busy.
    pub(crate) fn new(
        tokenizer: Rc<Tokenizer>,
        history: Rc<RefCell<History>>,
        prompt: Vec<u32>,
        options: &GenerateOptions,
    ) -> Result<Active, Error> {
        let mut chain = Chain::new(&options.sampler_for(&tokenizer))?;
        let usage = {
            let h = &mut *history.borrow_mut();
            let cached_tokens = h.evaluated as u32;
            h.tokens.extend(prompt);
            h.tokens.iter().for_each(|&t| chain.accept(t));
            h.busy = true;
            Usage { prompt_tokens: h.tokens.len() as u32, cached_tokens, completion_tokens: 0 }
        };
        Ok(Active {
            text: tokenizer.stream(),
            tokenizer,
            history,
            chain,
            stop: StopMatcher::new(&options.stop),
            remaining: options.max_tokens,
            ignore_eos: options.ignore_eos,
            logprobs: options.logprobs,
            usage,
            events: VecDeque::new(),
            state: State::Running,
        })
    }

    /// Tokens that are not in the cache yet.
    fn pending(&self) -> usize {
        let h = self.history.borrow();
        h.tokens.len() - h.evaluated
    }

    fn is_running(&self) -> bool {
        matches!(self.state, State::Running)
    }

    /// Largest logits that are enough to choose the next token, if not all are needed.
    fn top_k_suffices(&self) -> Option<u32> {
        if self.logprobs { None } else { self.chain.top_k_suffices() }
    }

    /// The session's last token has been read: choose the next one.
    fn choose(&mut self, candidates: Candidates, logits: Option<&[f32]>, n_ctx: u32) {
        if self.usage.completion_tokens == 0 {
            self.events.push_back(Event::PromptDone(self.usage));
        }
        if self.remaining == Some(0) {
            return self.finish(FinishReason::Length);
        }
        match self.chain.sample(candidates) {
            Err(SampleError::NotFinite { .. }) => self.finish(FinishReason::InvalidLogits),
            Err(e) => self.state = State::Failed(Error::Device(e.to_string())),
            Ok(choice) => {
                let logprob = logits.filter(|_| self.logprobs).map(|l| log_probability(l, choice.token));
                self.accept(choice.token, logprob, n_ctx);
            }
        }
    }

    fn accept(&mut self, token: u32, logprob: Option<f32>, n_ctx: u32) {
        self.chain.accept(token);
        self.usage.completion_tokens += 1;
        self.remaining = self.remaining.map(|n| n - 1);
        let length = {
            let h = &mut *self.history.borrow_mut();
            h.tokens.push(token);
            h.tokens.len()
        };
        let ends = self.tokenizer.is_end_of_generation(token);
        let text = if ends { String::new() } else { self.text.push(&self.tokenizer, token) };
        let matched = self.stop.push(&text);
        self.events.push_back(Event::Token(TokenEvent { id: token, text: matched.emit, logprob }));
        if ends && !self.ignore_eos {
            self.finish(FinishReason::End);
        } else if matched.stopped {
            self.finish(FinishReason::Stop);
        } else if self.remaining == Some(0) {
            self.finish(FinishReason::Length);
        } else if length >= n_ctx as usize {
            self.finish(FinishReason::ContextFull);
        }
    }

    fn finish(&mut self, reason: FinishReason) {
        let text = match reason {
            FinishReason::Stop => String::new(),
            _ => {
                let rest = self.text.finish();
                self.stop.push(&rest).emit + &self.stop.finish()
            }
        };
        self.events.push_back(Event::Finish(Finish { reason, usage: self.usage, text }));
        self.state = State::Finished;
    }
}

/// `ln softmax(logits)[token]`.
fn log_probability(logits: &[f32], token: u32) -> f32 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&l| f64::from(l - max).exp()).sum();
    let logit = logits.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
    (f64::from(logit - max) - sum.ln()) as f32
}

impl Scheduler {
    pub(crate) fn add(&mut self, active: Active) -> GenerationId {
        let id = GenerationId(self.next);
        self.next += 1;
        self.active.insert(id, active);
        id
    }

    pub(crate) fn remove(&mut self, id: GenerationId) {
        self.active.remove(&id);
    }

    /// Whether `id` is running and has no event to hand out.
    pub(crate) fn must_step(&self, id: GenerationId) -> bool {
        self.active.get(&id).is_some_and(|a| a.events.is_empty() && a.is_running())
    }

    pub(crate) fn take_events(&mut self, id: GenerationId) -> Result<Vec<Event>, Error> {
        let Some(active) = self.active.get_mut(&id) else { return Ok(Vec::new()) };
        if !active.events.is_empty() {
            return Ok(active.events.drain(..).collect());
        }
        match std::mem::replace(&mut active.state, State::Finished) {
            State::Failed(e) => Err(e),
            state => {
                active.state = state;
                Ok(Vec::new())
            }
        }
    }

    /// Which generations take part in the next step, and with how many tokens.
    fn batch(&self, step_tokens: usize) -> Vec<(GenerationId, usize)> {
        let running = || self.active.iter().filter(|(_, a)| a.is_running() && a.pending() > 0);
        let waiting = running().filter(|(_, a)| a.pending() == 1);
        let prompts = running().filter(|(_, a)| a.pending() > 1);
        let mut room = step_tokens;
        let mut batch = Vec::new();
        for (&id, active) in waiting.chain(prompts) {
            let take = active.pending().min(room);
            if take == 0 {
                break;
            }
            room -= take;
            batch.push((id, take));
        }
        batch
    }
}

/// The tokens of one step.
#[derive(Default)]
struct Batch {
    tokens: Vec<u32>,
    positions: Vec<u32>,
    spans: Vec<Span>,
    wanted: Vec<u32>,
    /// Generations whose last token is in the step: one per wanted row.
    sampled: Vec<GenerationId>,
}

impl<D: Device> Core<D> {
    /// Runs one step. A failure ends the generations that took part in it.
    pub(crate) fn step(&mut self, n_ctx: u32) {
        let parts = self.scheduler.batch(self.step_tokens as usize);
        let batch = self.gather(&parts);
        let pick = self.pick(&batch);
        let step = Step {
            tokens: &batch.tokens,
            positions: &batch.positions,
            spans: &batch.spans,
            wanted: &batch.wanted,
            pick,
        };
        match self.device.run(&mut self.plan, &mut self.cache, &step) {
            Ok(picked) => self.scatter(&parts, &batch, &picked, n_ctx),
            Err(e) => self.fail(&parts, e.into()),
        }
    }

    fn gather(&self, parts: &[(GenerationId, usize)]) -> Batch {
        let mut batch = Batch::default();
        for &(id, take) in parts {
            let active = &self.scheduler.active[&id];
            let h = active.history.borrow();
            let range = h.evaluated..h.evaluated + take;
            batch.tokens.extend_from_slice(&h.tokens[range.clone()]);
            batch.positions.extend(range.clone().map(|i| i as u32));
            batch.spans.push(Span { seq: h.seq, len: take as u32 });
            if range.end == h.tokens.len() {
                batch.wanted.push(batch.tokens.len() as u32 - 1);
                batch.sampled.push(id);
            }
        }
        batch
    }

    /// The fewest logits that every generation of the step can do with.
    fn pick(&self, batch: &Batch) -> Pick {
        let needs = batch.sampled.iter().map(|id| self.scheduler.active[id].top_k_suffices());
        match needs.collect::<Option<Vec<u32>>>() {
            Some(ks) => Pick::Top(ks.into_iter().max().unwrap_or(1).max(1)),
            None => Pick::All,
        }
    }

    fn scatter(&mut self, parts: &[(GenerationId, usize)], batch: &Batch, picked: &Picked, n_ctx: u32) {
        for (id, take) in parts {
            if let Some(active) = self.scheduler.active.get_mut(id) {
                active.history.borrow_mut().evaluated += take;
            }
        }
        let k = picked.k as usize;
        for (row, id) in batch.sampled.iter().enumerate() {
            let Some(active) = self.scheduler.active.get_mut(id) else { continue };
            let values = &picked.values[row * k..(row + 1) * k];
            if picked.indices.is_empty() {
                active.choose(Candidates::from_logits(values), Some(values), n_ctx);
            } else {
                let ids = &picked.indices[row * k..(row + 1) * k];
                active.choose(Candidates::from_top(ids, values), None, n_ctx);
            }
        }
    }

    fn fail(&mut self, parts: &[(GenerationId, usize)], error: Error) {
        for (id, _) in parts {
            if let Some(active) = self.scheduler.active.get_mut(id) {
                active.state = State::Failed(error.clone());
            }
        }
    }
}
