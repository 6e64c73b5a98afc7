//! Product with a constant.

use crate::context::{Context, finite};
use crate::error::NodeError;
use crate::plan::{Shape, ValueId};
use alloc::vec::Vec;

/// `out = x * by`, `(r, c)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Input.
    pub x: ValueId,
    /// Factor; finite.
    pub by: f32,
}

impl Scale {
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<Shape, NodeError> {
        finite("by", self.by)?;
        cx.value(self.x)
    }

    /// Scalar reference, element by element.
    pub fn reference(&self, x: &[f32]) -> Vec<f32> {
        x.iter().map(|x| x * self.by).collect()
    }
}
