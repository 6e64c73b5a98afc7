//! Min-p (Nguyen et al. 2024): tokens at least p times as likely as the likeliest.

use crate::state::State;
use crate::{Candidates, SamplerOptions};

pub(crate) fn apply(o: &SamplerOptions, _: &mut State, candidates: &mut Candidates) {
    if o.min_p <= 0.0 {
        return;
    }
    let Some(best) = candidates.best() else { return };
    // Probabilities divide as logits subtract.
    let least = best.logit + o.min_p.ln();
    candidates.list.retain(|c| c.logit >= least);
}
