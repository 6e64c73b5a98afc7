//! Q5_0: as Q4_0 with a fifth bit per element in 4 extra bytes. `x = d * (q - 16)`.

use crate::block::{blocks, encode, fifth_bits, half_at, inverse, largest, word_at};
use crate::{DType, Format};
use alloc::vec::Vec;
use half::f16;

/// Bytes of a block: scale, high bits, nibbles.
const BYTES: usize = 2 + 4 + 16;
const _: () = assert!(BYTES == 22);

pub(crate) const Q5_0: Format = Format { dtype: DType::Q5_0, dequantise, quantise: Some(quantise) };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 32>(bytes, out, |b, y| {
        let (d, high) = (half_at(b, 0), word_at(b, 2));
        for (i, &q) in b[6..].iter().enumerate() {
            // Bit `i` of the high bits belongs to element `i`.
            let fifth = |i: usize| ((high >> i) as u8 & 1) << 4;
            y[i] = (f32::from((q & 15) | fifth(i)) - 16.0) * d;
            y[i + 16] = (f32::from((q >> 4) | fifth(i + 16)) - 16.0) * d;
        }
    });
}

fn quantise(x: &[f32], out: &mut Vec<u8>) {
    encode::<32>(x, out, |x, out| {
        // The element of largest magnitude becomes exactly -16.
        let d = largest(x) / -16.0;
        let inverse = inverse(d);
        let levels = x.map(|v| ((v * inverse + 16.5) as i32).clamp(0, 31) as u8);
        out.extend(f16::from_f32(d).to_le_bytes());
        out.extend(fifth_bits(&levels).to_le_bytes());
        out.extend((0..16).map(|i| (levels[i] & 15) | (levels[i + 16] << 4)));
    });
}
