//! Plans as text: a header, one op per line, totals.

use crate::fuse::FusedPlan;
use crate::layout::layout;
use crate::op::{
    Activation, Epilogue, Factor, Linear, Matrix, NormKind, Op, Prologue, RopeParams, RopeStyle,
};
use crate::plan::{KvType, Node, Plan, Shape, TensorDecl, TensorId};
use crate::validate::ValidPlan;
use core::fmt::{self, Display, Formatter};

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Printer { plan: self, shapes: &[] }.print(f)
    }
}

impl Display for ValidPlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Printer { plan: self.plan(), shapes: self.shapes() }.print(f)?;
        let (weights, scratch) = (self.weight_reads().of_step(1), self.scratch_bytes());
        write!(f, "weights read per token: {}; scratch alive: {}", Bytes(weights), Bytes(scratch))
    }
}

impl Display for FusedPlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Printer { plan: self.plan(), shapes: self.shapes() }.print(f)?;
        let (weights, scratch) =
            (self.weight_reads().of_step(1), (layout(self).total as u64).saturating_mul(4));
        write!(f, "weights read per token: {}; scratch arena: {}", Bytes(weights), Bytes(scratch))
    }
}

/// A plan that may not be valid: `shapes` is empty then, and indices out of range are printed as they are.
struct Printer<'a> {
    plan: &'a Plan,
    shapes: &'a [Shape],
}

impl Printer<'_> {
    fn print(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.header(f)?;
        for node in &self.plan.nodes {
            self.outs(f, node)?;
            write!(f, "{}", node.op.name())?;
            self.operands(f, &node.op)?;
            writeln!(f)?;
        }
        writeln!(f, "return {}", self.plan.output)
    }

    fn header(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Plan { tensors, cache, nodes, max_step_tokens, .. } = self.plan;
        let bytes = |t: &TensorDecl| t.dtype.bytes_for(t.cols).unwrap_or(0).saturating_mul(t.rows);
        let all = tensors.iter().map(bytes).fold(0, u64::saturating_add);
        let kv = match cache.dtype {
            KvType::F16 => "F16",
            KvType::F32 => "F32",
        };
        let per_token = Bytes(cache.bytes_per_token().unwrap_or(u64::MAX));
        let (n_tensors, n_layers, n_nodes) = (tensors.len(), cache.layers.len(), nodes.len());
        writeln!(f, "plan: {n_nodes} ops; {n_tensors} tensors, {}", Bytes(all))?;
        writeln!(
            f,
            "cache: {n_layers} layers {kv}, {} tokens of {per_token}; steps: at most {max_step_tokens} tokens",
            cache.max_tokens
        )
    }

    fn outs(&self, f: &mut Formatter<'_>, node: &Node) -> fmt::Result {
        for (i, out) in node.outs.iter().enumerate() {
            write!(f, "{}{out}", if i == 0 { "" } else { ", " })?;
            if let Some(shape) = self.shapes.get(out.0 as usize) {
                write!(f, " {shape}")?;
            }
        }
        f.write_str(if node.outs.is_empty() { "" } else { " = " })
    }

    fn operands(&self, f: &mut Formatter<'_>, op: &Op) -> fmt::Result {
        match op {
            Op::Embed(o) => write!(f, " {}", self.tensor(o.table)),
            Op::Norm(o) => {
                let norm = Prologue { kind: o.kind, weight: o.weight, bias: o.bias, eps: o.eps };
                write!(f, " {} {} group={}", o.x, self.norm(&norm), o.group)
            }
            &Op::Linear(Linear { x, weight, scale, bias }) => {
                write!(f, " {x} {}", self.matrix(&Matrix { weight, scale, bias }))
            }
            Op::Rope(o) => write!(f, " {} {}", o.x, self.rope(&o.params)),
            Op::Append(o) => write!(f, " k={} v={} layer={}", o.k, o.v, o.layer),
            Op::RopeAppend(o) => {
                write!(f, " k={} v={} layer={} {}", o.k, o.v, o.layer, self.rope(&o.rope))
            }
            Op::Attention(o) => {
                write!(f, " {} layer={} heads={} scale={}", o.q, o.layer, o.n_heads, o.scale)?;
                o.window.map_or(Ok(()), |n| write!(f, " window={n}"))?;
                o.softcap.map_or(Ok(()), |cap| write!(f, " softcap={cap}"))
            }
            Op::Glu(o) => write!(f, " {} {} act={}", o.gate, o.up, activation(o.act)),
            Op::Add(o) => write!(f, " {} {}", o.a, o.b),
            Op::Mul(o) => write!(f, " {} {}", o.a, o.b),
            Op::Scale(o) => write!(f, " {} by={}", o.x, o.by),
            Op::Softcap(o) => write!(f, " {} cap={}", o.x, o.cap),
            Op::Gather(o) => write!(f, " {}", o.x),
            Op::Route(o) => {
                let normalised = if o.normalise { " normalised" } else { "" };
                write!(f, " {} used={}{normalised} scale={}", o.logits, o.used, o.scale)
            }
            Op::Experts(o) => {
                let matrix = Matrix { weight: o.weight, scale: o.scale.map(Factor::of_product), bias: None };
                write!(f, " {} route={} {} count={}", o.x, o.route, self.matrix(&matrix), o.count)
            }
            Op::Combine(o) => write!(f, " {} route={}", o.x, o.route),
            Op::Project(o) => {
                write!(f, " {}", o.x)?;
                o.norm.as_ref().map_or(Ok(()), |norm| write!(f, " norm={}", self.norm(norm)))?;
                self.mats(f, &o.mats)?;
                match o.epilogue {
                    Epilogue::Each => Ok(()),
                    Epilogue::Glu(act) => write!(f, " glu={}", activation(act)),
                    Epilogue::Add(residual) => write!(f, " add={residual}"),
                }
            }
        }
    }

    fn mats(&self, f: &mut Formatter<'_>, mats: &[Matrix]) -> fmt::Result {
        f.write_str(" mats=[")?;
        for (i, m) in mats.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, self.matrix(m))?;
        }
        f.write_str("]")
    }

    fn matrix(&self, m: &Matrix) -> impl Display {
        let weight = self.tensor(m.weight);
        let (scale, bias) = (m.scale.map(|s| self.name(s.by)), m.bias.map(|b| self.name(b)));
        let of_bias = m.scale.is_some_and(|s| s.of_bias);
        from_fn(move |f| match (&scale, &bias) {
            (None, None) => write!(f, "{weight}"),
            (None, Some(bias)) => write!(f, "{weight} + {bias}"),
            (Some(scale), None) => write!(f, "{weight} * {scale}"),
            (Some(scale), Some(bias)) if of_bias => write!(f, "({weight} + {bias}) * {scale}"),
            (Some(scale), Some(bias)) => write!(f, "{weight} * {scale} + {bias}"),
        })
    }

    fn norm(&self, norm: &Prologue) -> impl Display {
        let kind = match norm.kind {
            NormKind::Rms => "rms",
            NormKind::Layer => "layer",
        };
        let (eps, weight, bias) =
            (norm.eps, norm.weight.map(|t| self.name(t)), norm.bias.map(|t| self.name(t)));
        from_fn(move |f| {
            write!(f, "{kind}({eps:e}")?;
            weight.as_ref().map_or(Ok(()), |w| write!(f, ", {w}"))?;
            bias.as_ref().map_or(Ok(()), |b| write!(f, ", {b}"))?;
            f.write_str(")")
        })
    }

    fn rope(&self, rope: &RopeParams) -> impl Display {
        let (rope, factors) = (*rope, rope.factors.map(|t| self.name(t)));
        from_fn(move |f| {
            let style = match rope.style {
                RopeStyle::Interleaved => "interleaved",
                RopeStyle::Halves => "halves",
            };
            write!(f, "rope={style}({}/{}, base={}", rope.rot_dims, rope.head_dim, rope.base)?;
            if rope.freq_scale != 1.0 {
                write!(f, ", scale={}", rope.freq_scale)?;
            }
            factors.as_ref().map_or(Ok(()), |t| write!(f, ", factors={t}"))?;
            if let Some(y) = rope.yarn {
                let (ext, attn, fast, slow) = (y.ext_factor, y.attn_factor, y.beta_fast, y.beta_slow);
                write!(f, ", yarn({}, ext={ext}, attn={attn}, beta={slow}..{fast})", y.orig_ctx)?;
            }
            f.write_str(")")
        })
    }

    /// `name type rowsxcols`.
    fn tensor(&self, id: TensorId) -> impl Display + use<'_> {
        let decl = self.plan.tensors.get(id.0 as usize);
        from_fn(move |f| match decl {
            None => write!(f, "tensor#{}", id.0),
            Some(t) => write!(f, "{} {} {}x{}", t.name.escape_debug(), t.dtype, t.rows, t.cols),
        })
    }

    fn name(&self, id: TensorId) -> impl Display + use<'_> {
        let decl = self.plan.tensors.get(id.0 as usize);
        from_fn(move |f| match decl {
            None => write!(f, "tensor#{}", id.0),
            Some(t) => write!(f, "{}", t.name.escape_debug()),
        })
    }
}

fn activation(act: Activation) -> &'static str {
    match act {
        Activation::Silu => "silu",
        Activation::Gelu => "gelu",
        Activation::Relu => "relu",
    }
}

/// A size in the largest unit that leaves it above 1.
struct Bytes(u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(bits, _)| self.0 >> bits > 0) {
            Some((bits, unit)) => write!(f, "{:.1} {unit}", self.0 as f64 / (1u64 << bits) as f64),
            None => write!(f, "{} B", self.0),
        }
    }
}

/// A value that prints itself with a closure.
fn from_fn(f: impl Fn(&mut Formatter<'_>) -> fmt::Result) -> impl Display {
    fmt::from_fn(f)
}
