//! The trust boundary: every index, shape, type and size of a plan is checked here, once.
//!
//! This file drives; the rule of each op stands in the op's own file (`check`), the errors in [`crate::error`].

use crate::WeightReads;
use crate::context::{Context, beginning, escaped};
use crate::error::{CacheError, NodeError, PlanError, TensorError};
use crate::liveness;
use crate::op::Op;
use crate::plan::{CacheSpec, LayerKv, Node, Plan, Rows, Shape, TensorDecl, ValueId};
use crate::step::StepLimits;
use alloc::format;
use alloc::vec::Vec;

/// A plan that passed [`validate`]. Kernels trust it.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidPlan {
    plan: Plan,
    shapes: Vec<Shape>,
    scratch_bytes: u64,
}

impl ValidPlan {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Shape of every value, by value id.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// Bytes of the values that are alive at the op where they are most, in the largest step.
    pub fn scratch_bytes(&self) -> u64 {
        self.scratch_bytes
    }

    /// What a step over this plan is checked against.
    pub fn step_limits(&self) -> StepLimits {
        StepLimits::new(&self.plan, &self.shapes)
    }

    /// What its steps read of the weights.
    pub fn weight_reads(&self) -> WeightReads {
        WeightReads::of(&self.plan, &self.shapes)
    }

    /// Checks that the tensors bound for this plan are those that it declares; names may differ.
    pub fn check_tensors<'a>(
        &self,
        bound: impl ExactSizeIterator<Item = &'a TensorDecl>,
    ) -> Result<(), crate::DeviceError> {
        let declared = &self.plan.tensors;
        if bound.len() != declared.len() {
            let (expected, found) = (declared.len(), bound.len());
            return Err(crate::DeviceError::Tensor(format!(
                "the plan reads {expected} tensors, {found} are bound"
            )));
        }
        let differs =
            |(d, b): &(&TensorDecl, &TensorDecl)| (d.dtype, d.rows, d.cols) != (b.dtype, b.rows, b.cols);
        match declared.iter().zip(bound).enumerate().find(|(_, pair)| differs(pair)) {
            None => Ok(()),
            Some((i, (d, b))) => Err(crate::DeviceError::Tensor(format!(
                "tensor {i}: the plan expects `{}` {} {}x{}, bound is `{}` {} {}x{}",
                escaped(&d.name),
                d.dtype,
                d.rows,
                d.cols,
                escaped(&b.name),
                b.dtype,
                b.rows,
                b.cols
            ))),
        }
    }
}

/// Bounds on what a plan may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most ops.
    pub nodes: u32,
    /// Most tensors.
    pub tensors: u32,
    /// Most bytes of all tensors together.
    pub tensor_bytes: u64,
    /// Most cache layers.
    pub layers: u32,
    /// Most tokens of one step.
    pub step_tokens: u32,
    /// Most elements of a row of any value: what an op does between two looks at its canceller.
    pub cols: u32,
    /// Most tokens of a cache.
    pub cache_tokens: u32,
    /// Most bytes of a cache.
    pub cache_bytes: u64,
    /// Most bytes of values that are alive at the same time in the largest step.
    pub scratch_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            nodes: 65_536,
            tensors: 65_536,
            tensor_bytes: 1 << 40,
            layers: 1_024,
            step_tokens: 65_536,
            cols: 1 << 24,
            cache_tokens: 1 << 24,
            cache_bytes: 64 << 30,
            scratch_bytes: 8 << 30,
        }
    }
}

/// Tensors of this size or more are refused, whatever the limits: offsets into them would not be addresses.
const TENSOR_BYTES: u64 = 1 << 47;

/// Checks a plan against the rules of its ops and `limits`.
pub fn validate(plan: Plan, limits: &Limits) -> Result<ValidPlan, PlanError> {
    check_counts(&plan, limits)?;
    check_tensors(&plan.tensors, limits)?;
    plan.cache.check(limits)?;
    let shapes = check_nodes(&plan, limits)?;
    check_output(&plan, &shapes)?;
    let scratch_bytes = check_scratch(&plan, &shapes, limits)?;
    Ok(ValidPlan { plan, shapes, scratch_bytes })
}

fn check_counts(plan: &Plan, limits: &Limits) -> Result<(), PlanError> {
    let (nodes, tensors, step) = (plan.nodes.len(), plan.tensors.len(), plan.max_step_tokens);
    if nodes as u64 > limits.nodes.into() {
        return Err(PlanError::Nodes { found: nodes, limit: limits.nodes });
    }
    if tensors as u64 > limits.tensors.into() {
        return Err(PlanError::Tensors { found: tensors, limit: limits.tensors });
    }
    if step == 0 || step > limits.step_tokens {
        return Err(PlanError::StepTokens { found: step, limit: limits.step_tokens });
    }
    Ok(())
}

fn check_tensors(tensors: &[TensorDecl], limits: &Limits) -> Result<(), PlanError> {
    let mut found = 0u64;
    for (index, decl) in tensors.iter().enumerate() {
        let at = |error| PlanError::Tensor { index, name: escaped(beginning(&decl.name)), error };
        found = found.saturating_add(decl.check().map_err(at)?);
    }
    let limit = limits.tensor_bytes;
    if found > limit { Err(PlanError::TensorBytes { found, limit }) } else { Ok(()) }
}

impl TensorDecl {
    /// Most bytes of a name: GGML's `GGML_MAX_NAME`.
    pub const MAX_NAME: usize = 64;

    /// Size in bytes, if the declaration is one that a plan may make: not empty, of a type that can be computed with,
    /// in whole blocks, below 2^47 bytes, and with a short name.
    pub fn check(&self) -> Result<u64, TensorError> {
        let &TensorDecl { rows, cols, .. } = self;
        if self.name.len() > TensorDecl::MAX_NAME {
            return Err(TensorError::Name { found: self.name.len() });
        }
        let (dtype, block_len) = (self.dtype.name(), self.dtype.block_len());
        if rows == 0 || cols == 0 {
            return Err(TensorError::Empty { rows, cols });
        }
        if chord_quant::format(self.dtype).is_none() {
            return Err(TensorError::Unreadable { dtype });
        }
        if !cols.is_multiple_of(block_len as u64) {
            return Err(TensorError::PartialBlock { cols, dtype, block_len });
        }
        let bytes = self.dtype.bytes_for(cols).and_then(|row| row.checked_mul(rows));
        bytes.filter(|&b| b < TENSOR_BYTES).ok_or(TensorError::TooLarge { rows, cols, dtype })
    }
}

impl CacheSpec {
    /// Bytes of the keys and values of one token, without rounding to pages. `None`: more than 64 bits can count.
    pub fn bytes_per_token(&self) -> Option<u64> {
        self.layers.iter().try_fold(0u64, |sum, kv| {
            let elements = u64::from(kv.n_kv_heads).checked_mul(u64::from(kv.k_dim) + u64::from(kv.v_dim))?;
            sum.checked_add(elements.checked_mul(self.dtype.bytes())?)
        })
    }

    /// Checks the layers and the size of a cache. Part of [`validate`]; for caches that are made before any plan.
    pub fn check(&self, limits: &Limits) -> Result<(), PlanError> {
        self.check_layers(limits).and_then(|()| self.check_size(limits)).map_err(PlanError::Cache)
    }

    fn check_layers(&self, limits: &Limits) -> Result<(), CacheError> {
        if self.layers.len() as u64 > limits.layers.into() {
            return Err(CacheError::Layers { found: self.layers.len(), limit: limits.layers });
        }
        for (layer, &LayerKv { n_kv_heads, k_dim, v_dim }) in self.layers.iter().enumerate() {
            if n_kv_heads == 0 || k_dim == 0 || v_dim == 0 {
                return Err(CacheError::EmptyLayer { layer, n_kv_heads, k_dim, v_dim });
            }
            let dim = k_dim.max(v_dim);
            if n_kv_heads.checked_mul(dim).is_none() {
                return Err(CacheError::WideLayer { layer, n_kv_heads, dim });
            }
        }
        Ok(())
    }

    fn check_size(&self, limits: &Limits) -> Result<(), CacheError> {
        let (tokens, limit) = (self.max_tokens, limits.cache_bytes);
        if tokens == 0 || tokens > limits.cache_tokens {
            return Err(CacheError::Tokens { found: tokens, limit: limits.cache_tokens });
        }
        let bytes = self.bytes_per_token().and_then(|b| b.checked_mul(tokens.into()));
        let found = bytes.unwrap_or(u64::MAX);
        if bytes.is_none() || found > limit {
            return Err(CacheError::Bytes { tokens, found, limit });
        }
        Ok(())
    }
}

/// Shapes of all values, by value id.
fn check_nodes(plan: &Plan, limits: &Limits) -> Result<Vec<Shape>, PlanError> {
    let mut cx = Context::new(&plan.tensors, &plan.cache);
    cx.widest = limits.cols;
    for (index, node) in plan.nodes.iter().enumerate() {
        check_node(&mut cx, node).map_err(|error| {
            let tensor = node.op.tensors().next().and_then(|t| plan.tensors.get(t.0 as usize));
            let tensor = tensor.map(|t| escaped(&t.name));
            PlanError::Node { node: index, op: node.op.name(), tensor, error }
        })?;
    }
    if !plan.nodes.iter().any(|n| matches!(n.op, Op::Embed(_))) {
        return Err(PlanError::NoEmbed);
    }
    match cx.appended.iter().position(|&done| !done) {
        Some(layer) => Err(PlanError::NotAppended { layer }),
        None => Ok(cx.shapes),
    }
}

fn check_node(cx: &mut Context<'_>, node: &Node) -> Result<(), NodeError> {
    let output = match &node.op {
        Op::Embed(op) => Some(op.check(cx)?),
        Op::Norm(op) => Some(op.check(cx)?),
        Op::Linear(op) => Some(op.check(cx)?),
        Op::Rope(op) => Some(op.check(cx)?),
        Op::Append(op) => {
            op.check(cx)?;
            cx.appended[op.layer as usize] = true; // in range: `check` has looked the layer up
            None
        }
        Op::Attention(op) => Some(op.check(cx)?),
        Op::Glu(op) => Some(op.check(cx)?),
        Op::Add(op) => Some(op.check(cx)?),
        Op::Mul(op) => Some(op.check(cx)?),
        Op::Scale(op) => Some(op.check(cx)?),
        Op::Softcap(op) => Some(op.check(cx)?),
        Op::Gather(op) => Some(op.check(cx)?),
        Op::Route(op) => Some(op.check(cx)?),
        Op::Experts(op) => Some(op.check(cx)?),
        Op::Combine(op) => Some(op.check(cx)?),
        Op::Project(_) | Op::RopeAppend(_) => return Err(NodeError::Fused),
    };
    check_outs(node, cx.shapes.len(), output.is_some())?;
    if let Some(Shape { cols: found, .. }) = output
        && found > cx.widest
    {
        return Err(NodeError::Width { found, limit: cx.widest });
    }
    cx.shapes.extend(output);
    Ok(())
}

/// A recorded op defines the next value id, or none.
fn check_outs(node: &Node, first: usize, has_output: bool) -> Result<(), NodeError> {
    let ok = match node.outs[..] {
        [] => !has_output,
        [ValueId(id)] => has_output && id as usize == first,
        _ => false,
    };
    if ok {
        return Ok(());
    }
    let found = match &node.outs[..] {
        outs if outs.len() > 4 => format!("{} of them", outs.len()),
        outs => format!("{:?}", outs.iter().map(|v| v.0).collect::<Vec<_>>()),
    };
    Err(NodeError::Outputs { expected: has_output.into(), first, found })
}

fn check_output(plan: &Plan, shapes: &[Shape]) -> Result<(), PlanError> {
    let value = plan.output.0;
    match shapes.get(value as usize).copied() {
        None => Err(PlanError::Output { found: value, defined: shapes.len() }),
        Some(found) if found.rows != Rows::Wanted => Err(PlanError::OutputRows { value, found }),
        Some(_) => Ok(()),
    }
}

fn check_scratch(plan: &Plan, shapes: &[Shape], limits: &Limits) -> Result<u64, PlanError> {
    let limit = limits.scratch_bytes;
    let peak = liveness::peak_bytes(plan, shapes);
    match peak {
        Some(bytes) if bytes <= limit => Ok(bytes),
        _ => Err(PlanError::ScratchBytes {
            tokens: plan.max_step_tokens,
            found: peak.unwrap_or(u64::MAX),
            limit,
        }),
    }
}
