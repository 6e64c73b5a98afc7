//! One file per op: what is looked up once when a plan is compiled, and the work of each phase of a step.

mod append;
mod attention;
mod elementwise;
mod embed;
mod experts;
mod gather;
mod norm;
mod project;
pub(crate) mod rope;

use crate::act::{ActFormat, q_stride};
use crate::copies::{Budget, WeightCopy};
use crate::exec::{Run, Slot, Worker};
use crate::kernels::{Kernels, Part};
use crate::pool::Pool;
use crate::tensor::Tensor;
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use chord_ops::op::{Op, RopeParams};
use chord_ops::{DeviceError, FusedPlan, TensorId, ValueId};

/// An op of a compiled plan.
pub(crate) trait Stage: Send + Sync {
    /// Phases of its work.
    fn phases(&self) -> usize {
        1
    }

    /// Whether threads wait for each other after a phase. After the last one they must.
    fn waits(&self, _phase: usize, _run: &Run<'_>) -> bool {
        true
    }

    /// The weights that a thread multiplies first, if they are known before the stage begins.
    fn first<'s>(&'s self, _run: &Run<'_>, _thread: usize) -> Part<'s> {
        Part::default()
    }

    /// This thread's share of a phase. Writes only what belongs to the pieces that it is dealt, and reads nothing that
    /// the same phase writes.
    fn run(&self, phase: usize, worker: &mut Worker<'_>);
}

/// Memory that the ops of a plan need beside their values: the most that any of them does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    /// f32 per token: normed activations.
    pub(crate) normed: usize,
    /// Elements per token, quantised in blocks of 32; with what is between rows.
    pub(crate) q8x32: usize,
    /// As above, in blocks of 256.
    pub(crate) q8x256: usize,
    /// f32 per token: angles of all rotations.
    pub(crate) angles: usize,
    /// Experts of a mixture, and how many of them a token has.
    pub(crate) experts: usize,
    pub(crate) used: usize,
    /// f32 per thread.
    pub(crate) scratch: usize,
}

impl Needs {
    /// Room for `rows` rows of `cols` elements per token in the form that a kernel reads.
    fn activations(&mut self, format: ActFormat, rows: usize, cols: usize) {
        let elements = rows * q_stride(cols);
        match format {
            ActFormat::F32 => {}
            ActFormat::Q8x32 => self.q8x32 = self.q8x32.max(elements),
            ActFormat::Q8x256 => self.q8x256 = self.q8x256.max(elements),
        }
    }
}

/// What ops look things up in while a plan is compiled.
pub(crate) struct Compiler<'a> {
    pub(crate) fused: &'a FusedPlan,
    offsets: &'a [usize],
    tensors: &'a [&'a Tensor],
    pub(crate) kernels: &'a Kernels,
    pool: &'a dyn Pool,
    budget: Option<&'a Arc<Budget>>,
    pub(crate) needs: Needs,
    rotations: Vec<rope::Angles>,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(
        fused: &'a FusedPlan,
        offsets: &'a [usize],
        tensors: &'a [&'a Tensor],
        kernels: &'a Kernels,
        pool: &'a dyn Pool,
        budget: Option<&'a Arc<Budget>>,
    ) -> Compiler<'a> {
        let (needs, rotations) = (Needs::default(), Vec::new());
        Compiler { fused, offsets, tensors, kernels, pool, budget, needs, rotations }
    }

    /// All ops in order. Angles of rotations come first.
    pub(crate) fn stages(&mut self) -> Result<Vec<Box<dyn Stage>>, DeviceError> {
        let mut stages = Vec::with_capacity(self.fused.nodes().len() + 1);
        for node in self.fused.nodes() {
            stages.push(self.stage(&node.op, &node.outs)?);
        }
        if !self.rotations.is_empty() {
            let rotations = core::mem::take(&mut self.rotations);
            stages.insert(0, Box::new(rope::AllAngles { rotations }));
        }
        Ok(stages)
    }

    fn stage(&mut self, op: &Op, outs: &[ValueId]) -> Result<Box<dyn Stage>, DeviceError> {
        Ok(match op {
            Op::Embed(o) => Box::new(embed::Embed::new(self, o, outs)?),
            Op::Norm(o) => Box::new(norm::Norm::new(self, o, outs)?),
            Op::Project(o) => Box::new(project::Project::new(self, o, outs)?),
            Op::Rope(o) => Box::new(rope::Rope::new(self, o, outs)?),
            Op::Append(o) => Box::new(append::Append::new(self, o.k, o.v, o.layer, None)?),
            Op::RopeAppend(o) => Box::new(append::Append::new(self, o.k, o.v, o.layer, Some(&o.rope))?),
            Op::Attention(o) => Box::new(attention::Attention::new(self, o, outs)?),
            Op::Glu(o) => Box::new(elementwise::Glu::new(self, o, outs)),
            Op::Add(o) => Box::new(elementwise::add(self, o, outs)),
            Op::Mul(o) => Box::new(elementwise::mul(self, o, outs)),
            Op::Scale(o) => Box::new(elementwise::scale(self, o, outs)),
            Op::Softcap(o) => Box::new(elementwise::softcap(self, o, outs)),
            Op::Gather(o) => Box::new(gather::Gather::new(self, o, outs)),
            Op::Route(o) => Box::new(experts::Route::new(self, o, outs)),
            Op::Experts(o) => Box::new(experts::Experts::new(self, o, outs)?),
            Op::Combine(o) => Box::new(experts::Combine::new(self, o, outs)),
            other => return Err(DeviceError::Failed(format!("op `{}` is not for the CPU", other.name()))),
        })
    }

    pub(crate) fn slot(&self, id: ValueId) -> Slot {
        Slot::new(self.fused, self.offsets, id)
    }

    pub(crate) fn tensor(&self, id: TensorId) -> &'a Tensor {
        self.tensors[id.0 as usize]
    }

    /// A copy of a matrix, if there is room for it.
    pub(crate) fn copy(&self, id: TensorId) -> Option<WeightCopy> {
        WeightCopy::new(self.budget?, self.tensor(id), self.pool)
    }

    /// The elements of an f32 vector.
    pub(crate) fn vector(&self, id: Option<TensorId>) -> Result<Option<Vec<f32>>, DeviceError> {
        id.map(|id| Ok(self.tensor(id).view()?.to_f32())).transpose()
    }

    /// Where the angles of a rotation will be: equal rotations share them.
    pub(crate) fn angles(&mut self, params: &RopeParams) -> Result<rope::AnglesAt, DeviceError> {
        let rotation = params.rotation(self.vector(params.factors)?.as_deref());
        let pairs = rotation.frequencies.len();
        let known = self.rotations.iter().find(|known| {
            known.rotation.frequencies == rotation.frequencies
                && known.rotation.magnitude == rotation.magnitude
        });
        let at = match known {
            Some(known) => known.at,
            None => {
                let at = rope::AnglesAt { offset: self.needs.angles, pairs };
                self.needs.angles += 2 * pairs;
                self.rotations.push(rope::Angles { rotation, at });
                at
            }
        };
        Ok(at)
    }
}

/// Pieces of at least a cache line of rows of `cols` elements, and some for each thread.
pub(crate) fn rows_per_piece(rows: usize, cols: usize, threads: usize) -> usize {
    let enough = (4096 / cols.max(1)).max(1);
    rows.div_ceil(threads).clamp(1, enough)
}
