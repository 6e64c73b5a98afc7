//! Small plans written down op by op, and what became of them as text.

use super::props::bits;
use crate::op::{
    Activation, Add, Append, Embed, Gather, Glu, Linear, Mul, Norm, NormKind, Op, Rope, RopeParams, RopeStyle,
};
use crate::plan::{CacheSpec, KvType, LayerKv, Recorder, TensorDecl, TensorId, ValueId};
use crate::testing::{limits, play};
use crate::{FusedPlan, Reference, ValidPlan, fuse, validate};
use chord_quant::DType;

/// Columns of the residual stream.
pub(super) const D: u32 = 4;

/// Keys and values of a layer: two heads of 4 and of 3.
pub(super) const KV: LayerKv = LayerKv { n_kv_heads: 2, k_dim: 4, v_dim: 3 };

/// A recording that starts with the embedding, `%0`.
pub(super) struct Sketch {
    plan: Recorder,
    n_tensors: u32,
}

impl Sketch {
    pub(super) fn new(layers: &[LayerKv]) -> Sketch {
        let cache = CacheSpec { layers: layers.to_vec(), dtype: KvType::F32, max_tokens: 256 };
        let mut sketch = Sketch { plan: Recorder::new(cache, 4), n_tensors: 0 };
        let table = sketch.tensor("embd", 8, D);
        sketch.op(Embed { table });
        sketch
    }

    /// An f32 tensor, named by its role and its number.
    pub(super) fn tensor(&mut self, role: &str, rows: u32, cols: u32) -> TensorId {
        let name = format!("{role}{}", self.n_tensors);
        self.n_tensors += 1;
        self.plan.tensor(TensorDecl {
            name: name.into(),
            dtype: DType::F32,
            cols: cols.into(),
            rows: rows.into(),
        })
    }

    pub(super) fn op(&mut self, op: impl Into<Op>) -> ValueId {
        self.plan.op(op)
    }

    pub(super) fn linear(&mut self, x: ValueId, n_in: u32, n_out: u32) -> ValueId {
        let weight = self.tensor("w", n_out, n_in);
        self.op(Linear { x, weight, scale: None, bias: None })
    }

    pub(super) fn norm(&mut self, x: ValueId, group: u32) -> ValueId {
        let weight = Some(self.tensor("n", 1, group));
        self.op(Norm { x, kind: NormKind::Rms, weight, bias: None, eps: 1e-5, group })
    }

    pub(super) fn glu(&mut self, gate: ValueId, up: ValueId) -> ValueId {
        self.op(Glu { gate, up, act: Activation::Silu })
    }

    pub(super) fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Add { a, b })
    }

    pub(super) fn mul(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Mul { a, b })
    }

    pub(super) fn rope(&mut self, x: ValueId, head_dim: u32) -> ValueId {
        let style = RopeStyle::Halves;
        let params = RopeParams {
            head_dim,
            rot_dims: 2,
            style,
            base: 1e4,
            freq_scale: 1.0,
            factors: None,
            yarn: None,
        };
        self.op(Rope { x, params })
    }

    pub(super) fn append(&mut self, k: ValueId, v: ValueId) {
        self.append_to(0, k, v);
    }

    pub(super) fn append_to(&mut self, layer: u32, k: ValueId, v: ValueId) {
        self.plan.effect(Append { k, v, layer });
    }

    /// Ends with `x` as the wanted rows, validated.
    pub(super) fn wanted(mut self, x: ValueId) -> ValidPlan {
        let output = self.op(Gather { x });
        self.finish(output)
    }

    /// Ends with the wanted rows `output`, validated.
    pub(super) fn finish(self, output: ValueId) -> ValidPlan {
        validate(self.plan.finish(output), &limits()).unwrap()
    }
}

/// The ops of a fused plan as text, one each, without shapes and without the embedding and the gather at the ends.
/// The fused plan computes what the recorded one does, bit by bit.
pub(super) fn fused(valid: &ValidPlan) -> Vec<String> {
    let fused = fuse(valid);
    same_bits(valid, &fused);
    let text = fused.plan().to_string();
    let ops: Vec<&str> = text.lines().skip(2).collect();
    let [first, ops @ .., gather, _return] = &ops[..] else { panic!("{text}") };
    assert!(first.ends_with("= embed embd0 F32 8x4") && gather.contains(" = gather "), "{text}");
    ops.iter().map(|op| op.to_string()).collect()
}

fn same_bits(valid: &ValidPlan, fused: &FusedPlan) {
    for seed in 0..4 {
        let recorded = play(&Reference::default(), valid, seed).unwrap();
        let device = Reference { fused: true, noise: None };
        assert_eq!(bits(&recorded), bits(&play(&device, valid, seed).unwrap()), "{valid}\n{fused}");
        assert!(recorded.iter().flatten().any(|p| p.values.iter().any(|&v| v != 0.0)), "{valid}");
    }
}
