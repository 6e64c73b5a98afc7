//! Product with a constant.

use crate::plan::ValueId;

/// `out = x * by`, `(r, c)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Input.
    pub x: ValueId,
    /// Factor; finite.
    pub by: f32,
}
