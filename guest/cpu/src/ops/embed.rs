//! Rows of an embedding table, decoded.

use super::{Compiler, Stage, rows_per_piece};
use crate::exec::{Slot, Worker};
use crate::tensor::Tensor;
use chord_ops::{DeviceError, ValueId, op};

pub(crate) struct Embed {
    table: Tensor,
    dequantise: fn(&[u8], &mut [f32]),
    out: Slot,
}

impl Embed {
    pub(crate) fn new(cx: &Compiler<'_>, op: &op::Embed, outs: &[ValueId]) -> Result<Embed, DeviceError> {
        let table = cx.tensor(op.table).clone();
        let unreadable = || DeviceError::Tensor(alloc::format!("type {} cannot be read", table.decl.dtype));
        let dequantise = chord_quant::format(table.decl.dtype).ok_or_else(unreadable)?.dequantise;
        Ok(Embed { table, dequantise, out: cx.slot(outs[0]) })
    }
}

impl Stage for Embed {
    fn run(&self, _: usize, worker: &mut Worker<'_>) {
        let (run, n) = (worker.run, self.table.row_bytes());
        let tokens = run.step.tokens;
        let size = rows_per_piece(tokens.len(), self.out.cols, worker.threads());
        worker.each(tokens.len(), size, |mut piece, _| {
            let tokens = &tokens[piece.items.clone()];
            for (row, &token) in piece.rows(run, &self.out).chunks_exact_mut(self.out.cols).zip(tokens) {
                (self.dequantise)(&self.table.bytes()[token as usize * n..][..n], row);
            }
        });
    }
}
