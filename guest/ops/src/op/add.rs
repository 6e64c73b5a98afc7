//! Elementwise sum of two values of one shape.

use crate::plan::ValueId;

/// Inputs and output `(r, c)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Add {
    /// First operand.
    pub a: ValueId,
    /// Second operand.
    pub b: ValueId,
}
