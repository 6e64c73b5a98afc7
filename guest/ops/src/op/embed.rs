//! Token embedding: `out[t] = table[token[t]]`.

use crate::plan::TensorId;

/// Looks up one row of `table` `(vocab, cols)` per token of the step. Out: `(tokens, cols)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Embed {
    /// `(rows = vocabulary, cols)`, any readable type.
    pub table: TensorId,
}
