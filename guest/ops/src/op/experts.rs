//! Matrix products with the matrices of the experts that a route chose.

use super::linear::dot;
use super::route::Route;
use crate::context::{Context, require, width};
use crate::error::NodeError;
use crate::plan::TensorId;
use crate::plan::{Shape, ValueId};
use crate::tensor::TensorView;
use alloc::vec;
use alloc::vec::Vec;

/// In `(r, n_in)`, the same for all experts of a token, or `(r, used * n_in)`, a part for each; and a route
/// `(r, 2 * used)`. Out `(r, used * n_out)`: part `s` is the input times the matrix of the route's expert `s`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Experts {
    /// Input.
    pub x: ValueId,
    /// Which experts: the output of [`Route`].
    pub route: ValueId,
    /// `(rows = count * n_out, cols = n_in)`: the experts' matrices, one after the other.
    pub weight: TensorId,
    /// Number of experts.
    pub count: u32,
    /// Vector of `count` elements: a factor on the products of each expert, or none for 1.
    pub scale: Option<TensorId>,
}

/// Experts per token of a route, which has rows like those of `x`.
pub(crate) fn used(cx: &Context<'_>, x: Shape, route: ValueId) -> Result<u32, NodeError> {
    let Shape { rows, cols } = cx.value(route)?;
    if rows != x.rows {
        return Err(NodeError::Rows { role: "route", expected: x.rows, found: rows });
    }
    require("route", cols, cols.is_multiple_of(2), "as many numbers as weights")?;
    let used = cols / 2;
    require("used", used, (1..=Route::MAX_USED).contains(&used), "from 1 to 64 experts per token")?;
    Ok(used)
}

impl Experts {
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<Shape, NodeError> {
        let x = cx.value(self.x)?;
        let used = used(cx, x, self.route)?;
        let (decl, count) = (cx.tensor(self.weight)?, u64::from(self.count));
        let ok = (1..=Route::MAX_COUNT).contains(&self.count) && decl.rows.is_multiple_of(count);
        require("count", self.count, ok, "from 1 to 4096, and a divisor of the tensor's rows")?;
        cx.vector("scale", self.scale, self.count)?;
        let one = u64::from(x.cols) == decl.cols;
        let each = decl.cols.checked_mul(used.into()) == Some(x.cols.into());
        if !one && !each {
            cx.matrix(self.weight, x.cols)?;
        }
        let cols = (decl.rows / count).saturating_mul(used.into());
        Ok(Shape { rows: x.rows, cols: width(decl, cols)? })
    }

    /// Scalar reference. `x` is `(r, n_in)` or `(r, used * n_in)`, `route` `(r, 2 * used)`, `scale` has `count`
    /// elements. Returns `(r, used * n_out)`.
    pub fn reference(
        &self,
        x: &[f32],
        route: &[f32],
        used: usize,
        weight: TensorView<'_>,
        scale: Option<&[f32]>,
    ) -> Vec<f32> {
        let (n_in, n_out) = (weight.cols(), weight.rows() / self.count as usize);
        let rows = route.len() / (2 * used);
        let parts = x.len() / n_in / rows.max(1);
        let mut out = vec![0.0; rows * used * n_out];
        let mut w = vec![0.0; n_in];
        for (r, route) in route.chunks_exact(2 * used).enumerate() {
            for (s, &number) in route[..used].iter().enumerate() {
                let expert = Route::expert(number, self.count) as usize;
                let scale = scale.map_or(1.0, |s| f64::from(s[expert]));
                let x = &x[(r * parts + s % parts) * n_in..][..n_in];
                for o in 0..n_out {
                    weight.row(expert * n_out + o, &mut w);
                    out[(r * used + s) * n_out + o] = (dot(x, &w) * scale) as f32;
                }
            }
        }
        out
    }
}
