//! A spec and a file become a plan and the bindings of its tensors.

use crate::weights::{Part, Weights};
use crate::{Error, LayerSpec, ModelSpec, block};
use chord_gguf::Gguf;
use chord_ops::op::{Add, Embed, Experts, Factor, Gather, Linear, Norm, Scale, Softcap};
use chord_ops::{CacheSpec, KvType, LayerKv, Plan, Recorder, TensorDecl, TensorId, ValueId};

/// Where the bytes of one tensor of a plan are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Index into [`Gguf::files`].
    pub file: usize,
    /// Byte offset in that file.
    pub offset: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// What the plan expects there.
    pub decl: TensorDecl,
}

/// A recorded plan; `bindings[i]` belongs to tensor `i`.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The forward pass.
    pub plan: Plan,
    /// Where its tensors are.
    pub bindings: Vec<Binding>,
}

/// What a block needs to record itself.
pub(crate) struct Cx<'a> {
    pub(crate) plan: Recorder,
    pub(crate) weights: Weights<'a>,
    pub(crate) spec: &'a ModelSpec,
    /// `rope_freqs.weight`, or the factors for this context size, if the file has them.
    pub(crate) rope_factors: Option<TensorId>,
}

/// Records the forward pass of `spec` over the tensors of `gguf`.
///
/// `context_size`: most tokens of one sequence; `cache_tokens`: capacity of the KV cache; `step_tokens`: most tokens of one step.
pub fn record(
    spec: &ModelSpec,
    gguf: &Gguf,
    context_size: u32,
    cache_tokens: u32,
    step_tokens: u32,
) -> Result<Recording, Error> {
    let cache = CacheSpec {
        layers: spec.layers.iter().map(layer_kv).collect(),
        dtype: KvType::F16,
        max_tokens: cache_tokens,
    };
    let plan = Recorder::new(cache, step_tokens);
    let mut cx = Cx { plan, weights: Weights::new(gguf), spec, rope_factors: None };
    let output = forward(&mut cx, context_size)?;
    Ok(Recording { plan: cx.plan.finish(output), bindings: cx.weights.bindings })
}

fn layer_kv(layer: &LayerSpec) -> LayerKv {
    LayerKv { n_kv_heads: layer.n_kv_heads, k_dim: layer.k_dim, v_dim: layer.v_dim }
}

fn forward(cx: &mut Cx<'_>, context_size: u32) -> Result<ValueId, Error> {
    let spec = cx.spec;
    let (d, v) = (spec.embedding_length, spec.vocabulary);
    if let Some(rope) = spec.layers.iter().find_map(|l| l.rope) {
        let name = match spec.short_context {
            Some(short) if context_size > short => "rope_factors_long.weight",
            Some(_) => "rope_factors_short.weight",
            None => "rope_freqs.weight",
        };
        cx.rope_factors = cx.weights.vector_if_present(&mut cx.plan, name, rope.rot_dims / 2)?;
    }
    let table = cx.weights.first_rows(&mut cx.plan, "token_embd.weight", v, d)?;
    let mut x = cx.plan.op(Embed { table }); // (tokens, d)
    if let Some(by) = spec.embedding_scale {
        x = cx.plan.op(Scale { x, by });
    }
    for (i, layer) in spec.layers.iter().enumerate() {
        x = block::layer(cx, i, layer, x)?;
    }
    head(cx, x)
}

/// Final norm and output matrix, on the wanted rows only. Out: logits `(wanted, vocabulary)`.
fn head(cx: &mut Cx<'_>, x: ValueId) -> Result<ValueId, Error> {
    let spec = cx.spec;
    let (d, v) = (spec.embedding_length, spec.vocabulary);
    let x = cx.plan.op(Gather { x }); // (wanted, d)
    let x = cx.norm("output_norm", x)?;
    let name = if cx.weights.has("output.weight") { "output.weight" } else { "token_embd.weight" };
    let weight = cx.weights.first_rows(&mut cx.plan, name, v, d)?;
    let bias = cx.weights.first_elements_if_present(&mut cx.plan, "output.bias", v)?;
    let scale = cx.weights.vector_if_present(&mut cx.plan, "output.scale", 1)?.map(Factor::of_product);
    let mut x = cx.plan.op(Linear { x, weight, scale, bias });
    if let Some(by) = spec.logit_scale {
        x = cx.plan.op(Scale { x, by });
    }
    if let Some(cap) = spec.logit_softcap {
        x = cx.plan.op(Softcap { x, cap });
    }
    Ok(x)
}

/// Which of how many experts.
#[derive(Clone, Copy)]
pub(crate) struct Chosen {
    pub(crate) route: ValueId,
    pub(crate) count: u32,
}

impl Cx<'_> {
    /// The residual stream's norm with the tensors `name.weight` and, if present, `name.bias`.
    pub(crate) fn norm(&mut self, name: &str, x: ValueId) -> Result<ValueId, Error> {
        let group = self.spec.embedding_length;
        let weight = Some(self.weights.vector(&mut self.plan, &format!("{name}.weight"), group)?);
        let bias = self.weights.vector_if_present(&mut self.plan, &format!("{name}.bias"), group)?;
        let (kind, eps) = (self.spec.norm.kind, self.spec.norm.eps);
        Ok(self.plan.op(Norm { x, kind, weight, bias, eps, group }))
    }

    /// The norm `name` of each head of `x`, without bias.
    pub(crate) fn head_norm(&mut self, name: &str, x: ValueId, head_dim: u32) -> Result<ValueId, Error> {
        let weight = Some(self.weights.vector(&mut self.plan, &format!("{name}.weight"), head_dim)?);
        let (kind, eps) = (self.spec.norm.kind, self.spec.norm.eps);
        Ok(self.plan.op(Norm { x, kind, weight, bias: None, eps, group: head_dim }))
    }

    /// `x · name.weightᵀ (· name.scale) (+ name.bias)`: `n_in` to `n_out`.
    pub(crate) fn linear(&mut self, name: &str, x: ValueId, n_in: u32, n_out: u32) -> Result<ValueId, Error> {
        self.linear_rows(name, x, n_in, Part { start: 0, rows: n_out, of: n_out })
    }

    /// The same with a part of the rows of a fused matrix.
    pub(crate) fn linear_rows(
        &mut self,
        name: &str,
        x: ValueId,
        n_in: u32,
        part: Part,
    ) -> Result<ValueId, Error> {
        let weight = self.weights.rows(&mut self.plan, &format!("{name}.weight"), n_in, part)?;
        // llama.cpp multiplies biases of feed-forward networks, too, and no others.
        let of_bias = name.contains(".ffn_");
        let scale = self.scale(name, 1)?.map(|by| Factor { by, of_bias });
        let bias = self.weights.elements_if_present(&mut self.plan, &format!("{name}.bias"), part)?;
        Ok(self.plan.op(Linear { x, weight, scale, bias }))
    }

    /// Products with the matrices of the chosen experts: `n_in` to `n_out` for each.
    pub(crate) fn experts(
        &mut self,
        name: &str,
        x: ValueId,
        n_in: u32,
        n_out: u32,
        Chosen { route, count }: Chosen,
    ) -> Result<ValueId, Error> {
        let weight = self.weights.matrices(&mut self.plan, &format!("{name}.weight"), count, n_out, n_in)?;
        let scale = self.scale(name, count)?;
        Ok(self.plan.op(Experts { x, route, weight, count, scale }))
    }

    /// The factors `name.scale` on the products with a matrix, or with those of `n` experts, if they are there and count.
    fn scale(&mut self, name: &str, n: u32) -> Result<Option<TensorId>, Error> {
        if self.spec.plain_feed_forward && name.contains(".ffn_") {
            return Ok(None);
        }
        self.weights.vector_if_present(&mut self.plan, &format!("{name}.scale"), n)
    }

    /// Whether the file has `name.weight`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.weights.has(&format!("{name}.weight"))
    }

    /// `a + b`.
    pub(crate) fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.plan.op(Add { a, b })
    }
}
