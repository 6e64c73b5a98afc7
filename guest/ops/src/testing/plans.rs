//! Random valid plans: small transformers with odd parts in odd places.

use super::Rng;
use crate::op::{
    Activation, Add, Append, Attention, Combine, Embed, Experts, Factor, Gather, Glu, Linear, Mul, Norm,
    NormKind, Op, Rope, RopeParams, RopeStyle, Route, Scale, Softcap, Yarn,
};
use crate::plan::{CacheSpec, KvType, LayerKv, Plan, Recorder, Rows, Shape, TensorDecl, TensorId, ValueId};
use alloc::format;
use alloc::vec::Vec;
use chord_quant::{DType, FORMATS};

/// A random plan that [`crate::validate`] accepts within [`super::limits`].
pub fn random_plan(seed: u64) -> Plan {
    let mut rng = Rng::new(seed);
    let layers: Vec<LayerKv> = (0..rng.below(4)).map(|_| layer(&mut rng)).collect();
    let dtype = rng.of(&[KvType::F16, KvType::F32]);
    let cache = CacheSpec { layers: layers.clone(), dtype, max_tokens: 512 };
    let steps = 1 + rng.below(8);
    let width = rng.of(&[2, 4, 6, 12, 32, 32, 64, 96, 256]);
    let plan = Recorder::new(cache, steps);
    Generator { rng, plan, shapes: Vec::new(), n_tensors: 0, width, spare: Vec::new() }.plan(&layers)
}

fn layer(rng: &mut Rng) -> LayerKv {
    let (k_dim, v_dim) = (2 * (1 + rng.below(8)), 1 + rng.below(16));
    LayerKv { n_kv_heads: 1 + rng.below(3), k_dim, v_dim }
}

struct Generator {
    rng: Rng,
    plan: Recorder,
    /// By value id.
    shapes: Vec<Shape>,
    n_tensors: u32,
    /// Columns of the residual stream.
    width: u32,
    /// Values of step tokens that nothing reads yet.
    spare: Vec<ValueId>,
}

impl Generator {
    fn plan(mut self, layers: &[LayerKv]) -> Plan {
        let vocabulary = 5 + self.rng.below(60);
        let table = self.matrix("table", vocabulary, self.width);
        let mut x = self.op(Embed { table }, Rows::Tokens, self.width);
        for (i, &kv) in layers.iter().enumerate() {
            x = self.oddity(x);
            x = self.attention(i as u32, kv, x);
            if self.rng.chance(80) {
                x = if self.rng.chance(20) { self.experts(x) } else { self.feed_forward(x) };
            }
            x = if self.rng.chance(50) { self.add_spare(x) } else { x };
        }
        x = self.oddity(x);
        x = self.add_spare(x);
        x = self.op(Gather { x }, Rows::Wanted, self.width);
        x = self.oddity(x);
        let output = self.head(x, vocabulary);
        self.plan.finish(output)
    }

    fn head(&mut self, x: ValueId, vocabulary: u32) -> ValueId {
        let x = self.norm(x, self.width);
        let x = self.linear(x, vocabulary);
        match self.rng.below(4) {
            0 => self.like(x, Scale { x, by: 0.5 }),
            1 => self.like(x, Softcap { x, cap: 3.0 }),
            _ => x,
        }
    }

    fn attention(&mut self, layer: u32, kv: LayerKv, x: ValueId) -> ValueId {
        let n_heads = kv.n_kv_heads * (1 + self.rng.below(3));
        let h = self.maybe_norm(x);
        let mut q = self.linear(h, n_heads * kv.k_dim);
        self.distraction(h);
        let mut k = self.linear(h, kv.n_kv_heads * kv.k_dim);
        let v = self.linear(h, kv.n_kv_heads * kv.v_dim);
        if self.rng.chance(30) {
            (q, k) = (self.norm(q, kv.k_dim), self.norm(k, kv.k_dim));
        }
        if self.rng.chance(80) {
            let params = self.rope_params(kv.k_dim);
            q = self.like(q, Rope { x: q, params });
            k = self.like(k, Rope { x: k, params });
            self.distraction(k);
        }
        self.plan.effect(Append { k, v, layer });
        let op = Attention {
            q,
            layer,
            n_heads,
            scale: 1.0 / libm::sqrtf(kv.k_dim as f32),
            window: self.rng.chance(30).then_some(1 + self.rng.below(6)),
            softcap: self.rng.chance(30).then_some(2.0),
        };
        let y = self.op(op, Rows::Tokens, n_heads * kv.v_dim);
        self.back(y, x)
    }

    fn feed_forward(&mut self, x: ValueId) -> ValueId {
        let h = self.maybe_norm(x);
        let hidden = self.rng.of(&[3, 8, 32, 64]);
        let (a, b) = (self.linear(h, hidden), self.linear(h, hidden));
        let (gate, up) = if self.rng.chance(50) { (a, b) } else { (b, a) };
        if self.rng.chance(10) {
            self.distraction(gate);
        }
        let act = self.rng.of(&[Activation::Silu, Activation::Gelu, Activation::Relu]);
        let y = self.like(gate, Glu { gate, up, act });
        self.back(y, x)
    }

    /// A mixture of experts.
    fn experts(&mut self, x: ValueId) -> ValueId {
        let h = self.maybe_norm(x);
        let count = 2 + self.rng.below(4);
        let used = 1 + self.rng.below(count.min(3));
        let (hidden, width) = (self.rng.of(&[32, 512, 64]), self.width);
        let logits = self.linear(h, count);
        let (normalise, scale) = (self.rng.chance(70), self.rng.of(&[1.0, 1.0, 2.5]));
        let route = self.op(Route { logits, used, normalise, scale }, Rows::Tokens, 2 * used);
        let each = |this: &mut Self, x: ValueId, n_in: u32, n_out: u32| {
            let weight = this.matrix("experts", count * n_out, n_in);
            let scale = this.rng.chance(20).then(|| this.vector("scales", count));
            this.op(Experts { x, route, weight, count, scale }, Rows::Tokens, used * n_out)
        };
        let gate = each(self, h, width, hidden);
        let up = each(self, h, width, hidden);
        let act = self.rng.of(&[Activation::Silu, Activation::Gelu]);
        let y = self.like(gate, Glu { gate, up, act });
        let y = each(self, y, hidden, width);
        let y = self.op(Combine { x: y, route }, Rows::Tokens, self.width);
        self.like(x, Add { a: x, b: y })
    }

    /// `y` at the width of the residual stream `x`, added to it.
    fn back(&mut self, y: ValueId, x: ValueId) -> ValueId {
        let y = self.linear(y, self.width);
        let y = if self.rng.chance(20) { self.norm(y, self.width) } else { y };
        let (a, b) = if self.rng.chance(50) { (x, y) } else { (y, x) };
        self.like(x, Add { a, b })
    }

    /// Another value of the shape of `x`.
    fn oddity(&mut self, x: ValueId) -> ValueId {
        let y = self.another(x);
        match self.rng.below(12) {
            0 => self.like(x, Scale { x, by: -1.5 }),
            1 => self.like(x, Softcap { x, cap: 5.0 }),
            2 => self.like(x, Mul { a: x, b: y }),
            3 => self.like(x, Add { a: x, b: y }),
            4 => self.like(x, Add { a: x, b: x }),
            5 => self.norm(x, self.width),
            6 => self.linear(x, self.width),
            _ => x,
        }
    }

    /// Now and then, one more op that reads `x`; its output is read much later, or never.
    fn distraction(&mut self, x: ValueId) {
        let spare = match self.rng.below(8) {
            0 => self.like(x, Scale { x, by: 2.0 }),
            1 => self.linear(x, 7),
            2 => x,
            _ => return,
        };
        if self.rng.chance(80) {
            self.spare.push(spare);
        }
    }

    /// Adds what is spare to the residual stream.
    fn add_spare(&mut self, mut x: ValueId) -> ValueId {
        while let Some(spare) = self.spare.pop() {
            let y = self.linear(spare, self.width);
            x = self.like(x, Add { a: x, b: y });
        }
        x
    }

    fn maybe_norm(&mut self, x: ValueId) -> ValueId {
        if !self.rng.chance(85) {
            return x;
        }
        let group = if self.rng.chance(90) { self.width } else { self.width / 2 };
        self.norm(x, group)
    }

    fn norm(&mut self, x: ValueId, group: u32) -> ValueId {
        let kind = self.rng.of(&[NormKind::Rms, NormKind::Rms, NormKind::Layer]);
        // Of two or three columns, a layer norm keeps little but signs, and rounding decides those.
        let kind = if group < 8 { NormKind::Rms } else { kind };
        let weight = self.rng.chance(80).then(|| self.vector("norm", group));
        let bias = self.rng.chance(20).then(|| self.vector("norm_bias", group));
        self.like(x, Norm { x, kind, weight, bias, eps: 1e-5, group })
    }

    fn linear(&mut self, x: ValueId, n_out: u32) -> ValueId {
        let Shape { rows, cols } = self.shapes[x.0 as usize];
        let weight = self.matrix("weight", n_out, cols);
        let bias = self.rng.chance(20).then(|| self.vector("bias", n_out));
        let of_bias = self.rng.chance(50);
        let scale = self.rng.chance(10).then(|| Factor { by: self.vector("scale", 1), of_bias });
        self.op(Linear { x, weight, scale, bias }, rows, n_out)
    }

    fn rope_params(&mut self, k_dim: u32) -> RopeParams {
        let halves = k_dim.is_multiple_of(4) && self.rng.chance(20);
        let head_dim = if halves { k_dim / 2 } else { k_dim };
        let rot_dims = 2 * (1 + self.rng.below(head_dim / 2));
        let factors = self.rng.chance(20).then(|| self.vector("rope_factors", rot_dims / 2));
        let yarn = Yarn { orig_ctx: 64, ext_factor: 1.0, attn_factor: 1.0, beta_fast: 32.0, beta_slow: 1.0 };
        RopeParams {
            head_dim,
            rot_dims,
            style: self.rng.of(&[RopeStyle::Interleaved, RopeStyle::Halves]),
            base: self.rng.of(&[500.0, 10_000.0, 1e6]),
            freq_scale: self.rng.of(&[1.0, 0.25]),
            factors,
            yarn: self.rng.chance(20).then_some(yarn),
        }
    }

    /// Any value of the shape of `x`.
    fn another(&mut self, x: ValueId) -> ValueId {
        let shape = self.shapes[x.0 as usize];
        let alike: Vec<u32> =
            (0..self.shapes.len() as u32).filter(|&i| self.shapes[i as usize] == shape).collect();
        ValueId(self.rng.of(&alike))
    }

    fn like(&mut self, x: ValueId, op: impl Into<Op>) -> ValueId {
        let Shape { rows, cols } = self.shapes[x.0 as usize];
        self.op(op, rows, cols)
    }

    fn op(&mut self, op: impl Into<Op>, rows: Rows, cols: u32) -> ValueId {
        self.shapes.push(Shape { rows, cols });
        self.plan.op(op)
    }

    /// A matrix of any type that we can write and that has whole blocks in a row.
    fn matrix(&mut self, name: &str, rows: u32, cols: u32) -> TensorId {
        let fits = |d: DType| (cols as usize).is_multiple_of(d.block_len());
        let types: Vec<DType> =
            FORMATS.iter().filter(|f| f.quantise.is_some() && fits(f.dtype)).map(|f| f.dtype).collect();
        let dtype = self.rng.of(&types);
        self.tensor(name, dtype, rows, cols)
    }

    /// A vector, mostly of f32 as in most files.
    fn vector(&mut self, name: &str, len: u32) -> TensorId {
        match self.rng.chance(70) {
            true => self.tensor(name, DType::F32, 1, len),
            false => self.matrix(name, 1, len),
        }
    }

    fn tensor(&mut self, name: &str, dtype: DType, rows: u32, cols: u32) -> TensorId {
        let name = format!("{name}.{}", self.n_tensors);
        self.n_tensors += 1;
        self.plan.tensor(TensorDecl { name: name.into(), dtype, cols: cols.into(), rows: rows.into() })
    }
}
