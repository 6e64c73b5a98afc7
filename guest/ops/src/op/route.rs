//! Routing of a mixture of experts (Shazeer et al. 2017, Jiang et al. 2024): which experts a token meets, and how much
//! each counts.

use crate::context::{Context, finite, require};
use crate::error::NodeError;
use crate::plan::{Shape, ValueId};
use alloc::vec;
use alloc::vec::Vec;

/// In `(r, count)`, out `(r, 2 * used)`: the numbers of the `used` best experts, best first, ties by lower number; then
/// their weights, the softmax over all experts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Route {
    /// Router logits.
    pub logits: ValueId,
    /// Experts per token, from 1 to [`Route::MAX_USED`].
    pub used: u32,
    /// Whether the weights of the chosen experts are divided by their sum.
    pub normalise: bool,
    /// Factor on the weights.
    pub scale: f32,
}

impl Route {
    /// Most experts of a layer.
    pub const MAX_COUNT: u32 = 4096;
    /// Most experts of a token.
    pub const MAX_USED: u32 = 64;

    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<Shape, NodeError> {
        let Shape { rows, cols: count } = cx.value(self.logits)?;
        require("experts", count, count <= Route::MAX_COUNT, "at most 4096")?;
        let used = self.used;
        let ok = (1..=Route::MAX_USED.min(count)).contains(&used);
        require("used", used, ok, "from 1 to 64, and to the number of experts")?;
        finite("scale", self.scale)?;
        Ok(Shape { rows, cols: 2 * used })
    }

    /// The expert that a number in a route names. Numbers that name none count as the nearest, NaN as 0.
    pub fn expert(number: f32, count: u32) -> u32 {
        (number as u32).min(count.saturating_sub(1))
    }

    /// One row: `logits` of all experts to `out`, `2 * used` elements.
    pub fn row(&self, logits: &[f32], out: &mut [f32]) {
        let (numbers, weights) = out.split_at_mut(self.used as usize);
        // NaN is chosen last; it makes all weights NaN below.
        let key = |i: usize| if logits[i].is_nan() { f32::NEG_INFINITY } else { logits[i] };
        let mut last: Option<(f32, usize)> = None;
        for number in numbers.iter_mut() {
            let mut best: Option<(f32, usize)> = None;
            for i in 0..logits.len() {
                let after = last.is_none_or(|(l, j)| key(i) < l || (key(i) == l && i > j));
                if after && best.is_none_or(|(b, _)| key(i) > b) {
                    best = Some((key(i), i));
                }
            }
            *number = best.map_or(0.0, |(_, i)| i as f32);
            last = best.or(last);
        }
        let largest = key(numbers[0] as usize);
        let power = |l: f32| libm::exp(f64::from(l) - f64::from(largest));
        let chosen = || numbers.iter().map(|&n| power(logits[n as usize]));
        let sum: f64 = logits.iter().map(|&l| power(l)).sum();
        let divisor = if self.normalise && !sum.is_nan() { chosen().sum() } else { sum };
        for (weight, power) in weights.iter_mut().zip(chosen()) {
            *weight = (power / divisor * f64::from(self.scale)) as f32;
        }
    }

    /// Scalar reference. `logits` is `(r, count)`. Returns `(r, 2 * used)`.
    pub fn reference(&self, logits: &[f32], count: usize) -> Vec<f32> {
        let width = 2 * self.used as usize;
        let mut out = vec![0.0; logits.len() / count * width];
        let rows = logits.chunks_exact(count).zip(out.chunks_exact_mut(width));
        rows.for_each(|(logits, out)| self.row(logits, out));
        out
    }
}
