//! Keeps the rows whose logits the step asks for.

use crate::plan::ValueId;

/// In `(tokens, c)`, out `(wanted, c)`: row `i` is the row of the step's `i`-th wanted token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gather {
    /// Input `(tokens, c)`.
    pub x: ValueId,
}
