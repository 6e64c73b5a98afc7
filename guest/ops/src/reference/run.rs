//! Compiled plans of the reference device, and one run of them.

use super::Tensor;
use super::cache::{Cache, TokenKv};
use crate::device::{DeviceError, Picked, Step};
use crate::fuse::FusedPlan;
use crate::layout::{Layout, layout};
use crate::op::{
    Add, Append, Attention, Combine, Embed, Epilogue, Experts, Gather, Glu, Linear, Matrix, Mul, Op, Project,
    Rope, RopeAppend, RopeParams,
};
use crate::plan::{CacheSpec, Node, Plan, Rows, Shape, TensorId, ValueId};
use crate::rng::Rng;
use crate::step::StepLimits;
use crate::validate::ValidPlan;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// A compiled plan of the reference device.
#[derive(Clone, Debug)]
pub struct Compiled {
    plan: Plan,
    shapes: Vec<Shape>,
    limits: StepLimits,
    tensors: Vec<Tensor>,
    /// Of a fused plan.
    layout: Option<Layout>,
    noise: Option<u64>,
}

impl Compiled {
    pub(super) fn recorded(valid: &ValidPlan, tensors: Vec<Tensor>) -> Compiled {
        let (plan, shapes) = (valid.plan().clone(), valid.shapes().to_vec());
        Compiled { plan, shapes, limits: valid.step_limits(), tensors, layout: None, noise: None }
    }

    pub(super) fn fused(fused: FusedPlan, tensors: Vec<Tensor>) -> Compiled {
        let (plan, shapes, layout) = (fused.plan().clone(), fused.shapes().to_vec(), layout(&fused));
        Compiled { plan, shapes, limits: fused.step_limits(), tensors, layout: Some(layout), noise: None }
    }

    pub(super) fn with_noise(self, noise: Option<u64>) -> Compiled {
        Compiled { noise, ..self }
    }

    /// One step. The cache changes only at the end, when nothing can fail any more.
    pub(super) fn run(&self, cache: &mut Cache, step: &Step<'_>) -> Result<Picked, DeviceError> {
        cache.spec().check_fits(&self.plan.cache)?;
        step.check(&self.limits, |seq| cache.is_open(seq))?;
        cache.check_room(step.tokens.len())?;
        let mut run = Run::new(self, cache, step)?;
        for node in &self.plan.nodes {
            run.node(node)?;
        }
        let (picked, fresh) = (step.pick.of_rows(run.value(self.plan.output), self.limits.cols), run.fresh);
        let mut fresh = fresh.into_iter();
        for span in step.spans {
            cache.push(span.seq, fresh.by_ref().take(span.len as usize));
        }
        Ok(picked)
    }
}

impl CacheSpec {
    /// Checks that a cache made from this spec has the layers and the element type that a plan needs. Capacities may
    /// differ. Fails with [`DeviceError::Step`].
    pub fn check_fits(&self, plan: &CacheSpec) -> Result<(), DeviceError> {
        if self.layers == plan.layers && self.dtype == plan.dtype {
            return Ok(());
        }
        let (expected, found) = (plan.layers.len(), self.layers.len());
        let types =
            format!("expected {expected} layers of {:?}, found {found} of {:?}", plan.dtype, self.dtype);
        Err(DeviceError::Step(format!("the cache was made for another plan: {types}, or heads differ")))
    }
}

/// One run of a plan.
struct Run<'a> {
    compiled: &'a Compiled,
    step: &'a Step<'a>,
    /// Memory of the values; NaN where nothing was written yet.
    arena: Vec<f32>,
    offsets: Vec<usize>,
    /// By span: the tokens that its sequence held before the step.
    held: Vec<Vec<Arc<TokenKv>>>,
    /// What the step appends, by token.
    fresh: Vec<TokenKv>,
}

impl<'a> Run<'a> {
    fn new(compiled: &'a Compiled, cache: &Cache, step: &'a Step<'a>) -> Result<Run<'a>, DeviceError> {
        let apart = || Layout::apart(&compiled.shapes, step.tokens.len());
        let Layout { offsets, total } = compiled.layout.clone().unwrap_or_else(apart);
        let mut arena = Vec::new();
        let no_memory = |_| DeviceError::Limit(format!("no memory for {total} elements of scratch"));
        arena.try_reserve_exact(total).map_err(no_memory)?;
        arena.resize(total, f32::NAN);
        let held = step.spans.iter().map(|s| cache.tokens(s.seq).cloned()).collect::<Result<_, _>>()?;
        let fresh = vec![TokenKv::new(&compiled.plan.cache.layers); step.tokens.len()];
        Ok(Run { compiled, step, arena, offsets, held, fresh })
    }

    fn node(&mut self, node: &Node) -> Result<(), DeviceError> {
        let outs = self.op(&node.op)?;
        debug_assert_eq!(outs.len(), node.outs.len());
        for (&id, out) in node.outs.iter().zip(outs) {
            let range = self.range(id);
            self.arena[range].copy_from_slice(&out);
        }
        Ok(())
    }

    /// The outputs of an op, in order.
    fn op(&mut self, op: &Op) -> Result<Vec<Vec<f32>>, DeviceError> {
        let out = match op {
            Op::Embed(o) => Embed::reference(self.tensor(o.table)?, self.step.tokens),
            Op::Norm(o) => {
                let (weight, bias) = (self.vector(o.weight)?, self.vector(o.bias)?);
                o.reference(self.value(o.x), weight.as_deref(), bias.as_deref())
            }
            Op::Linear(o) => {
                let Linear { x, weight, scale, bias } = *o;
                self.linear(self.value(x), &Matrix { weight, scale, bias })?
            }
            Op::Rope(Rope { x, params }) => self.rope(*x, params)?,
            Op::Append(o) => {
                let (k, v) = (self.value(o.k).to_vec(), self.value(o.v).to_vec());
                self.append(o.layer, &k, &v);
                return Ok(Vec::new());
            }
            Op::RopeAppend(RopeAppend { k, v, layer, rope }) => {
                let (k, v) = (self.rope(*k, rope)?, self.value(*v).to_vec());
                self.append(*layer, &k, &v);
                return Ok(Vec::new());
            }
            Op::Attention(o) => self.attention(o),
            Op::Glu(o) => Glu::reference(o.act, self.value(o.gate), self.value(o.up)),
            Op::Add(o) => Add::reference(self.value(o.a), self.value(o.b)),
            Op::Mul(o) => Mul::reference(self.value(o.a), self.value(o.b)),
            Op::Scale(o) => o.reference(self.value(o.x)),
            Op::Softcap(o) => o.reference(self.value(o.x)),
            Op::Gather(o) => {
                Gather::reference(self.value(o.x), self.shape(o.x).cols as usize, self.step.wanted)
            }
            Op::Route(o) => o.reference(self.value(o.logits), self.shape(o.logits).cols as usize),
            Op::Experts(o) => self.experts(o)?,
            Op::Combine(o) => Combine::reference(self.value(o.x), self.value(o.route), self.used(o.route)),
            Op::Project(o) => return self.project(o),
        };
        Ok(vec![out])
    }

    /// Norm, linears, glu and add one after the other.
    fn project(&self, o: &Project) -> Result<Vec<Vec<f32>>, DeviceError> {
        let mut x = self.value(o.x).to_vec();
        if let Some(norm) = o.norm {
            let (weight, bias) = (self.vector(norm.weight)?, self.vector(norm.bias)?);
            let op = norm.as_norm(o.x, self.shape(o.x).cols);
            x = op.reference(&x, weight.as_deref(), bias.as_deref());
        }
        let each = o.mats.iter().map(|m| self.linear(&x, m));
        let products: Vec<_> = each.collect::<Result<_, _>>()?;
        Ok(match (o.epilogue, &products[..]) {
            (Epilogue::Glu(act), [gate, up]) => vec![Glu::reference(act, gate, up)],
            (Epilogue::Add(residual), [product]) => vec![Add::reference(product, self.value(residual))],
            _ => products,
        })
    }

    fn linear(&self, x: &[f32], mat: &Matrix) -> Result<Vec<f32>, DeviceError> {
        let weight = mat.weight;
        let (tensor, mut bias) = (self.tensor(weight)?, self.vector(mat.bias)?);
        let scale = self.vector(mat.scale.map(|s| s.by))?.map_or(1.0, |s| s[0]);
        if mat.scale.is_some_and(|s| s.of_bias) {
            bias.iter_mut().flatten().for_each(|b| *b *= scale);
        }
        let Some(seed) = self.compiled.noise else {
            return Ok(Linear::reference(x, tensor, scale, bias.as_deref()));
        };
        let quantised = self.compiled.plan.tensors[weight.0 as usize].dtype.is_quantised();
        let x = noisy(x, tensor.cols(), quantised, seed ^ u64::from(weight.0));
        Ok(Linear::reference(&x, tensor, scale, bias.as_deref()))
    }

    fn experts(&self, o: &Experts) -> Result<Vec<f32>, DeviceError> {
        let (tensor, scale, used) = (self.tensor(o.weight)?, self.vector(o.scale)?, self.used(o.route));
        let (x, route) = (self.value(o.x), self.value(o.route));
        let Some(seed) = self.compiled.noise else {
            return Ok(o.reference(x, route, used, tensor, scale.as_deref()));
        };
        let quantised = self.compiled.plan.tensors[o.weight.0 as usize].dtype.is_quantised();
        let x = noisy(x, tensor.cols(), quantised, seed ^ u64::from(o.weight.0));
        Ok(o.reference(&x, route, used, tensor, scale.as_deref()))
    }

    /// Experts per token of a route.
    fn used(&self, route: ValueId) -> usize {
        self.shape(route).cols as usize / 2
    }

    fn rope(&self, x: ValueId, params: &RopeParams) -> Result<Vec<f32>, DeviceError> {
        let factors = self.vector(params.factors)?;
        Ok(Rope::reference(params, self.value(x), self.step.positions, factors.as_deref()))
    }

    /// `k` is `(tokens, n_kv_heads * k_dim)`, `v` `(tokens, n_kv_heads * v_dim)`.
    fn append(&mut self, layer: u32, k: &[f32], v: &[f32]) {
        let (spec, layer) = (&self.compiled.plan.cache, layer as usize);
        let (n_k, n_v) = (k.len() / self.fresh.len(), v.len() / self.fresh.len());
        for (token, (k, v)) in self.fresh.iter_mut().zip(k.chunks_exact(n_k).zip(v.chunks_exact(n_v))) {
            token.k[layer] = Append::reference(k, spec.dtype);
            token.v[layer] = Append::reference(v, spec.dtype);
        }
    }

    fn attention(&self, op: &Attention) -> Vec<f32> {
        let (layer, kv) = (op.layer as usize, self.compiled.plan.cache.layers[op.layer as usize]);
        let (q, mut out, mut start) = (self.value(op.q), Vec::new(), 0);
        let n_q = q.len() / self.fresh.len();
        for (span, held) in self.step.spans.iter().zip(&self.held) {
            let end = start + span.len as usize;
            for t in start..end {
                let own = &self.fresh[start..=t];
                let seen = || held.iter().map(|token| &**token).chain(own);
                let keys: Vec<&[f32]> = seen().map(|token| &token.k[layer][..]).collect();
                let values: Vec<&[f32]> = seen().map(|token| &token.v[layer][..]).collect();
                out.extend(op.reference(kv, &q[t * n_q..][..n_q], &keys, &values));
            }
            start = end;
        }
        out
    }

    fn shape(&self, id: ValueId) -> Shape {
        self.compiled.shapes[id.0 as usize]
    }

    fn range(&self, id: ValueId) -> core::ops::Range<usize> {
        let (start, Shape { rows, cols }) = (self.offsets[id.0 as usize], self.shape(id));
        let rows = match rows {
            Rows::Tokens => self.step.tokens.len(),
            Rows::Wanted => self.step.wanted.len(),
        };
        start..start + rows * cols as usize
    }

    fn value(&self, id: ValueId) -> &[f32] {
        &self.arena[self.range(id)]
    }

    fn tensor(&self, id: TensorId) -> Result<crate::TensorView<'a>, DeviceError> {
        self.compiled.tensors[id.0 as usize].view()
    }

    fn vector(&self, id: Option<TensorId>) -> Result<Option<Vec<f32>>, DeviceError> {
        id.map(|id| Ok(self.tensor(id)?.to_f32())).transpose()
    }
}

/// `x` `(r, n_in)` with the noise of [`super::Reference::noise`].
fn noisy(x: &[f32], n_in: usize, quantised: bool, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    let mut out = x.to_vec();
    for row in out.chunks_exact_mut(n_in) {
        let largest = row.iter().fold(0f32, |m, x| m.max(x.abs()));
        for x in row {
            let size = if quantised { largest / 254.0 } else { x.abs() * f32::EPSILON * 2.0 };
            *x += size * rng.real(-1.0, 1.0);
        }
    }
    out
}
