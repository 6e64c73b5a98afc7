//! Penalties on tokens that occurred (Keskar et al. 2019; presence and frequency as in OpenAI's API).

use crate::state::State;
use crate::{Candidates, SamplerOptions};
use std::collections::HashMap;

/// Logits of tokens in the history shrink: divided (or multiplied, below 0) by the repeat penalty, less
/// `count * frequency + presence`.
pub(crate) fn apply(o: &SamplerOptions, state: &mut State, candidates: &mut Candidates) {
    if !o.penalises() || state.history.is_empty() {
        return;
    }
    let mut counts: HashMap<u32, u32> = HashMap::new();
    state.last(o.repeat_last_n).iter().for_each(|&t| *counts.entry(t).or_default() += 1);
    candidates.map(|c| {
        if let Some(&n) = counts.get(&c.id) {
            c.logit *= if c.logit <= 0.0 { o.repeat_penalty } else { 1.0 / o.repeat_penalty };
            c.logit -= n as f32 * o.frequency_penalty + o.presence_penalty;
        }
    });
}
