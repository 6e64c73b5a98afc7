//! Matrix product: `out = x · weightᵀ · scale + bias`.

use crate::context::Context;
use crate::error::NodeError;
use crate::plan::{Shape, TensorId, ValueId};
use crate::tensor::TensorView;
use alloc::vec;
use alloc::vec::Vec;

/// In `(r, n_in)`, out `(r, n_out)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// Input `(r, n_in)`.
    pub x: ValueId,
    /// `(rows = n_out, cols = n_in)`, any readable type.
    pub weight: TensorId,
    /// Factor on the product.
    pub scale: Option<Factor>,
    /// Vector of `n_out` elements, or none for 0.
    pub bias: Option<TensorId>,
}

/// A factor from a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factor {
    /// Vector of one element.
    pub by: TensorId,
    /// Whether the bias is multiplied, too: `(x · weightᵀ + bias) · scale`.
    pub of_bias: bool,
}

impl Factor {
    /// A factor on the product alone.
    pub fn of_product(by: TensorId) -> Factor {
        Factor { by, of_bias: false }
    }
}

impl Linear {
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<Shape, NodeError> {
        let Shape { rows, cols: n_in } = cx.value(self.x)?;
        let n_out = cx.matrix(self.weight, n_in)?;
        cx.vector("scale", self.scale.map(|s| s.by), 1)?;
        cx.vector("bias", self.bias, n_out)?;
        Ok(Shape { rows, cols: n_out })
    }

    /// Scalar reference. `x` is `(r, n_in)`, `weight` `(n_out, n_in)`, `bias` `n_out` (scaled, if it is to be). Returns
    /// `(r, n_out)`.
    pub fn reference(x: &[f32], weight: TensorView<'_>, scale: f32, bias: Option<&[f32]>) -> Vec<f32> {
        let (n_in, n_out) = (weight.cols(), weight.rows());
        let mut out = vec![0.0; x.len() / n_in * n_out];
        let mut w = vec![0.0; n_in];
        for o in 0..n_out {
            weight.row(o, &mut w);
            let bias = bias.map_or(0.0, |b| f64::from(b[o]));
            for (t, x) in x.chunks_exact(n_in).enumerate() {
                out[t * n_out + o] = (dot(x, &w) * f64::from(scale) + bias) as f32;
            }
        }
        out
    }
}

/// `Σ a[i] * b[i]`, exact products, summed in f64.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}
