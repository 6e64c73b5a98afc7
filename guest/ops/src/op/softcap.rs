//! Soft capping (Gemma 2): keeps values within `±cap`, smoothly.

use crate::plan::ValueId;

/// `out = cap * tanh(x / cap)`, `(r, c)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Softcap {
    /// Input.
    pub x: ValueId,
    /// Bound; finite, > 0.
    pub cap: f32,
}
