//! Normalisation of each row, or of equal groups within each row.

use crate::context::{Context, require};
use crate::error::NodeError;
use crate::plan::{Shape, TensorId, ValueId};
use alloc::vec::Vec;

/// Which statistics a [`Norm`] divides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// `x / sqrt(mean(x²) + eps)` (Zhang & Sennrich 2019).
    Rms,
    /// `(x - mean) / sqrt(var + eps)` (Ba et al. 2016).
    Layer,
}

/// Normalises groups of `group` consecutive elements, then multiplies by `weight` and adds `bias`.
/// In and out: `(r, c)` with `c` a multiple of `group`. `group = c` is the usual norm, `group = head_dim` a per-head norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Input `(r, c)`.
    pub x: ValueId,
    /// Statistics.
    pub kind: NormKind,
    /// Vector of `group` elements, or none for 1.
    pub weight: Option<TensorId>,
    /// Vector of `group` elements, or none for 0.
    pub bias: Option<TensorId>,
    /// Added under the root; finite and >= 0.
    pub eps: f32,
    /// Elements normalised together.
    pub group: u32,
}

impl Norm {
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<Shape, NodeError> {
        let (shape, group) = (cx.value(self.x)?, self.group);
        if group == 0 || !shape.cols.is_multiple_of(group) {
            return Err(NodeError::Group { group, cols: shape.cols });
        }
        require("eps", self.eps, self.eps.is_finite() && self.eps >= 0.0, "a finite number, 0 or more")?;
        cx.vector("weight", self.weight, group)?;
        cx.vector("bias", self.bias, group)?;
        Ok(shape)
    }

    /// Scalar reference. `x` is any number of groups, `weight` and `bias` have `group` elements.
    pub fn reference(&self, x: &[f32], weight: Option<&[f32]>, bias: Option<&[f32]>) -> Vec<f32> {
        x.chunks_exact(self.group as usize).flat_map(|x| self.one_group(x, weight, bias)).collect()
    }

    fn one_group(&self, x: &[f32], weight: Option<&[f32]>, bias: Option<&[f32]>) -> Vec<f32> {
        let mean_of =
            |f: &dyn Fn(f64) -> f64| x.iter().map(|&x| f(f64::from(x))).sum::<f64>() / x.len() as f64;
        let mean = match self.kind {
            NormKind::Rms => 0.0,
            NormKind::Layer => mean_of(&|x| x),
        };
        let var = mean_of(&|x| (x - mean) * (x - mean));
        let scale = 1.0 / libm::sqrt(var + f64::from(self.eps));
        let one = |(i, &x): (usize, &f32)| {
            let y = ((f64::from(x) - mean) * scale) as f32;
            y * weight.map_or(1.0, |w| w[i]) + bias.map_or(0.0, |b| b[i])
        };
        x.iter().enumerate().map(one).collect()
    }
}
