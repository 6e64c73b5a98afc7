//! Block formats of tensors: layout, dequantise, quantise, and a reference dot product for each.
//!
//! One file per format and one line in [`FORMATS`]. `no_std`: the CPU device also builds for bare wasm64.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod block;
mod dtype;
mod plain;
mod q4_0;
mod q4_k;
mod q5_k;
mod q6_k;
mod q8_0;

pub use dtype::DType;

use alloc::vec::Vec;

/// What can be computed with a tensor type. Slices are whole rows: `bytes.len() == dtype.bytes_for(n)`, `n` elements.
/// Other lengths panic where debug assertions are on; else what is not a whole block in both slices is left alone.
pub struct Format {
    /// The type that this format reads.
    pub dtype: DType,
    /// Decodes whole blocks: `out.len()` elements from `bytes`.
    pub dequantise: fn(bytes: &[u8], out: &mut [f32]),
    /// Encodes whole blocks, appending `dtype.bytes_for(x.len())` bytes. `None`: cannot be written by us.
    pub quantise: Option<Quantise>,
}

/// Appends the encoded blocks of `x` to `out`.
pub type Quantise = fn(x: &[f32], out: &mut Vec<u8>);

/// Every format that can be computed with.
pub const FORMATS: &[Format] =
    &[plain::F32, plain::F16, plain::BF16, q8_0::Q8_0, q4_0::Q4_0, q4_k::Q4_K, q5_k::Q5_K, q6_k::Q6_K];

/// The format of a type, if it can be computed with.
pub fn format(dtype: DType) -> Option<&'static Format> {
    FORMATS.iter().find(|f| f.dtype == dtype)
}
