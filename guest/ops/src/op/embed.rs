//! Token embedding: `out[t] = table[token[t]]`.

use crate::context::{Context, width};
use crate::error::NodeError;
use crate::plan::{Rows, Shape, TensorId};
use crate::tensor::TensorView;
use alloc::vec;
use alloc::vec::Vec;

/// Looks up one row of `table` `(vocab, cols)` per token of the step. Out: `(tokens, cols)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Embed {
    /// `(rows = vocabulary, cols)`, any readable type.
    pub table: TensorId,
}

impl Embed {
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<Shape, NodeError> {
        let table = cx.tensor(self.table)?;
        Ok(Shape { rows: Rows::Tokens, cols: width(table, table.cols)? })
    }

    /// Scalar reference. `tokens` are below `table.rows()`. Returns `(tokens, cols)`.
    pub fn reference(table: TensorView<'_>, tokens: &[u32]) -> Vec<f32> {
        let mut out = vec![0.0; tokens.len() * table.cols()];
        for (out, &token) in out.chunks_exact_mut(table.cols()).zip(tokens) {
            table.row(token as usize, out);
        }
        out
    }
}
