//! The vocabulary between an engine and a device: plans made of typed ops, their validation, and the [`Device`] trait.
//!
//! An engine *records* a [`Plan`] once per model; a device *validates* it ([`validate`], the trust boundary), *fuses*
//! it (`fuse`), lays out its scratch memory (`layout`) and then runs it once per step. One file per op holds its
//! parameters, its shape rule and its scalar reference.
//!
//! `no_std`: the CPU device also builds for bare wasm64.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod device;
pub mod op;
pub mod plan;
pub mod validate;

pub use device::{Device, DeviceError, DeviceInfo, Pick, Picked, SeqId, Span, Step};
pub use op::Op;
pub use validate::{Limits, PlanError, ValidPlan, validate};
pub use plan::{CacheSpec, KvType, LayerKv, Node, Plan, Recorder, Rows, Shape, TensorDecl, TensorId, ValueId};
