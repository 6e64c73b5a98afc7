//! Top-p, nucleus sampling (Holtzman et al. 2020): the fewest most likely tokens whose probabilities sum to p.

use crate::state::State;
use crate::{Candidates, SamplerOptions};

pub(crate) fn apply(o: &SamplerOptions, _: &mut State, candidates: &mut Candidates) {
    if o.top_p >= 1.0 || candidates.list.is_empty() {
        return;
    }
    candidates.sort();
    let mut sum = 0.0;
    let enough = candidates.probabilities().iter().position(|p| {
        sum += p;
        sum >= f64::from(o.top_p)
    });
    if let Some(last) = enough {
        candidates.keep_best(last + 1);
    }
}
