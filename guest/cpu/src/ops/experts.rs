//! Mixtures of experts: the route, the products with the chosen experts' matrices, their weighted sum.

use super::project::{FEW, MAX_ROWS, Mat, quantise, view};
use super::{Compiler, Stage, rows_per_piece};
use crate::act::ActFormat;
use crate::exec::{Run, Slot, Worker};
use chord_ops::op::{self, Matrix};
use chord_ops::{DeviceError, ValueId};
use core::ops::Range;

pub(crate) struct Route {
    op: op::Route,
    logits: Slot,
    out: Slot,
}

impl Route {
    pub(crate) fn new(cx: &Compiler<'_>, op: &op::Route, outs: &[ValueId]) -> Route {
        Route { op: *op, logits: cx.slot(op.logits), out: cx.slot(outs[0]) }
    }
}

impl Stage for Route {
    fn run(&self, _: usize, worker: &mut Worker<'_>) {
        let run = worker.run;
        worker.each(run.rows(&self.logits), 1, |mut piece, _| {
            let row = piece.items.start;
            self.op.row(run.value(&self.logits, row..row + 1), piece.rows(run, &self.out));
        });
    }
}

pub(crate) struct Combine {
    x: Slot,
    route: Slot,
    out: Slot,
}

impl Combine {
    pub(crate) fn new(cx: &Compiler<'_>, op: &op::Combine, outs: &[ValueId]) -> Combine {
        Combine { x: cx.slot(op.x), route: cx.slot(op.route), out: cx.slot(outs[0]) }
    }
}

impl Stage for Combine {
    fn run(&self, _: usize, worker: &mut Worker<'_>) {
        let (run, threads) = (worker.run, worker.threads());
        let rows = run.rows(&self.x);
        worker.each(rows, rows_per_piece(rows, self.x.cols, threads), |mut piece, _| {
            let items = piece.items.clone();
            let (x, route) = (run.value(&self.x, items.clone()), run.value(&self.route, items));
            let out = piece.rows(run, &self.out).chunks_exact_mut(self.out.cols);
            let inputs = x.chunks_exact(self.x.cols).zip(route.chunks_exact(self.route.cols));
            for (out, (x, route)) in out.zip(inputs) {
                op::Combine::row(x, &route[self.route.cols / 2..], out);
            }
        });
    }
}

pub(crate) struct Experts {
    x: Slot,
    route: Slot,
    out: Slot,
    count: u32,
    /// Of all experts; `rows` are those of one.
    mat: Mat,
    n_in: usize,
    /// Experts per token.
    used: usize,
    /// Inputs per token: one for all of its experts, or one for each.
    parts: usize,
}

impl Experts {
    pub(crate) fn new(
        cx: &mut Compiler<'_>,
        op: &op::Experts,
        outs: &[ValueId],
    ) -> Result<Experts, DeviceError> {
        let (x, route, out) = (cx.slot(op.x), cx.slot(op.route), cx.slot(outs[0]));
        let mut mat = Mat::new(cx, &Matrix { weight: op.weight, bias: None })?;
        mat.rows /= op.count as usize;
        let n_in = cx.tensor(op.weight).decl.cols as usize;
        let (used, parts) = (route.cols / 2, x.cols / n_in);
        let needs = &mut cx.needs;
        needs.activations(mat.kernel.act, x.cols);
        needs.scratch = needs.scratch.max(MAX_ROWS.next_multiple_of(mat.kernel.rows));
        Ok(Experts { x, route, out, count: op.count, mat, n_in, used, parts })
    }

    /// Inputs as rows of `n_in`.
    fn input<'r>(&self, run: &'r Run<'_>, rows: Range<usize>) -> &'r [f32] {
        let start = self.x.offset;
        run.read(&run.memory.arena, start + rows.start * self.n_in..start + rows.end * self.n_in)
    }

    fn prepare(&self, worker: &mut Worker<'_>) {
        let run = worker.run;
        worker.each(run.rows(&self.x) * self.parts, 1, |mut piece, _| {
            let row = piece.items.start;
            quantise(run, &mut piece, self.mat.kernel.act, row, self.input(run, row..row + 1));
        });
    }

    /// A piece is some rows of one expert, which meet every token that chose it.
    fn multiply(&self, worker: &mut Worker<'_>) {
        let run = worker.run;
        let tokens = run.rows(&self.x);
        let split = self.mat.split(tokens.min(FEW), worker.threads());
        let input = self.input(run, 0..tokens * self.parts);
        let acts = view(run, self.mat.kernel.act, self.n_in, input);
        worker.each(split.pieces * self.count as usize, 1, |mut piece, scratch| {
            let (expert, rows) =
                (piece.items.start / split.pieces, split.piece(piece.items.start % split.pieces));
            let first = (expert * self.mat.rows + rows.start) * self.mat.row_bytes;
            let weights = &self.mat.weight.bytes()[first..][..rows.len() * self.mat.row_bytes];
            let products = &mut scratch[..rows.len()];
            for token in 0..tokens {
                let route = &run.value(&self.route, token..token + 1)[..self.used];
                for (slot, &number) in route.iter().enumerate() {
                    if op::Route::expert(number, self.count) as usize != expert {
                        continue;
                    }
                    let row = token * self.parts + slot % self.parts;
                    (self.mat.kernel.mul)(weights, rows.len(), &acts, row..row + 1, products);
                    let start = slot * self.mat.rows;
                    let columns = self.out.columns(token, start + rows.start..start + rows.end);
                    piece.write(&run.memory.arena, columns).copy_from_slice(products);
                }
            }
        });
    }
}

impl Stage for Experts {
    fn phases(&self) -> usize {
        2 - usize::from(self.mat.kernel.act == ActFormat::F32)
    }

    fn run(&self, phase: usize, worker: &mut Worker<'_>) {
        if phase + 1 < self.phases() { self.prepare(worker) } else { self.multiply(worker) }
    }
}
