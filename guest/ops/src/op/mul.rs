//! Elementwise product of two values of one shape.

use crate::plan::ValueId;

/// Inputs and output `(r, c)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mul {
    /// First operand.
    pub a: ValueId,
    /// Second operand.
    pub b: ValueId,
}
