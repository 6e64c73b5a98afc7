//! Normalisation of rows or of groups within rows.

use super::{Compiler, Stage, Vector, rows_per_piece};
use crate::exec::{Slot, Worker};
use crate::kernels::VecKernels;
use alloc::sync::Arc;
use chord_ops::op::{self, NormKind};
use chord_ops::{DeviceError, ValueId};

/// A norm of one group, ready to be applied.
pub(crate) struct Normer {
    kind: NormKind,
    weight: Option<Arc<Vector>>,
    bias: Option<Arc<Vector>>,
    eps: f32,
}

pub(crate) struct Norm {
    x: Slot,
    out: Slot,
    group: usize,
    normer: Normer,
}

impl Normer {
    pub(crate) fn new(cx: &mut Compiler<'_>, op: &op::Norm) -> Result<Normer, DeviceError> {
        let (weight, bias) = (cx.vector(op.weight)?, cx.vector(op.bias)?);
        Ok(Normer { kind: op.kind, weight, bias, eps: op.eps })
    }

    /// Norms one group.
    pub(crate) fn apply(&self, vecs: &VecKernels, x: &[f32], out: &mut [f32]) {
        let n = x.len() as f32;
        let mean = match self.kind {
            NormKind::Rms => 0.0,
            NormKind::Layer => (x.iter().map(|&x| f64::from(x)).sum::<f64>() / f64::from(n)) as f32,
        };
        let squares = match self.kind {
            NormKind::Rms => (vecs.sum_squares)(x),
            NormKind::Layer => {
                out.iter_mut().zip(x).for_each(|(y, x)| *y = x - mean);
                (vecs.sum_squares)(out)
            }
        };
        let scale = 1.0 / libm::sqrtf(squares / n + self.eps);
        match &self.weight {
            Some(w) => {
                out.iter_mut().zip(x).zip(w.iter()).for_each(|((y, x), w)| *y = (x - mean) * scale * w)
            }
            None => out.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) * scale),
        }
        if let Some(bias) = &self.bias {
            out.iter_mut().zip(bias.iter()).for_each(|(y, b)| *y += b);
        }
    }
}

impl Norm {
    pub(crate) fn new(cx: &mut Compiler<'_>, op: &op::Norm, outs: &[ValueId]) -> Result<Norm, DeviceError> {
        let (x, out, group) = (cx.slot(op.x), cx.slot(outs[0]), op.group as usize);
        Ok(Norm { x, out, group, normer: Normer::new(cx, op)? })
    }
}

impl Stage for Norm {
    fn run(&self, _: usize, worker: &mut Worker<'_>) {
        let run = worker.run;
        let n = run.rows(&self.out);
        worker.each(n, rows_per_piece(n, self.out.cols, worker.threads()), |mut piece, _| {
            let x = run.value(&self.x, piece.items.clone());
            let out = piece.rows(run, &self.out);
            for (x, out) in x.chunks_exact(self.group).zip(out.chunks_exact_mut(self.group)) {
                self.normer.apply(run.vecs(), x, out);
            }
        });
    }
}
