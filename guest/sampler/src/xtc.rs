//! XTC, "exclude top choices" (p-e-w 2024): with some probability, all but the least of the likely tokens go.

use crate::state::State;
use crate::{Candidates, SamplerOptions};

pub(crate) fn apply(o: &SamplerOptions, state: &mut State, candidates: &mut Candidates) {
    if !o.xtc() || candidates.list.len() < 2 || state.rng.uniform() >= f64::from(o.xtc_probability) {
        return;
    }
    candidates.sort();
    let likely = candidates.probabilities().iter().take_while(|&&p| p >= f64::from(o.xtc_threshold)).count();
    if likely > 1 {
        candidates.list.drain(..likely - 1);
    }
}
