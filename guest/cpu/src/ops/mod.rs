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
use crate::copies::WeightCopy;
use crate::device::Site;
use crate::exec::{Run, Slot, Worker};
use crate::kernels::Part;
use crate::tensor::Tensor;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use chord_ops::op::{Op, RopeParams, Rotation};
use chord_ops::{Charge, DeviceError, FusedPlan, TensorId, TensorView, ValueId};
use core::mem::size_of_val;

/// An op of a compiled plan.
pub(crate) trait Stage: Send + Sync {
    /// Phases of its work.
    fn phases(&self) -> usize {
        1
    }

    /// The weights that a thread multiplies first, if they are known before the stage begins.
    fn first<'s>(&'s self, _run: &Run<'_>, _thread: usize) -> Part<'s> {
        Part::default()
    }

    /// This thread's share of a phase. Writes only what belongs to the pieces that it is dealt, reads nothing that the same
    /// phase writes, and neither while it holds no piece.
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
    site: &'a Site<'a>,
    pub(crate) needs: Needs,
    rotations: Vec<rope::Angles>,
    /// Decoded once, whatever the number of ops that read them.
    vectors: BTreeMap<TensorId, Arc<Vector>>,
}

/// The elements of a vector of weights, in f32.
pub(crate) struct Vector {
    elements: Vec<f32>,
    _charge: Charge,
}

impl core::ops::Deref for Vector {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.elements
    }
}

/// Elements that are computed between two looks at the canceller.
const CHUNK: usize = 1 << 16;
/// Bytes of what an op of a compiled plan holds beside itself, at most: the lists of a product of several matrices.
const OP_LISTS: usize = 4 << 10;

impl<'a> Compiler<'a> {
    pub(crate) fn new(
        fused: &'a FusedPlan,
        offsets: &'a [usize],
        tensors: &'a [&'a Tensor],
        site: &'a Site<'a>,
    ) -> Compiler<'a> {
        let (needs, rotations, vectors) = (Needs::default(), Vec::new(), BTreeMap::new());
        Compiler { fused, offsets, tensors, site, needs, rotations, vectors }
    }

    /// All ops in order, and what they cost beside their vectors. Angles of rotations come first.
    pub(crate) fn stages(&mut self) -> Result<(Vec<Box<dyn Stage>>, Charge), DeviceError> {
        let n = self.fused.nodes().len() + 1;
        let (mut stages, mut charge) = self.site.memory.vec::<Box<dyn Stage>>("the ops of a plan", n)?;
        for node in self.fused.nodes() {
            self.site.check()?;
            let stage = self.stage(&node.op, &node.outs)?;
            let lists = if matches!(node.op, Op::Project(_)) { OP_LISTS } else { 0 };
            charge.grow("the ops of a plan", size_of_val(&*stage) + lists)?;
            stages.push(stage);
        }
        if !self.rotations.is_empty() {
            let rotations = core::mem::take(&mut self.rotations);
            stages.insert(0, Box::new(rope::AllAngles { rotations }));
        }
        Ok((stages, charge))
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
        WeightCopy::new(self.site.copies?, self.tensor(id), self.site.pool)
    }

    /// The elements of a vector of any readable type.
    pub(crate) fn vector(&mut self, id: Option<TensorId>) -> Result<Option<Arc<Vector>>, DeviceError> {
        let Some(id) = id else { return Ok(None) };
        if let Some(vector) = self.vectors.get(&id) {
            return Ok(Some(vector.clone()));
        }
        let vector = Arc::new(self.decode(self.tensor(id).view()?)?);
        self.vectors.insert(id, vector.clone());
        Ok(Some(vector))
    }

    fn decode(&self, view: TensorView<'_>) -> Result<Vector, DeviceError> {
        let len = view.rows() * view.cols();
        let (mut elements, charge) = self.site.memory.vec("a vector of weights", len)?;
        elements.resize(len, 0.0);
        for (i, row) in elements.chunks_exact_mut(view.cols()).enumerate() {
            self.site.check()?;
            view.row(i, row);
        }
        Ok(Vector { elements, _charge: charge })
    }

    /// Where the angles of a rotation will be: equal rotations share them.
    pub(crate) fn angles(&mut self, params: &RopeParams) -> Result<rope::AnglesAt, DeviceError> {
        if let Some(known) = self.rotations.iter().find(|known| known.params.same_angles(params)) {
            return Ok(known.at);
        }
        let factors = self.vector(params.factors)?;
        let pairs = params.rot_dims as usize / 2;
        let (frequencies, charge) = self.frequencies(params, factors.as_deref())?;
        let rotation = Rotation { style: params.style, frequencies, magnitude: params.magnitude() };
        let at = rope::AnglesAt { offset: self.needs.angles, pairs };
        self.needs.angles += 2 * pairs;
        self.rotations.push(rope::Angles { params: *params, rotation, at, _charge: charge });
        Ok(at)
    }

    fn frequencies(
        &self,
        params: &RopeParams,
        factors: Option<&Vector>,
    ) -> Result<(Vec<f64>, Charge), DeviceError> {
        let pairs = params.rot_dims as usize / 2;
        let (mut frequencies, charge) = self.site.memory.vec("the frequencies of a rotation", pairs)?;
        for start in (0..pairs).step_by(CHUNK) {
            self.site.check()?;
            let chunk = start..pairs.min(start + CHUNK);
            frequencies.extend(chunk.map(|pair| params.frequency(pair, factors.map(|f| &**f))));
        }
        Ok((frequencies, charge))
    }
}

/// Pieces of at least a cache line of rows of `cols` elements, and some for each thread.
pub(crate) fn rows_per_piece(rows: usize, cols: usize, threads: usize) -> usize {
    let enough = (4096 / cols.max(1)).max(1);
    rows.div_ceil(threads).clamp(1, enough)
}
