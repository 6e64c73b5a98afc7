//! Temperature: logits are divided by it. 0 is handled by the chain.
//!
//! Dynamic temperature (kalomaze 2023) takes it from `temperature - range` to `temperature + range`: the entropy's share
//! of the largest possible entropy, to the power of an exponent, tells how far.

use crate::state::State;
use crate::{Candidates, SamplerOptions};

pub(crate) fn apply(o: &SamplerOptions, _: &mut State, candidates: &mut Candidates) {
    let Some(best) = candidates.best() else { return };
    let temperature = match o.dynatemp_range > 0.0 {
        true => dynamic(o, candidates),
        false => o.temperature,
    };
    if temperature <= 0.0 {
        return candidates.keep_best(1);
    }
    // Differences to the best, so that a tiny temperature cannot overflow.
    candidates.map_monotonic(|c| c.logit = (c.logit - best.logit) / temperature);
}

fn dynamic(o: &SamplerOptions, candidates: &Candidates) -> f32 {
    let least = (o.temperature - o.dynatemp_range).max(0.0);
    let most = o.temperature + o.dynatemp_range;
    let count = candidates.list.len();
    if count < 2 {
        return o.temperature;
    }
    let share = candidates.entropy() / (count as f64).ln();
    least + (most - least) * (share as f32).powf(o.dynatemp_exponent)
}
