//! The CPU device: one executor, two homes. Native under a host's thread pool, and compiled to wasm.
//!
//! No thread, clock or file: threads come from outside through [`Pool`], bytes through [`WeightBytes`], cancellation
//! through a flag. `unsafe` lives in `arch/` (instruction sets), `arena`, `copies` and `exec` (disjoint views across threads) only.
#![cfg_attr(not(any(test, feature = "std")), no_std)]

extern crate alloc;

pub mod act;
pub mod arch;
mod arena;
mod cache;
mod copies;
mod device;
mod exec;
pub mod kernels;
mod ops;
pub mod pool;
mod profile;
mod progress;
mod tensor;

pub use cache::Cache;
pub use copies::Advise;
pub use device::{Bounds, CpuDevice};
pub use exec::Compiled;
pub use kernels::{Kernels, MatKernel, VecKernels};
pub use pool::{Pool, Serial, Turn};
pub use profile::{Clock, OpProfile};
pub use tensor::{Bytes, Tensor, WeightBytes};
