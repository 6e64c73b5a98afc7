//! Temperature: logits are divided by it. 0 is handled by the chain.

use crate::{Candidates, SamplerOptions};
use std::collections::VecDeque;

pub(crate) fn apply(o: &SamplerOptions, _: &VecDeque<u32>, candidates: &mut Candidates) {
    // Differences to the best, so that a tiny temperature cannot overflow.
    let Some(best) = candidates.best() else { return };
    candidates.map_monotonic(|c| c.logit = (c.logit - best.logit) / o.temperature);
}
