//! Ops that work element by element.

use super::{Compiler, Stage, rows_per_piece};
use crate::exec::{Slot, Worker};
use crate::kernels::VecKernels;
use chord_ops::ValueId;
use chord_ops::op::{self, Activation};

/// `out[i] = f(a[i], b[i])`.
pub(crate) struct Binary {
    a: Slot,
    b: Slot,
    out: Slot,
    f: fn(f32, f32) -> f32,
}

/// `out[i] = f(x[i], c)`.
pub(crate) struct Unary {
    x: Slot,
    out: Slot,
    c: f32,
    f: fn(f32, f32) -> f32,
}

/// `out[i] = act(gate[i]) * up[i]`.
pub(crate) struct Glu {
    gate: Slot,
    up: Slot,
    out: Slot,
    act: Activation,
}

pub(crate) fn add(cx: &Compiler<'_>, op: &op::Add, outs: &[ValueId]) -> Binary {
    Binary { a: cx.slot(op.a), b: cx.slot(op.b), out: cx.slot(outs[0]), f: |a, b| a + b }
}

pub(crate) fn mul(cx: &Compiler<'_>, op: &op::Mul, outs: &[ValueId]) -> Binary {
    Binary { a: cx.slot(op.a), b: cx.slot(op.b), out: cx.slot(outs[0]), f: |a, b| a * b }
}

pub(crate) fn scale(cx: &Compiler<'_>, op: &op::Scale, outs: &[ValueId]) -> Unary {
    Unary { x: cx.slot(op.x), out: cx.slot(outs[0]), c: op.by, f: |x, by| x * by }
}

pub(crate) fn softcap(cx: &Compiler<'_>, op: &op::Softcap, outs: &[ValueId]) -> Unary {
    Unary { x: cx.slot(op.x), out: cx.slot(outs[0]), c: op.cap, f: capped }
}

/// `cap * tanh(x / cap)`.
pub(crate) fn capped(x: f32, cap: f32) -> f32 {
    cap * libm::tanhf(x / cap)
}

/// `y = act(gate) * up`, all of one length.
pub(crate) fn glu(vecs: &VecKernels, act: Activation, gate: &[f32], up: &[f32], y: &mut [f32]) {
    match act {
        Activation::Silu => (vecs.silu_mul)(gate, up, y),
        Activation::Gelu => (vecs.gelu_mul)(gate, up, y),
        act => y.iter_mut().zip(gate).zip(up).for_each(|((y, &g), u)| *y = act.reference(g) * u),
    }
}

impl Glu {
    pub(crate) fn new(cx: &Compiler<'_>, op: &op::Glu, outs: &[ValueId]) -> Glu {
        Glu { gate: cx.slot(op.gate), up: cx.slot(op.up), out: cx.slot(outs[0]), act: op.act }
    }
}

impl Stage for Glu {
    fn run(&self, _: usize, worker: &mut Worker<'_>) {
        let run = worker.run;
        let n = run.rows(&self.out);
        worker.each(n, rows_per_piece(n, self.out.cols, worker.threads()), |mut piece, _| {
            let rows = piece.items.clone();
            let (gate, up) = (run.value(&self.gate, rows.clone()), run.value(&self.up, rows));
            glu(run.vecs(), self.act, gate, up, piece.rows(run, &self.out));
        });
    }
}

impl Stage for Binary {
    fn run(&self, _: usize, worker: &mut Worker<'_>) {
        let run = worker.run;
        let n = run.rows(&self.out);
        worker.each(n, rows_per_piece(n, self.out.cols, worker.threads()), |mut piece, _| {
            let rows = piece.items.clone();
            let (a, b) = (run.value(&self.a, rows.clone()), run.value(&self.b, rows));
            let out = piece.rows(run, &self.out);
            out.iter_mut().zip(a).zip(b).for_each(|((y, &a), &b)| *y = (self.f)(a, b));
        });
    }
}

impl Stage for Unary {
    fn run(&self, _: usize, worker: &mut Worker<'_>) {
        let run = worker.run;
        let n = run.rows(&self.out);
        worker.each(n, rows_per_piece(n, self.out.cols, worker.threads()), |mut piece, _| {
            let x = run.value(&self.x, piece.items.clone());
            piece.rows(run, &self.out).iter_mut().zip(x).for_each(|(y, &x)| *y = (self.f)(x, self.c));
        });
    }
}
