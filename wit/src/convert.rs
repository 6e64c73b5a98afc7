//! Conversions between the contract's types and [`chord_ops`] types. Lossless; what the contract cannot say (fused ops)
//! is refused. Nothing is validated here but the numbers that have no Rust value (unknown tensor types).

use crate::compute as w;
use chord_ops::{self as ops, op};
use chord_quant::DType;

/// A contract value that has no meaning in [`chord_ops`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Malformed {}

/// Field-by-field conversion in both directions between two records with the same field names.
macro_rules! same_fields {
    ($wit:ty, $ops:ty, { $($field:ident),* }) => {
        impl From<$wit> for $ops {
            fn from(v: $wit) -> Self { Self { $($field: v.$field),* } }
        }
        impl From<$ops> for $wit {
            fn from(v: $ops) -> Self { Self { $($field: v.$field),* } }
        }
    };
}

/// Conversion in both directions between two enums with the same cases.
macro_rules! same_cases {
    ($wit:ty, $ops:ty, { $($case:ident),* }) => {
        impl From<$wit> for $ops {
            fn from(v: $wit) -> Self { match v { $(<$wit>::$case => <$ops>::$case),* } }
        }
        impl TryFrom<$ops> for $wit {
            type Error = Malformed;
            #[allow(unreachable_patterns, reason = "some of the enums are open")]
            fn try_from(v: $ops) -> Result<Self, Malformed> {
                Ok(match v {
                    $(<$ops>::$case => <$wit>::$case,)*
                    other => return Err(Malformed(format!("{other:?} is not in contract 0.1"))),
                })
            }
        }
    };
}

same_fields!(w::LayerKv, ops::LayerKv, { n_kv_heads, k_dim, v_dim });
same_fields!(w::Yarn, op::Yarn, { orig_ctx, ext_factor, attn_factor, beta_fast, beta_slow });
same_cases!(w::KvType, ops::KvType, { F16, F32 });
same_cases!(w::NormKind, op::NormKind, { Rms, Layer });
same_cases!(w::RopeStyle, op::RopeStyle, { Interleaved, Halves });
same_cases!(w::Activation, op::Activation, { Silu, Gelu, Relu });

fn value(id: u32) -> ops::ValueId {
    ops::ValueId(id)
}

fn tensor(id: Option<u32>) -> Option<ops::TensorId> {
    id.map(ops::TensorId)
}

fn dtype(id: u32) -> Result<DType, Malformed> {
    DType::from_ggml_id(id).ok_or_else(|| Malformed(format!("tensor type number {id} is unknown")))
}

impl TryFrom<w::TensorDecl> for ops::TensorDecl {
    type Error = Malformed;
    fn try_from(v: w::TensorDecl) -> Result<Self, Malformed> {
        let dtype = dtype(v.dtype).map_err(|e| Malformed(format!("tensor `{}`: {e}", v.name)))?;
        Ok(Self { name: v.name.into(), dtype, cols: v.cols, rows: v.rows })
    }
}

impl From<&ops::TensorDecl> for w::TensorDecl {
    fn from(v: &ops::TensorDecl) -> Self {
        Self { name: v.name.as_ref().into(), dtype: v.dtype.ggml_id(), cols: v.cols, rows: v.rows }
    }
}

impl From<w::CacheSpec> for ops::CacheSpec {
    fn from(v: w::CacheSpec) -> Self {
        let layers = v.layers.into_iter().map(Into::into).collect();
        Self { layers, dtype: v.dtype.into(), max_tokens: v.max_tokens }
    }
}

impl TryFrom<&ops::CacheSpec> for w::CacheSpec {
    type Error = Malformed;
    fn try_from(v: &ops::CacheSpec) -> Result<Self, Malformed> {
        let layers = v.layers.iter().map(|&l| l.into()).collect();
        Ok(Self { layers, dtype: v.dtype.try_into()?, max_tokens: v.max_tokens })
    }
}

impl From<w::RopeParams> for op::RopeParams {
    fn from(v: w::RopeParams) -> Self {
        Self {
            head_dim: v.head_dim,
            rot_dims: v.rot_dims,
            style: v.style.into(),
            base: v.base,
            freq_scale: v.freq_scale,
            factors: tensor(v.factors),
            yarn: v.yarn.map(Into::into),
        }
    }
}

impl TryFrom<op::RopeParams> for w::RopeParams {
    type Error = Malformed;
    fn try_from(v: op::RopeParams) -> Result<Self, Malformed> {
        Ok(Self {
            head_dim: v.head_dim,
            rot_dims: v.rot_dims,
            style: v.style.try_into()?,
            base: v.base,
            freq_scale: v.freq_scale,
            factors: v.factors.map(|t| t.0),
            yarn: v.yarn.map(Into::into),
        })
    }
}

impl From<w::Op> for ops::Op {
    fn from(v: w::Op) -> Self {
        match v {
            w::Op::Embed(o) => op::Embed { table: ops::TensorId(o.table) }.into(),
            w::Op::Norm(o) => op::Norm {
                x: value(o.x),
                kind: o.kind.into(),
                weight: tensor(o.weight),
                bias: tensor(o.bias),
                eps: o.eps,
                group: o.group,
            }
            .into(),
            w::Op::Linear(o) => op::Linear {
                x: value(o.x),
                weight: ops::TensorId(o.weight),
                scale: o.scale.map(|s| op::Factor { by: ops::TensorId(s.by), of_bias: s.of_bias }),
                bias: tensor(o.bias),
            }
            .into(),
            w::Op::Rope(o) => op::Rope { x: value(o.x), params: o.params.into() }.into(),
            w::Op::Append(o) => op::Append { k: value(o.k), v: value(o.v), layer: o.layer }.into(),
            w::Op::Attention(o) => op::Attention {
                q: value(o.q),
                layer: o.layer,
                n_heads: o.n_heads,
                scale: o.scale,
                window: o.window,
                softcap: o.softcap,
            }
            .into(),
            w::Op::Glu(o) => op::Glu { gate: value(o.gate), up: value(o.up), act: o.act.into() }.into(),
            w::Op::Add(o) => op::Add { a: value(o.a), b: value(o.b) }.into(),
            w::Op::Mul(o) => op::Mul { a: value(o.a), b: value(o.b) }.into(),
            w::Op::Scale(o) => op::Scale { x: value(o.x), by: o.by }.into(),
            w::Op::Softcap(o) => op::Softcap { x: value(o.x), cap: o.cap }.into(),
            w::Op::Gather(o) => op::Gather { x: value(o.x) }.into(),
            w::Op::Route(o) => {
                op::Route { logits: value(o.logits), used: o.used, normalise: o.normalise, scale: o.scale }
                    .into()
            }
            w::Op::Experts(o) => op::Experts {
                x: value(o.x),
                route: value(o.route),
                weight: ops::TensorId(o.weight),
                count: o.count,
                scale: tensor(o.scale),
            }
            .into(),
            w::Op::Combine(o) => op::Combine { x: value(o.x), route: value(o.route) }.into(),
        }
    }
}

impl TryFrom<&ops::Op> for w::Op {
    type Error = Malformed;
    fn try_from(v: &ops::Op) -> Result<Self, Malformed> {
        Ok(match v {
            ops::Op::Embed(o) => w::Op::Embed(w::Embed { table: o.table.0 }),
            ops::Op::Norm(o) => w::Op::Norm(w::Norm {
                x: o.x.0,
                kind: o.kind.try_into()?,
                weight: o.weight.map(|t| t.0),
                bias: o.bias.map(|t| t.0),
                eps: o.eps,
                group: o.group,
            }),
            ops::Op::Linear(o) => w::Op::Linear(w::Linear {
                x: o.x.0,
                weight: o.weight.0,
                scale: o.scale.map(|s| w::Factor { by: s.by.0, of_bias: s.of_bias }),
                bias: o.bias.map(|t| t.0),
            }),
            ops::Op::Rope(o) => w::Op::Rope(w::Rope { x: o.x.0, params: o.params.try_into()? }),
            ops::Op::Append(o) => w::Op::Append(w::Append { k: o.k.0, v: o.v.0, layer: o.layer }),
            ops::Op::Attention(o) => w::Op::Attention(w::Attention {
                q: o.q.0,
                layer: o.layer,
                n_heads: o.n_heads,
                scale: o.scale,
                window: o.window,
                softcap: o.softcap,
            }),
            ops::Op::Glu(o) => w::Op::Glu(w::Glu { gate: o.gate.0, up: o.up.0, act: o.act.try_into()? }),
            ops::Op::Add(o) => w::Op::Add(w::Pair { a: o.a.0, b: o.b.0 }),
            ops::Op::Mul(o) => w::Op::Mul(w::Pair { a: o.a.0, b: o.b.0 }),
            ops::Op::Scale(o) => w::Op::Scale(w::Scale { x: o.x.0, by: o.by }),
            ops::Op::Softcap(o) => w::Op::Softcap(w::Softcap { x: o.x.0, cap: o.cap }),
            ops::Op::Gather(o) => w::Op::Gather(w::Gather { x: o.x.0 }),
            ops::Op::Route(o) => w::Op::Route(w::Route {
                logits: o.logits.0,
                used: o.used,
                normalise: o.normalise,
                scale: o.scale,
            }),
            ops::Op::Experts(o) => w::Op::Experts(w::Experts {
                x: o.x.0,
                route: o.route.0,
                weight: o.weight.0,
                count: o.count,
                scale: o.scale.map(|t| t.0),
            }),
            ops::Op::Combine(o) => w::Op::Combine(w::Combine { x: o.x.0, route: o.route.0 }),
            other => return Err(Malformed(format!("op {} is not in contract 0.1", other.name()))),
        })
    }
}

impl TryFrom<w::PlanDecl> for ops::Plan {
    type Error = Malformed;
    fn try_from(v: w::PlanDecl) -> Result<Self, Malformed> {
        let mut recorder = ops::Recorder::new(v.cache.into(), v.max_step_tokens);
        for decl in v.tensors {
            recorder.tensor(decl.try_into()?);
        }
        for op in v.ops {
            recorder.push(op.into());
        }
        Ok(recorder.finish(value(v.output)))
    }
}

impl TryFrom<&ops::Plan> for w::PlanDecl {
    type Error = Malformed;
    fn try_from(v: &ops::Plan) -> Result<Self, Malformed> {
        Ok(Self {
            tensors: v.tensors.iter().map(Into::into).collect(),
            cache: (&v.cache).try_into()?,
            ops: v.nodes.iter().map(|n| (&n.op).try_into()).collect::<Result<_, _>>()?,
            output: v.output.0,
            max_step_tokens: v.max_step_tokens,
        })
    }
}

impl From<w::Pick> for ops::Pick {
    fn from(v: w::Pick) -> Self {
        match v {
            w::Pick::All => ops::Pick::All,
            w::Pick::Top(k) => ops::Pick::Top(k),
        }
    }
}

impl From<ops::Pick> for w::Pick {
    fn from(v: ops::Pick) -> Self {
        match v {
            ops::Pick::All => w::Pick::All,
            ops::Pick::Top(k) => w::Pick::Top(k),
        }
    }
}

impl From<w::Span> for ops::Span {
    fn from(v: w::Span) -> Self {
        Self { seq: ops::SeqId(v.seq), len: v.len }
    }
}

impl From<ops::Span> for w::Span {
    fn from(v: ops::Span) -> Self {
        Self { seq: v.seq.0, len: v.len }
    }
}

same_fields!(w::Picked, ops::Picked, { values, indices, k });

impl From<ops::DeviceError> for w::Error {
    fn from(v: ops::DeviceError) -> Self {
        use ops::DeviceError as E;
        match v {
            E::Plan(e) => w::Error::Plan(e.to_string()),
            E::Tensor(m) => w::Error::Tensor(m),
            E::Step(m) => w::Error::Step(m),
            E::CacheFull { used, max, wanted } => w::Error::CacheFull((used, max, wanted)),
            E::Limit(m) => w::Error::Limit(m),
            E::Cancelled => w::Error::Cancelled,
            E::WeightsLost(m) => w::Error::WeightsLost(m),
            other => w::Error::Other(other.to_string()),
        }
    }
}

impl From<w::Error> for ops::DeviceError {
    fn from(v: w::Error) -> Self {
        use ops::DeviceError as E;
        match v {
            w::Error::Plan(m) => E::Failed(format!("plan refused: {m}")),
            w::Error::Tensor(m) => E::Tensor(m),
            w::Error::Step(m) => E::Step(m),
            w::Error::CacheFull((used, max, wanted)) => E::CacheFull { used, max, wanted },
            w::Error::Limit(m) => E::Limit(m),
            w::Error::Cancelled => E::Cancelled,
            w::Error::WeightsLost(m) => E::WeightsLost(m),
            w::Error::Other(m) => E::Failed(m),
        }
    }
}

impl From<ops::DeviceInfo> for w::DeviceInfo {
    fn from(v: ops::DeviceInfo) -> Self {
        let ids = |types: Vec<DType>| types.into_iter().map(DType::ggml_id).collect();
        Self { name: v.name, description: v.description, fast: ids(v.fast), readable: ids(v.readable) }
    }
}

impl From<w::DeviceInfo> for ops::DeviceInfo {
    fn from(v: w::DeviceInfo) -> Self {
        // A type that this engine does not know cannot be in a plan of ours.
        let types = |ids: Vec<u32>| ids.into_iter().filter_map(DType::from_ggml_id).collect();
        Self { name: v.name, description: v.description, fast: types(v.fast), readable: types(v.readable) }
    }
}
