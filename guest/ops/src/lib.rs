//! The vocabulary between an engine and a device: plans made of typed ops, their validation, and the [`Device`] trait.
//!
//! An engine *records* a [`Plan`] once per model; a device *validates* it ([`validate`](validate()), the trust
//! boundary), *fuses* it, lays out its scratch memory and then runs it once per step. One file per op holds its
//! parameters, its shape rule and its scalar reference.
//!
//! `no_std`: the CPU device also builds for bare wasm64.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod budget;
mod context;
pub mod device;
pub mod error;
pub mod fuse;
pub mod layout;
mod liveness;
pub mod op;
pub mod plan;
mod print;
mod reads;
pub mod reference;
mod rng;
pub mod step;
pub mod tensor;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod validate;

pub use budget::{Budget, Charge};
pub use device::{Device, DeviceError, DeviceInfo, Pick, Picked, SeqId, Span, Step};
pub use error::{CacheError, NodeError, PlanError, TensorError};
pub use fuse::{FusedPlan, fuse};
pub use layout::{Layout, layout, layout_until};
pub use op::Op;
pub use plan::{
    CACHE_PAGE, CacheSpec, KvType, LayerKv, Node, Plan, Recorder, Rows, Shape, TensorDecl, TensorId, ValueId,
};
pub use reads::WeightReads;
pub use reference::Reference;
pub use step::StepLimits;
pub use tensor::TensorView;
pub use validate::{Limits, ValidPlan, validate};
