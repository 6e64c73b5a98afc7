//! The wanted rows.

use super::{Compiler, Stage, rows_per_piece};
use crate::exec::{Slot, Worker};
use chord_ops::{ValueId, op};

pub(crate) struct Gather {
    x: Slot,
    out: Slot,
}

impl Gather {
    pub(crate) fn new(cx: &Compiler<'_>, op: &op::Gather, outs: &[ValueId]) -> Gather {
        Gather { x: cx.slot(op.x), out: cx.slot(outs[0]) }
    }
}

impl Stage for Gather {
    fn run(&self, _: usize, worker: &mut Worker<'_>) {
        let (run, cols) = (worker.run, self.out.cols);
        let wanted = run.step.wanted;
        worker.each(wanted.len(), rows_per_piece(wanted.len(), cols, worker.threads()), |mut piece, _| {
            let wanted = &wanted[piece.items.clone()];
            for (row, &token) in piece.rows(run, &self.out).chunks_exact_mut(cols).zip(wanted) {
                row.copy_from_slice(run.value(&self.x, token as usize..token as usize + 1));
            }
        });
    }
}
