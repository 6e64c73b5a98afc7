//! Top-k (Fan et al. 2018): the k most likely tokens.

use crate::state::State;
use crate::{Candidates, SamplerOptions};

pub(crate) fn apply(o: &SamplerOptions, _: &mut State, candidates: &mut Candidates) {
    if o.top_k > 0 {
        candidates.keep_best(o.top_k as usize);
    }
}
