//! Soft capping (Gemma 2): keeps values within `±cap`, smoothly.

use crate::context::{Context, positive};
use crate::error::NodeError;
use crate::plan::{Shape, ValueId};
use alloc::vec::Vec;

/// `out = cap * tanh(x / cap)`, `(r, c)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Softcap {
    /// Input.
    pub x: ValueId,
    /// Bound; finite, > 0.
    pub cap: f32,
}

impl Softcap {
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<Shape, NodeError> {
        positive("cap", self.cap)?;
        cx.value(self.x)
    }

    /// Scalar reference, element by element.
    pub fn reference(&self, x: &[f32]) -> Vec<f32> {
        x.iter().map(|&x| capped(f64::from(x), self.cap) as f32).collect()
    }
}

/// `cap * tanh(x / cap)`.
pub(crate) fn capped(x: f64, cap: f32) -> f64 {
    f64::from(cap) * libm::tanh(x / f64::from(cap))
}
