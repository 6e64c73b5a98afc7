//! Top-n-sigma (Tang et al. 2024): logits within n standard deviations of the best.

use crate::state::State;
use crate::{Candidates, SamplerOptions};

pub(crate) fn apply(o: &SamplerOptions, _: &mut State, candidates: &mut Candidates) {
    let Some(best) = candidates.best() else { return };
    if o.top_n_sigma <= 0.0 {
        return;
    }
    let n = candidates.list.len() as f64;
    let mean = candidates.list.iter().map(|c| f64::from(c.logit)).sum::<f64>() / n;
    let variance = candidates.list.iter().map(|c| (f64::from(c.logit) - mean).powi(2)).sum::<f64>() / n;
    let least = f64::from(best.logit) - f64::from(o.top_n_sigma) * variance.sqrt();
    candidates.list.retain(|c| f64::from(c.logit) >= least);
}
