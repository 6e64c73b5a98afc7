//! The tokens that can still be chosen.

use crate::chain::{Choice, SampleError};
use crate::rng::Rng;
use std::cmp::Ordering;

/// A token with its logit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Token id.
    pub id: u32,
    /// Logit.
    pub logit: f32,
}

/// Candidates of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidates {
    pub(crate) list: Vec<Candidate>,
    /// Best first, ties by lower id.
    sorted: bool,
}

/// Best first, ties by lower id. Logits are not NaN here.
fn better(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id))
}

impl Candidates {
    /// One per logit.
    pub fn from_logits(logits: &[f32]) -> Candidates {
        let list = logits.iter().zip(0..).map(|(&logit, id)| Candidate { id, logit }).collect();
        Candidates { list, sorted: false }
    }

    /// The best ones only, best first, as a device returns them.
    pub fn from_top(ids: &[u32], logits: &[f32]) -> Candidates {
        let list = ids.iter().zip(logits).map(|(&id, &logit)| Candidate { id, logit }).collect();
        Candidates { list, sorted: false }
    }

    /// Some logit that is NaN or +infinity.
    pub(crate) fn not_finite(&self) -> Option<Candidate> {
        self.list.iter().copied().find(|c| c.logit.is_nan() || c.logit == f32::INFINITY)
    }

    /// Forgets masked tokens (-infinity).
    pub(crate) fn drop_masked(&mut self) {
        self.list.retain(|c| c.logit > f32::NEG_INFINITY);
    }

    /// The best one.
    pub(crate) fn best(&self) -> Option<Candidate> {
        self.list.iter().copied().min_by(better)
    }

    /// Sorts, best first.
    pub(crate) fn sort(&mut self) {
        if !self.sorted {
            self.list.sort_unstable_by(better);
            self.sorted = true;
        }
    }

    /// Keeps the `k` best, sorted; at least one.
    pub(crate) fn keep_best(&mut self, k: usize) {
        let k = k.max(1);
        if !self.sorted && k < self.list.len() {
            self.list.select_nth_unstable_by(k - 1, better);
        }
        if !self.sorted || k < self.list.len() {
            self.list.truncate(k);
        }
        self.sort();
    }

    /// Changes logits; the order is lost. What overflows becomes the largest or least finite number.
    pub(crate) fn map(&mut self, f: impl Fn(&mut Candidate)) {
        for candidate in &mut self.list {
            f(candidate);
            candidate.logit = candidate.logit.clamp(f32::MIN, f32::MAX);
        }
        self.sorted = false;
    }

    /// Changes logits in a way that keeps their order.
    pub(crate) fn map_monotonic(&mut self, f: impl Fn(&mut Candidate)) {
        self.list.iter_mut().for_each(f);
    }

    /// Probabilities, in the list's order. The list is not empty.
    pub(crate) fn probabilities(&self) -> Vec<f64> {
        let max = self.list.iter().fold(f32::NEG_INFINITY, |m, c| m.max(c.logit));
        let weights: Vec<f64> = self.list.iter().map(|c| f64::from(c.logit - max).exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|w| w / sum).collect()
    }

    /// Entropy, nats. The list is not empty.
    pub(crate) fn entropy(&self) -> f64 {
        self.probabilities().iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum()
    }

    /// Draws one: the first, best first, at which the sum of probabilities passes a uniform number.
    pub(crate) fn draw(&mut self, rng: &mut Rng) -> Result<Choice, SampleError> {
        self.sort();
        if self.list.is_empty() {
            return Err(SampleError::Empty);
        }
        let probabilities = self.probabilities();
        let mut left = rng.uniform();
        let passed = probabilities.iter().position(|p| {
            left -= p;
            left < 0.0
        });
        let chosen = passed.unwrap_or(probabilities.len() - 1);
        let c = self.list[chosen];
        Ok(Choice { token: c.id, logit: c.logit, logprob: probabilities[chosen].ln() as f32 })
    }
}
