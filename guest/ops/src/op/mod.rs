//! The ops. One file each: parameters, shape rule, scalar reference.
//!
//! *Recorded* ops may stand in a plan that an engine sends. *Fused* ops are made by `crate::fuse` only and are
//! refused by validation.

mod add;
mod append;
mod attention;
mod embed;
mod gather;
mod glu;
mod linear;
mod mul;
mod norm;
mod project;
mod rope;
mod rope_append;
mod scale;
mod softcap;

pub use add::Add;
pub use append::Append;
pub use attention::Attention;
pub use embed::Embed;
pub use gather::Gather;
pub use glu::{Activation, Glu};
pub use linear::Linear;
pub use mul::Mul;
pub use norm::{Norm, NormKind};
pub use project::{Epilogue, Matrix, Prologue, Project};
pub use rope::{Rope, RopeParams, RopeStyle, Yarn};
pub use rope_append::RopeAppend;
pub use scale::Scale;
pub use softcap::Softcap;

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
from_op!(Embed, Norm, Linear, Rope, Append, Attention, Glu, Add, Mul, Scale, Softcap, Gather, Project, RopeAppend);
