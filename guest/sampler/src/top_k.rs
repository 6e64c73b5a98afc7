//! Top-k (Fan et al. 2018): the k most likely tokens.

use crate::{Candidates, SamplerOptions};
use std::collections::VecDeque;

pub(crate) fn apply(o: &SamplerOptions, _: &VecDeque<u32>, candidates: &mut Candidates) {
    if o.top_k > 0 {
        candidates.keep_best(o.top_k as usize);
    }
}
