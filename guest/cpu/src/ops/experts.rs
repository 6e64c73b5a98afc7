//! Mixtures of experts: the route, the products with the chosen experts' matrices, their weighted sum.

use super::project::{Mat, TOKENS, quantise, view};
use super::{Compiler, Stage, rows_per_piece};
use crate::act::ActFormat;
use crate::exec::{Run, Slot, Worker};
use crate::kernels::Part;
use chord_ops::op::{self, Factor, Matrix};
use chord_ops::{DeviceError, ValueId};

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
        let scale = op.scale.map(Factor::of_product);
        let mut mat = Mat::new(cx, &Matrix { weight: op.weight, scale, bias: None })?;
        mat.rows /= op.count as usize;
        let n_in = cx.tensor(op.weight).decl.cols as usize;
        let (used, parts) = (route.cols / 2, x.cols / n_in);
        let needs = &mut cx.needs;
        needs.activations(mat.kernel.act, used, n_in);
        needs.normed = needs.normed.max(used * n_in);
        needs.experts = needs.experts.max(op.count as usize);
        needs.used = needs.used.max(used);
        needs.products(&mat.kernel);
        Ok(Experts { x, route, out, count: op.count, mat, n_in, used, parts })
    }

    /// Products that are asked for: tokens times the experts of each.
    fn products(&self, run: &Run<'_>) -> usize {
        run.rows(&self.x) * self.used
    }

    /// Puts the products in the order of their experts.
    fn sort(&self, worker: &mut Worker<'_>) {
        let run = worker.run;
        worker.each(1, 1, |mut piece, _| {
            let count = self.count as usize;
            let memory = piece.write(&run.memory.routes, 0..count + 1 + self.products(run));
            let (starts, order) = memory.split_at_mut(count + 1);
            let expert = |product: usize| {
                let token = product / self.used;
                let number = run.value(&self.route, token..token + 1)[product % self.used];
                op::Route::expert(number, self.count) as usize
            };
            starts.fill(0);
            (0..order.len()).for_each(|product| starts[expert(product) + 1] += 1);
            (0..count).for_each(|i| starts[i + 1] += starts[i]);
            // Each start moves to the end of its expert, which is where the next one started.
            for product in 0..order.len() {
                let start = &mut starts[expert(product)];
                order[*start as usize] = product as u32;
                *start += 1;
            }
            starts.copy_within(0..count, 1);
            starts[0] = 0;
        });
    }

    /// By expert the first of its products, and after the last one their number; and the products in that order, as
    /// `token * used + slot`.
    fn order<'r>(&self, run: &'r Run<'_>) -> (&'r [u32], &'r [u32]) {
        let count = self.count as usize;
        run.read(&run.memory.routes, 0..count + 1 + self.products(run)).split_at(count + 1)
    }

    /// Quantises the input of each product, in the order of the experts.
    fn prepare(&self, worker: &mut Worker<'_>) {
        let run = worker.run;
        worker.each(self.products(run), 1, |mut piece, _| {
            let (_, order) = self.order(run);
            let at = piece.items.start;
            let (token, slot) = (order[at] as usize / self.used, order[at] as usize % self.used);
            let start = self.x.offset + (token * self.parts + slot % self.parts) * self.n_in;
            let x = run.read(&run.memory.arena, start..start + self.n_in);
            match self.mat.kernel.act {
                ActFormat::F32 => {
                    let to = at * self.n_in..(at + 1) * self.n_in;
                    piece.write(&run.memory.normed, to).copy_from_slice(x);
                }
                format => quantise(run, &mut piece, format, at, x),
            }
        });
    }

    /// A piece is some rows of one expert, which meet all tokens that chose it.
    fn multiply(&self, worker: &mut Worker<'_>) {
        let run = worker.run;
        let products = self.products(run);
        let each = products.div_ceil(self.count as usize);
        let split = self.mat.split(each, worker.threads());
        worker.each(split.pieces * self.count as usize, 1, |mut piece, scratch| {
            let (expert, rows) =
                (piece.items.start / split.pieces, split.piece(piece.items.start % split.pieces));
            let (starts, order) = self.order(run);
            let chosen = starts[expert] as usize..starts[expert + 1] as usize;
            if rows.is_empty() || chosen.is_empty() {
                return;
            }
            let first = expert * self.mat.rows;
            let input = run.read(&run.memory.normed, 0..products * self.n_in);
            let acts = view(run, self.mat.kernel.act, self.n_in, 0..products, input);
            let weights = self.mat.part(&(first + rows.start..first + rows.end));
            let most = (scratch.len() / rows.len()).clamp(1, TOKENS);
            for from in chosen.clone().step_by(most) {
                if run.poll() {
                    return;
                }
                let some = from..chosen.end.min(from + most);
                let products = &mut scratch[..rows.len() * some.len()];
                (self.mat.kernel.mul)(weights, Part::default(), &acts, some.clone(), products);
                self.mat.scale(expert, products);
                for (&product, products) in order[some].iter().zip(products.chunks_exact(rows.len())) {
                    let (token, slot) = (product as usize / self.used, product as usize % self.used);
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
        3
    }

    fn run(&self, phase: usize, worker: &mut Worker<'_>) {
        match phase {
            0 => self.sort(worker),
            1 => self.prepare(worker),
            _ => self.multiply(worker),
        }
    }
}
