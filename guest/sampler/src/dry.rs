//! DRY, "don't repeat yourself" (p-e-w 2024): tokens that would go on with a repetition of the text's end.
//!
//! The penalty grows with the length of the repetition: `multiplier * base^(length - allowed)`. A repetition does not
//! reach back over a sequence breaker, and a breaker itself is never punished.

use crate::state::State;
use crate::{Candidates, SamplerOptions};
use std::collections::HashMap;

pub(crate) fn apply(o: &SamplerOptions, state: &mut State, candidates: &mut Candidates) {
    if !o.dry() {
        return;
    }
    let text = state.last(o.dry_last_n);
    let allowed = o.dry_allowed_length as usize;
    let reach = since_breaker(text, &o.dry_breakers);
    if text.len() <= allowed || reach < allowed {
        return;
    }
    let mut longest: HashMap<u32, usize> = HashMap::new();
    for (next, length) in repetitions(text) {
        let length = length.min(reach);
        if length >= allowed {
            let known = longest.entry(next).or_default();
            *known = length.max(*known);
        }
    }
    longest.retain(|next, _| !o.dry_breakers.iter().any(|b| b == &[*next]));
    candidates.map(|c| {
        if let Some(&length) = longest.get(&c.id) {
            c.logit -= o.dry_multiplier * o.dry_base.powf((length - allowed) as f32);
        }
    });
}

/// Tokens after the last breaker in `text`; all of them if there is none.
fn since_breaker(text: &[u32], breakers: &[Vec<u32>]) -> usize {
    let after = |start: usize| {
        let fits = breakers.iter().filter(|b| !b.is_empty() && text[start..].starts_with(b));
        fits.map(|b| text.len() - start - b.len()).min()
    };
    (0..text.len()).rev().find_map(after).unwrap_or(text.len())
}

/// For each earlier place at which the text's end occurs too: the token that follows there, and for how many tokens
/// the two are equal. Linear time, by the Z function of the reversed text (Gusfield 1997, section 1.4).
fn repetitions(text: &[u32]) -> Vec<(u32, usize)> {
    let n = text.len();
    let at = |i: usize| text[n - 1 - i];
    let mut lengths = vec![0usize; n];
    let mut found = Vec::new();
    // The match that reaches furthest.
    let (mut left, mut right) = (0, 0);
    for i in 1..n {
        let mut length = if i < right { lengths[i - left].min(right - i) } else { 0 };
        while i + length < n && at(length) == at(i + length) {
            length += 1;
        }
        lengths[i] = length;
        if i + length > right {
            (left, right) = (i, i + length);
        }
        if length > 0 {
            found.push((at(i - 1), length));
        }
    }
    found
}
