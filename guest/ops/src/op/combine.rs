//! The weighted sum of what the experts of a token gave.

use super::experts::used;
use crate::context::{Context, require};
use crate::error::NodeError;
use crate::plan::{Shape, ValueId};
use alloc::vec::Vec;

/// In `(r, used * n)` and a route `(r, 2 * used)`, out `(r, n)`: the parts times the route's weights, summed in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Combine {
    /// Input.
    pub x: ValueId,
    /// Weights: the output of [`super::Route`].
    pub route: ValueId,
}

impl Combine {
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<Shape, NodeError> {
        let x = cx.value(self.x)?;
        let used = used(cx, x, self.route)?;
        require("parts", x.cols, x.cols.is_multiple_of(used), "a multiple of the route's experts")?;
        Ok(Shape { rows: x.rows, cols: x.cols / used })
    }

    /// One row: `x` of `used * n`, `weights` of `used`, to `out` of `n` elements.
    pub fn row(x: &[f32], weights: &[f32], out: &mut [f32]) {
        let n = out.len();
        for (s, (part, &weight)) in x.chunks_exact(n).zip(weights).enumerate() {
            for (y, x) in out.iter_mut().zip(part) {
                *y = if s == 0 { weight * x } else { *y + weight * x };
            }
        }
    }

    /// Scalar reference. Returns `(r, n)`.
    pub fn reference(x: &[f32], route: &[f32], used: usize) -> Vec<f32> {
        let width = x.len() / (route.len() / (2 * used)).max(1);
        let rows = x.chunks_exact(width.max(1)).zip(route.chunks_exact(2 * used));
        let mut out = Vec::with_capacity(x.len() / used);
        for (x, route) in rows {
            let start = out.len();
            out.resize(start + width / used, 0.0);
            Combine::row(x, &route[used..], &mut out[start..]);
        }
        out
    }
}
