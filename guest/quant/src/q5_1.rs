//! Q5_1: as Q4_1 with a fifth bit per element in 4 extra bytes. `x = d * q + m`.

use crate::block::{blocks, encode, fifth_bits, half_at, inverse, range, word_at};
use crate::{DType, Format};
use alloc::vec::Vec;
use half::f16;

/// Bytes of a block: scale, minimum, high bits, nibbles.
const BYTES: usize = 2 + 2 + 4 + 16;
const _: () = assert!(BYTES == 24);

pub(crate) const Q5_1: Format = Format { dtype: DType::Q5_1, dequantise, quantise: Some(quantise) };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 32>(bytes, out, |b, y| {
        let (d, m, high) = (half_at(b, 0), half_at(b, 2), word_at(b, 4));
        for (i, &q) in b[8..].iter().enumerate() {
            // Bit `i` of the high bits belongs to element `i`.
            let fifth = |i: usize| ((high >> i) as u8 & 1) << 4;
            y[i] = d * f32::from((q & 15) | fifth(i)) + m;
            y[i + 16] = d * f32::from((q >> 4) | fifth(i + 16)) + m;
        }
    });
}

fn quantise(x: &[f32], out: &mut Vec<u8>) {
    encode::<32>(x, out, |x, out| {
        let (min, max) = range(x);
        let d = (max - min) / 31.0;
        let inverse = inverse(d);
        let levels = x.map(|v| (((v - min) * inverse + 0.5) as i32).clamp(0, 31) as u8);
        out.extend(f16::from_f32(d).to_le_bytes());
        out.extend(f16::from_f32(min).to_le_bytes());
        out.extend(fifth_bits(&levels).to_le_bytes());
        out.extend((0..16).map(|i| (levels[i] & 15) | (levels[i + 16] << 4)));
    });
}
