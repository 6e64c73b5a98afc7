//! Keeps the rows whose logits the step asks for.

use crate::context::Context;
use crate::error::NodeError;
use crate::plan::{Rows, Shape, ValueId};
use alloc::vec::Vec;

/// In `(tokens, c)`, out `(wanted, c)`: row `i` is the row of the step's `i`-th wanted token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gather {
    /// Input `(tokens, c)`.
    pub x: ValueId,
}

impl Gather {
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<Shape, NodeError> {
        Ok(Shape { rows: Rows::Wanted, cols: cx.tokens("x", self.x)? })
    }

    /// Scalar reference. `x` is `(tokens, cols)`, `wanted` are indices of its rows.
    pub fn reference(x: &[f32], cols: usize, wanted: &[u32]) -> Vec<f32> {
        wanted.iter().flat_map(|&t| &x[t as usize * cols..][..cols]).copied().collect()
    }
}
