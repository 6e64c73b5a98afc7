//! Min-p (Nguyen et al. 2024): tokens at least p times as likely as the likeliest.

use crate::{Candidates, SamplerOptions};
use std::collections::VecDeque;

pub(crate) fn apply(o: &SamplerOptions, _: &VecDeque<u32>, candidates: &mut Candidates) {
    if o.min_p <= 0.0 {
        return;
    }
    let Some(best) = candidates.best() else { return };
    // Probabilities divide as logits subtract.
    let least = best.logit + o.min_p.ln();
    candidates.list.retain(|c| c.logit >= least);
}
