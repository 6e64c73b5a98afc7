//! MXFP4: 32 elements of 4-bit floats (E2M1) and a scale that is a power of two (E8M0); elements 0..16 in the low
//! nibbles, 16..32 in the high ones. `x = 2^(e-127) * level[q]`, here with the levels doubled and the scale halved.
//! Source: OCP Microscaling Formats (MX) 1.0; its NaN scale (255) is read as a power of two, as ggml does.

use crate::block::{blocks, encode, largest};
use crate::{DType, Format};
use alloc::vec::Vec;

/// Bytes of a block: exponent, nibbles.
const BYTES: usize = 1 + 16;
const _: () = assert!(BYTES == 17);

/// Twice the values of E2M1.
pub const LEVELS: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

pub(crate) const MXFP4: Format = Format { dtype: DType::MXFP4, dequantise, quantise: Some(quantise) };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 32>(bytes, out, |b, y| {
        let d = half_scale(b[0]);
        for (i, &q) in b[1..].iter().enumerate() {
            y[i] = d * f32::from(LEVELS[usize::from(q & 15)]);
            y[i + 16] = d * f32::from(LEVELS[usize::from(q >> 4)]);
        }
    });
}

/// The scale of a block with exponent `e`, for [`LEVELS`]: `2^(e-128)`; the two smallest are subnormal.
pub fn half_scale(e: u8) -> f32 {
    f32::from_bits(if e < 2 { 0x0020_0000 << e } else { (u32::from(e) - 1) << 23 })
}

fn quantise(x: &[f32], out: &mut Vec<u8>) {
    encode::<32>(x, out, |x, out| {
        // The power of two below the largest magnitude goes to 4, the one below the largest level (6).
        let exponent = (largest(x).to_bits() >> 23) as u8;
        let e = exponent.saturating_sub(2);
        let d = half_scale(e);
        out.push(e);
        out.extend((0..16).map(|i| nearest(d, x[i]) | (nearest(d, x[i + 16]) << 4)));
    });
}

/// Index of the level nearest to `v`; the first of several.
fn nearest(d: f32, v: f32) -> u8 {
    let error = |q: u8| (d * f32::from(LEVELS[usize::from(q)]) - v).abs();
    (1..16).fold(0, |best, q| if error(q) < error(best) { q } else { best })
}
