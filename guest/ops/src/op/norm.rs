//! Normalisation of each row, or of equal groups within each row.

use crate::plan::{TensorId, ValueId};

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
    /// f32 vector of `group` elements, or none for 1.
    pub weight: Option<TensorId>,
    /// f32 vector of `group` elements, or none for 0.
    pub bias: Option<TensorId>,
    /// Added under the root; finite and >= 0.
    pub eps: f32,
    /// Elements normalised together.
    pub group: u32,
}
