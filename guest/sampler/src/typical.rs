//! Locally typical sampling (Meister et al. 2022): tokens whose surprise is nearest to the entropy, up to a sum of p.

use crate::state::State;
use crate::{Candidates, SamplerOptions};

pub(crate) fn apply(o: &SamplerOptions, _: &mut State, candidates: &mut Candidates) {
    if o.typical_p >= 1.0 || candidates.list.is_empty() {
        return;
    }
    candidates.sort();
    let probabilities = candidates.probabilities();
    let surprise = |i: usize| -probabilities[i].max(f64::MIN_POSITIVE).ln();
    let entropy = candidates.entropy();
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| (surprise(a) - entropy).abs().total_cmp(&(surprise(b) - entropy).abs()));
    let mut sum = 0.0;
    let enough = order.iter().position(|&i| {
        sum += probabilities[i];
        sum > f64::from(o.typical_p)
    });
    order.truncate(enough.map_or(order.len(), |last| last + 1));
    order.sort_unstable();
    candidates.list = order.into_iter().map(|i| candidates.list[i]).collect();
}
