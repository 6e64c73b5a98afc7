//! F32, F16 and BF16: one element per block.

use crate::{DType, Format};
use alloc::vec::Vec;
use half::{bf16, f16};

/// 32-bit floats.
pub(crate) const F32: Format = Format {
    dtype: DType::F32,
    dequantise: |bytes, out| each(bytes, out, f32::from_le_bytes),
    quantise: Some(|x, out| x.iter().for_each(|v| out.extend(v.to_le_bytes()))),
};

/// 16-bit IEEE floats.
pub(crate) const F16: Format = Format {
    dtype: DType::F16,
    dequantise: |bytes, out| each(bytes, out, |b| f16::from_le_bytes(b).to_f32()),
    quantise: Some(|x, out| x.iter().for_each(|&v| out.extend(f16::from_f32(v).to_le_bytes()))),
};

/// bfloat16.
pub(crate) const BF16: Format = Format {
    dtype: DType::BF16,
    dequantise: |bytes, out| each(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
    quantise: Some(quantise_bf16),
};

fn quantise_bf16(x: &[f32], out: &mut Vec<u8>) {
    x.iter().for_each(|&v| out.extend(bf16::from_f32(v).to_le_bytes()));
}

/// Decodes elements of `N` bytes.
pub(crate) fn each<const N: usize>(bytes: &[u8], out: &mut [f32], from: impl Fn([u8; N]) -> f32) {
    debug_assert_eq!(bytes.len(), out.len() * N);
    for (b, y) in bytes.as_chunks::<N>().0.iter().zip(out) {
        *y = from(*b);
    }
}
