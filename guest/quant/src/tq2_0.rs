//! TQ2_0: 256 elements of -1, 0 or 1 in 2 bits each (3 would be 2) and an f16 scale. `x = d * (q - 1)`.

use crate::block::{blocks, encode, half_at, inverse, largest, round};
use crate::{DType, Format};
use alloc::vec::Vec;
use half::f16;

/// Bytes of a block: quants, scale.
const BYTES: usize = 64 + 2;
const _: () = assert!(BYTES == 66);

pub(crate) const TQ2_0: Format = Format { dtype: DType::TQ2_0, dequantise, quantise: Some(quantise) };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let d = half_at(b, 64);
        for (row, y) in y.chunks_exact_mut(32).enumerate() {
            // 32 bytes hold four rows of 32, one for each shift.
            for (y, &q) in y.iter_mut().zip(&b[32 * (row / 4)..][..32]) {
                *y = d * (f32::from((q >> (2 * (row % 4))) & 3) - 1.0);
            }
        }
    });
}

fn quantise(x: &[f32], out: &mut Vec<u8>) {
    encode::<256>(x, out, |x, out| {
        let d = largest(x).abs();
        let inverse = inverse(d);
        let level = |v: f32| (round(v * inverse).clamp(-1, 1) + 1) as u8;
        for half in x.chunks_exact(128) {
            out.extend(
                (0..32).map(|i| (0..4).fold(0, |q, row| q | (level(half[32 * row + i]) << (2 * row)))),
            );
        }
        out.extend(f16::from_f32(d).to_le_bytes());
    });
}
