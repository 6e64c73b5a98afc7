//! The chain: samplers in order, then the draw.

use crate::state::State;
use crate::{Candidates, Error, SamplerKind, SamplerOptions};
use crate::{
    dry, logit_bias, min_p, mirostat, penalties, temperature, top_k, top_n_sigma, top_p, typical, xtc,
};

/// A sampler: narrows or changes the candidates.
type Apply = fn(&SamplerOptions, &mut State, &mut Candidates);

/// Which function a sampler is.
const SAMPLERS: &[(SamplerKind, Apply)] = &[
    (SamplerKind::Penalties, penalties::apply),
    (SamplerKind::Dry, dry::apply),
    (SamplerKind::TopNSigma, top_n_sigma::apply),
    (SamplerKind::TopK, top_k::apply),
    (SamplerKind::Typical, typical::apply),
    (SamplerKind::TopP, top_p::apply),
    (SamplerKind::MinP, min_p::apply),
    (SamplerKind::Xtc, xtc::apply),
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
    state: State,
}

impl Chain {
    /// A chain with these settings.
    pub fn new(options: &SamplerOptions) -> Result<Chain, Error> {
        options.validate()?;
        Ok(Chain { options: options.clone(), state: State::new(options) })
    }

    /// Tells the chain about a token of the text, of the prompt or chosen.
    pub fn accept(&mut self, token: u32) {
        if self.options.looks_back() {
            self.state.history.push(token);
        }
    }

    /// Chooses a token.
    pub fn sample(&mut self, mut candidates: Candidates) -> Result<Choice, SampleError> {
        if let Some(bad) = candidates.not_finite() {
            return Err(SampleError::NotFinite { token: bad.id });
        }
        candidates.drop_masked();
        logit_bias::apply(&self.options, &mut candidates);
        if self.options.temperature == 0.0 {
            return self.greedy(candidates);
        }
        if let Some(mirostat) = self.options.mirostat {
            temperature::apply(&self.options, &mut self.state, &mut candidates);
            return mirostat::draw(mirostat, &mut self.state, candidates);
        }
        for kind in &self.options.order {
            if let Some((_, apply)) = SAMPLERS.iter().find(|s| s.0 == *kind) {
                apply(&self.options, &mut self.state, &mut candidates);
            }
        }
        candidates.draw(&mut self.state.rng)
    }

    /// How many of the best logits are enough for an exactly equal result; `None` if all are needed.
    pub fn top_k_suffices(&self) -> Option<u32> {
        let o = &self.options;
        if o.looks_back() || !o.logit_bias.is_empty() {
            return None;
        }
        if o.temperature == 0.0 {
            return Some(1);
        }
        let first = o.order.iter().find(|k| !o.is_off(**k));
        (o.mirostat.is_none() && first == Some(&SamplerKind::TopK)).then_some(o.top_k)
    }

    /// The best token after the samplers that look back.
    fn greedy(&mut self, mut candidates: Candidates) -> Result<Choice, SampleError> {
        penalties::apply(&self.options, &mut self.state, &mut candidates);
        dry::apply(&self.options, &mut self.state, &mut candidates);
        let best = candidates.best().ok_or(SampleError::Empty)?;
        Ok(Choice { token: best.id, logit: best.logit, logprob: 0.0 })
    }
}
