//! Q6_K: 256 elements in 16 groups of 16; f16 scale of the block, signed 8-bit scale of each group, 6-bit quants:
//! low nibbles in 128 bytes, high 2 bits in 64. `x = d * scale * (q - 32)`.

use crate::block::{blocks, encode, half_at, inverse, largest, round};
use crate::search::symmetric;
use crate::{DType, Format};
use alloc::vec::Vec;
use half::f16;

/// Bytes of a block: low nibbles, high bits, scales, d.
const BYTES: usize = 128 + 64 + 16 + 2;
const _: () = assert!(BYTES == 210);

pub(crate) const Q6_K: Format = Format { dtype: DType::Q6_K, dequantise, quantise: Some(quantise) };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let d = half_at(b, 208);
        for half in 0..2 {
            let (low, high) = (&b[64 * half..][..64], &b[128 + 32 * half..][..32]);
            let scales = &b[192 + 8 * half..][..8];
            let y = &mut y[128 * half..][..128];
            for quarter in 0..4 {
                for i in 0..32 {
                    // Quarters 0 and 1 are low nibbles of the first and second 32 bytes, 2 and 3 the high ones.
                    let nibble = (low[32 * (quarter % 2) + i] >> (4 * (quarter / 2))) & 15;
                    let q = nibble | (((high[i] >> (2 * quarter)) & 3) << 4);
                    let scale = scales[2 * quarter + i / 16] as i8;
                    y[32 * quarter + i] = d * f32::from(scale) * (f32::from(q) - 32.0);
                }
            }
        }
    });
}

fn quantise(x: &[f32], out: &mut Vec<u8>) {
    encode::<256>(x, out, |x, out| {
        let groups = x.as_chunks::<16>().0;
        let mut scales = [0f32; 16];
        groups.iter().zip(&mut scales).for_each(|(x, scale)| *scale = symmetric(x, 32));
        // The scale of largest magnitude becomes exactly -128.
        let d = f16::from_f32(largest(&scales) / -128.0);
        let per_d = inverse(d.to_f32());
        let scales = scales.map(|scale| round(scale * per_d).clamp(-128, 127) as i8);
        let mut levels = [0u8; 256];
        for (group, (x, scale)) in groups.iter().zip(scales).enumerate() {
            let inverse = inverse(d.to_f32() * f32::from(scale));
            for (i, &v) in x.iter().enumerate() {
                levels[16 * group + i] = (round(v * inverse).clamp(-32, 31) + 32) as u8;
            }
        }
        let halves = || levels.chunks_exact(128);
        for half in halves() {
            out.extend((0..64).map(|i| (half[i] & 15) | (half[i + 64] & 15) << 4));
        }
        for half in halves() {
            let high = |i: usize, quarter: usize| (half[32 * quarter + i] >> 4) << (2 * quarter);
            out.extend((0..32).map(|i| high(i, 0) | high(i, 1) | high(i, 2) | high(i, 3)));
        }
        out.extend(scales.map(|scale| scale as u8));
        out.extend(d.to_le_bytes());
    });
}
