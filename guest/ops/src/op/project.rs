//! Fused projection: the input is normed and quantised once and meets several matrices; GLU or residual at the end.

use super::{Activation, NormKind};
use crate::plan::{TensorId, ValueId};
use alloc::vec::Vec;

/// A norm over whole rows, applied to the input of a [`Project`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prologue {
    /// Statistics.
    pub kind: NormKind,
    /// f32 vector of `n_in` elements.
    pub weight: Option<TensorId>,
    /// f32 vector of `n_in` elements.
    pub bias: Option<TensorId>,
    /// Added under the root.
    pub eps: f32,
}

/// One matrix of a [`Project`], as in [`super::Linear`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matrix {
    /// `(rows = n_out, cols = n_in)`.
    pub weight: TensorId,
    /// f32 vector of `n_out` elements.
    pub bias: Option<TensorId>,
}

/// What happens to the products.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Epilogue {
    /// One output per matrix.
    Each,
    /// Exactly two matrices, gate and up: one output `act(gate) * up`.
    Glu(Activation),
    /// Exactly one matrix: one output `product + residual`.
    Add(ValueId),
}

/// `epilogue(norm(x) · Wᵢᵀ + bᵢ)`. In `(r, n_in)`, outs `(r, n_outᵢ)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// Input `(r, n_in)`.
    pub x: ValueId,
    /// Norm of the input, if any.
    pub norm: Option<Prologue>,
    /// One or more matrices of the same `n_in`.
    pub mats: Vec<Matrix>,
    /// Outputs.
    pub epilogue: Epilogue,
}
