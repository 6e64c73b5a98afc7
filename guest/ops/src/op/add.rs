//! Elementwise sum of two values of one shape.

use crate::context::Context;
use crate::error::NodeError;
use crate::plan::{Shape, ValueId};
use alloc::vec::Vec;

/// Inputs and output `(r, c)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Add {
    /// First operand.
    pub a: ValueId,
    /// Second operand.
    pub b: ValueId,
}

impl Add {
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<Shape, NodeError> {
        cx.same(self.a, self.b)
    }

    /// Scalar reference, element by element.
    pub fn reference(a: &[f32], b: &[f32]) -> Vec<f32> {
        a.iter().zip(b).map(|(a, b)| a + b).collect()
    }
}
