//! What a chain remembers from token to token.

use crate::SamplerOptions;
use crate::rng::Rng;

/// State of a [`crate::Chain`].
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// Tokens of the text so far, if a sampler looks back.
    pub(crate) history: Vec<u32>,
    /// The one source of chance.
    pub(crate) rng: Rng,
    /// Mirostat's bound on the surprise, bits.
    pub(crate) mu: f32,
}

impl State {
    pub(crate) fn new(options: &SamplerOptions) -> State {
        let mu = options.mirostat.map_or(0.0, |m| 2.0 * m.tau);
        State { history: Vec::new(), rng: Rng::new(options.seed), mu }
    }

    /// The last `n` tokens.
    pub(crate) fn last(&self, n: u32) -> &[u32] {
        &self.history[self.history.len().saturating_sub(n as usize)..]
    }
}
