//! Block formats of tensors: layout, dequantise and, where we write them, quantise.
//!
//! One file per format and one line in [`FORMATS`]. `no_std`: the CPU device also builds for bare wasm64.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod block;
mod codebook;
mod dtype;
mod grid;
mod iq1_m;
mod iq1_s;
mod iq2_s;
mod iq2_xs;
mod iq2_xxs;
mod iq3_s;
mod iq3_xxs;
mod iq4_nl;
mod iq4_xs;
mod mxfp4;
mod numbers;
mod plain;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;
mod q8_1;
mod q8_k;
mod search;
mod tq1_0;
mod tq2_0;

pub use codebook::UNEVEN;
pub use dtype::DType;
pub use mxfp4::{LEVELS as MXFP4_LEVELS, half_scale as mxfp4_scale};

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
pub const FORMATS: &[Format] = &[
    plain::F32,
    plain::F16,
    plain::BF16,
    q8_0::Q8_0,
    q4_0::Q4_0,
    q4_1::Q4_1,
    q5_0::Q5_0,
    q5_1::Q5_1,
    q2_k::Q2_K,
    q3_k::Q3_K,
    q4_k::Q4_K,
    q5_k::Q5_K,
    q6_k::Q6_K,
    iq4_nl::IQ4_NL,
    iq4_xs::IQ4_XS,
    iq3_s::IQ3_S,
    iq3_xxs::IQ3_XXS,
    iq2_s::IQ2_S,
    iq2_xs::IQ2_XS,
    iq2_xxs::IQ2_XXS,
    iq1_m::IQ1_M,
    iq1_s::IQ1_S,
    mxfp4::MXFP4,
    tq2_0::TQ2_0,
    tq1_0::TQ1_0,
    q8_1::Q8_1,
    q8_k::Q8_K,
    numbers::F64,
];

/// Integer tensors: they can be decoded to be looked at, but no model has weights of these types, so plans refuse them.
pub const INTEGERS: &[Format] = &[numbers::I8, numbers::I16, numbers::I32, numbers::I64];

/// The format of a type, if it can be computed with.
pub fn format(dtype: DType) -> Option<&'static Format> {
    FORMATS.iter().find(|f| f.dtype == dtype)
}
