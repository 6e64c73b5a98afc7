//! The ops. One file each: parameters, shape rule, scalar reference.
//!
//! *Recorded* ops may stand in a plan that an engine sends. *Fused* ops are made by `crate::fuse` only and are
//! refused by validation.

mod add;
mod append;
mod attention;
mod combine;
mod embed;
mod experts;
mod gather;
mod glu;
mod linear;
mod mul;
mod norm;
mod project;
mod rope;
mod rope_append;
mod route;
mod scale;
mod softcap;

pub use add::Add;
pub use append::Append;
pub use attention::Attention;
pub use combine::Combine;
pub use embed::Embed;
pub use experts::Experts;
pub use gather::Gather;
pub use glu::{Activation, Glu};
pub use linear::{Factor, Linear};
pub use mul::Mul;
pub use norm::{Norm, NormKind};
pub use project::{Epilogue, Matrix, Project, Prologue};
pub use rope::{Rope, RopeParams, RopeStyle, Rotation, Yarn};
pub use rope_append::RopeAppend;
pub use route::Route;
pub use scale::Scale;
pub use softcap::Softcap;

use crate::plan::{TensorId, ValueId};

/// One operation of a plan.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// Rows of an embedding table.
    Embed(Embed),
    /// RMS or layer normalisation.
    Norm(Norm),
    /// Matrix product with a weight tensor.
    Linear(Linear),
    /// Rotary position embedding.
    Rope(Rope),
    /// Appends keys and values to the cache.
    Append(Append),
    /// Causal attention over the cache.
    Attention(Attention),
    /// Gated linear unit: `act(gate) * up`.
    Glu(Glu),
    /// Elementwise sum.
    Add(Add),
    /// Elementwise product.
    Mul(Mul),
    /// Product with a constant.
    Scale(Scale),
    /// `cap * tanh(x / cap)`.
    Softcap(Softcap),
    /// Wanted rows only.
    Gather(Gather),
    /// Which experts a token meets, and their weights.
    Route(Route),
    /// Products with the matrices of the chosen experts.
    Experts(Experts),
    /// Weighted sum over the chosen experts.
    Combine(Combine),
    /// Fused: optional norm, one or more matrices, optional GLU or residual add.
    Project(Project),
    /// Fused: rope of the keys, then append.
    RopeAppend(RopeAppend),
}

impl Op {
    /// Number of values the op defines.
    pub fn n_outputs(&self) -> u32 {
        match self {
            Op::Append(_) | Op::RopeAppend(_) => 0,
            Op::Project(p) if p.epilogue == Epilogue::Each => p.mats.len() as u32,
            _ => 1,
        }
    }

    /// Values that the op reads, each as often as it is named.
    pub fn inputs(&self) -> impl Iterator<Item = ValueId> + use<> {
        let (first, second) = match self {
            Op::Embed(_) => (None, None),
            Op::Norm(o) => (Some(o.x), None),
            Op::Linear(o) => (Some(o.x), None),
            Op::Rope(o) => (Some(o.x), None),
            Op::Append(o) => (Some(o.k), Some(o.v)),
            Op::Attention(o) => (Some(o.q), None),
            Op::Glu(o) => (Some(o.gate), Some(o.up)),
            Op::Add(o) => (Some(o.a), Some(o.b)),
            Op::Mul(o) => (Some(o.a), Some(o.b)),
            Op::Scale(o) => (Some(o.x), None),
            Op::Softcap(o) => (Some(o.x), None),
            Op::Gather(o) => (Some(o.x), None),
            Op::Route(o) => (Some(o.logits), None),
            Op::Experts(o) => (Some(o.x), Some(o.route)),
            Op::Combine(o) => (Some(o.x), Some(o.route)),
            Op::Project(Project { x, epilogue: Epilogue::Add(residual), .. }) => (Some(*x), Some(*residual)),
            Op::Project(o) => (Some(o.x), None),
            Op::RopeAppend(o) => (Some(o.k), Some(o.v)),
        };
        first.into_iter().chain(second)
    }

    /// Tensors that the op reads: matrices first, then vectors.
    pub fn tensors(&self) -> impl Iterator<Item = TensorId> {
        let mats: &[Matrix] = if let Op::Project(o) = self { &o.mats } else { &[] };
        let others = match self {
            Op::Embed(o) => [Some(o.table), None, None],
            Op::Norm(o) => [o.weight, o.bias, None],
            Op::Linear(o) => [Some(o.weight), o.scale.map(|s| s.by), o.bias],
            Op::Rope(o) => [o.params.factors, None, None],
            Op::RopeAppend(o) => [o.rope.factors, None, None],
            Op::Experts(o) => [Some(o.weight), o.scale, None],
            Op::Project(o) => [o.norm.and_then(|n| n.weight), o.norm.and_then(|n| n.bias), None],
            _ => [None; 3],
        };
        let mats = mats.iter().flat_map(|m| [Some(m.weight), m.scale.map(|s| s.by), m.bias]);
        mats.chain(others).flatten()
    }

    /// The op's name in printed plans and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Embed(_) => "embed",
            Op::Norm(_) => "norm",
            Op::Linear(_) => "linear",
            Op::Rope(_) => "rope",
            Op::Append(_) => "append",
            Op::Attention(_) => "attention",
            Op::Glu(_) => "glu",
            Op::Add(_) => "add",
            Op::Mul(_) => "mul",
            Op::Scale(_) => "scale",
            Op::Softcap(_) => "softcap",
            Op::Gather(_) => "gather",
            Op::Route(_) => "route",
            Op::Experts(_) => "experts",
            Op::Combine(_) => "combine",
            Op::Project(_) => "project",
            Op::RopeAppend(_) => "rope-append",
        }
    }
}

macro_rules! from_op {
    ($($variant:ident),*) => {$(
        impl From<$variant> for Op {
            fn from(op: $variant) -> Op { Op::$variant(op) }
        }
    )*};
}
from_op!(
    Embed, Norm, Linear, Rope, Append, Attention, Glu, Add, Mul, Scale, Softcap, Gather, Route, Experts,
    Combine, Project, RopeAppend
);
