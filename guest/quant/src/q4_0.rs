//! Q4_0: 32 elements, an f16 scale and 16 bytes: elements 0..16 in the low nibbles, 16..32 in the high ones.
//! `x = d * (q - 8)`.

use crate::block::{blocks, encode, half_at, inverse, largest};
use crate::{DType, Format};
use alloc::vec::Vec;
use half::f16;

/// Bytes of a block: scale, nibbles.
const BYTES: usize = 2 + 16;
const _: () = assert!(BYTES == 18);

pub(crate) const Q4_0: Format = Format { dtype: DType::Q4_0, dequantise, quantise: Some(quantise) };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 32>(bytes, out, |b, y| {
        let d = half_at(b, 0);
        for (i, &q) in b[2..].iter().enumerate() {
            y[i] = (f32::from(q & 15) - 8.0) * d;
            y[i + 16] = (f32::from(q >> 4) - 8.0) * d;
        }
    });
}

fn quantise(x: &[f32], out: &mut Vec<u8>) {
    encode::<32>(x, out, |x, out| {
        // The element of largest magnitude becomes exactly -8.
        let d = largest(x) / -8.0;
        let inverse = inverse(d);
        let level = |v: f32| ((v * inverse + 8.5) as i32).clamp(0, 15) as u8;
        out.extend(f16::from_f32(d).to_le_bytes());
        out.extend((0..16).map(|i| level(x[i]) | (level(x[i + 16]) << 4)));
    });
}
