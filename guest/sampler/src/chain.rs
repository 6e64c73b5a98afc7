//! The chain: samplers in order, then the draw.

use crate::rng::Rng;
use crate::{Candidates, Error, SamplerKind, SamplerOptions};
use crate::{min_p, penalties, temperature, top_k, top_p};
use std::collections::VecDeque;

/// A sampler: narrows or changes the candidates.
type Apply = fn(&SamplerOptions, &VecDeque<u32>, &mut Candidates);

/// Which function a sampler is.
const SAMPLERS: &[(SamplerKind, Apply)] = &[
    (SamplerKind::Penalties, penalties::apply),
    (SamplerKind::TopK, top_k::apply),
    (SamplerKind::TopP, top_p::apply),
    (SamplerKind::MinP, min_p::apply),
    (SamplerKind::Temperature, temperature::apply),
];

/// The chosen token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Token id.
    pub token: u32,
    /// Its logit after the chain.
    pub logit: f32,
    /// Natural logarithm of its probability after the chain.
    pub logprob: f32,
}

/// Why no token can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// A logit is NaN or +infinity.
    #[error("the logit of token {token} is NaN or infinite")]
    NotFinite {
        /// The token.
        token: u32,
    },
    /// Every token is masked.
    #[error("no token is left to choose from")]
    Empty,
}

/// Chooses tokens, one after the other.
#[derive(Clone, Debug)]
pub struct Chain {
    options: SamplerOptions,
    /// The last `repeat_last_n` tokens.
    history: VecDeque<u32>,
    rng: Rng,
}

impl Chain {
    /// A chain with these settings.
    pub fn new(options: &SamplerOptions) -> Result<Chain, Error> {
        options.validate()?;
        let rng = Rng::new(options.seed);
        Ok(Chain { options: options.clone(), history: VecDeque::new(), rng })
    }

    /// Tells the chain about a token of the text, of the prompt or chosen.
    pub fn accept(&mut self, token: u32) {
        if !self.options.penalises() {
            return;
        }
        if self.history.len() >= self.options.repeat_last_n as usize {
            self.history.pop_front();
        }
        self.history.push_back(token);
    }

    /// Chooses a token.
    pub fn sample(&mut self, mut candidates: Candidates) -> Result<Choice, SampleError> {
        if let Some(bad) = candidates.not_finite() {
            return Err(SampleError::NotFinite { token: bad.id });
        }
        candidates.drop_masked();
        if self.options.temperature == 0.0 {
            return self.greedy(candidates);
        }
        for kind in &self.options.order {
            if let Some((_, apply)) = SAMPLERS.iter().find(|s| s.0 == *kind) {
                apply(&self.options, &self.history, &mut candidates);
            }
        }
        self.draw(candidates)
    }

    /// How many of the best logits are enough for an exactly equal result; `None` if all are needed.
    pub fn top_k_suffices(&self) -> Option<u32> {
        if self.options.penalises() {
            return None;
        }
        if self.options.temperature == 0.0 {
            return Some(1);
        }
        let first = self.options.order.iter().find(|k| **k != SamplerKind::Penalties);
        (first == Some(&SamplerKind::TopK) && self.options.top_k > 0).then_some(self.options.top_k)
    }

    /// The best token after the penalties.
    fn greedy(&self, mut candidates: Candidates) -> Result<Choice, SampleError> {
        penalties::apply(&self.options, &self.history, &mut candidates);
        let best = candidates.best().ok_or(SampleError::Empty)?;
        Ok(Choice { token: best.id, logit: best.logit, logprob: 0.0 })
    }

    /// Draws from what is left: the first candidate, best first, at which the sum of probabilities passes the draw.
    fn draw(&mut self, mut candidates: Candidates) -> Result<Choice, SampleError> {
        candidates.sort();
        if candidates.list.is_empty() {
            return Err(SampleError::Empty);
        }
        let probabilities = candidates.probabilities();
        let mut left = self.rng.uniform();
        let mut chosen = probabilities.len() - 1;
        for (i, p) in probabilities.iter().enumerate() {
            left -= p;
            if left < 0.0 {
                chosen = i;
                break;
            }
        }
        let c = candidates.list[chosen];
        Ok(Choice { token: c.id, logit: c.logit, logprob: probabilities[chosen].ln() as f32 })
    }
}
