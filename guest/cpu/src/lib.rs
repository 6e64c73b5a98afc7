//! The CPU device: one executor, two homes. Native under a host's thread pool, and compiled to wasm.
//!
//! No thread, clock or file: threads come from outside through [`Pool`], bytes through [`WeightBytes`], cancellation
//! through a flag. `unsafe` lives in `arch/` (instruction sets) and `arena` (disjoint views across threads) only.
#![cfg_attr(not(any(test, feature = "std")), no_std)]

extern crate alloc;

pub mod act;
pub mod arch;
pub mod kernels;
pub mod pool;

pub use kernels::{Kernels, MatKernel, VecKernels};
pub use pool::{Pool, Serial};
