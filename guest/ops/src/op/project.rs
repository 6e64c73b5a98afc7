//! Fused projection: the input is normed and quantised once and meets several matrices; GLU or residual at the end.

use super::{Activation, Factor, Norm, NormKind};
use crate::plan::{TensorId, ValueId};
use alloc::vec::Vec;

/// A norm over whole rows, applied to the input of a [`Project`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prologue {
    /// Statistics.
    pub kind: NormKind,
    /// Vector of `n_in` elements.
    pub weight: Option<TensorId>,
    /// Vector of `n_in` elements.
    pub bias: Option<TensorId>,
    /// Added under the root.
    pub eps: f32,
}

/// One matrix of a [`Project`], as in [`super::Linear`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matrix {
    /// `(rows = n_out, cols = n_in)`.
    pub weight: TensorId,
    /// Factor on the product.
    pub scale: Option<Factor>,
    /// Vector of `n_out` elements, or none for 0.
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

/// `epilogue(norm(x) · Wᵢᵀ · sᵢ + bᵢ)`. In `(r, n_in)`, outs `(r, n_outᵢ)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// Input `(r, n_in)`.
    pub x: ValueId,
    /// Norm of the input, if any.
    pub norm: Option<Prologue>,
    /// One to [`Project::MAX_MATS`] matrices of the same `n_in`.
    pub mats: Vec<Matrix>,
    /// Outputs.
    pub epilogue: Epilogue,
}

impl Project {
    /// Most matrices of one op, so that kernels can keep what they need of each in a fixed array.
    pub const MAX_MATS: usize = 8;
}

impl Prologue {
    /// The norm as an op of its own over `x`, `(r, n_in)`.
    pub fn as_norm(&self, x: ValueId, n_in: u32) -> Norm {
        let Prologue { kind, weight, bias, eps } = *self;
        Norm { x, kind, weight, bias, eps, group: n_in }
    }
}
