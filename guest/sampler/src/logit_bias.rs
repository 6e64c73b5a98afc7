//! Logit bias (OpenAI's API): a number added to the logits of some tokens; -infinity bans them.

use crate::{Candidates, SamplerOptions};
use std::collections::HashMap;

pub(crate) fn apply(o: &SamplerOptions, candidates: &mut Candidates) {
    if o.logit_bias.is_empty() {
        return;
    }
    let mut biases: HashMap<u32, f32> = HashMap::new();
    o.logit_bias.iter().for_each(|&(id, bias)| *biases.entry(id).or_default() += bias);
    let of = |id: u32| biases.get(&id).copied().unwrap_or(0.0);
    candidates.list.retain(|c| of(c.id) > f32::NEG_INFINITY);
    candidates.map(|c| c.logit += of(c.id));
}
