//! Q4_1: 32 elements, an f16 scale, an f16 minimum and 16 bytes: elements 0..16 in the low nibbles, 16..32 in the high
//! ones. `x = d * q + m`.

use crate::block::{blocks, encode, half_at, inverse, range};
use crate::{DType, Format};
use alloc::vec::Vec;
use half::f16;

/// Bytes of a block: scale, minimum, nibbles.
const BYTES: usize = 2 + 2 + 16;
const _: () = assert!(BYTES == 20);

pub(crate) const Q4_1: Format = Format { dtype: DType::Q4_1, dequantise, quantise: Some(quantise) };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 32>(bytes, out, |b, y| {
        let (d, m) = (half_at(b, 0), half_at(b, 2));
        for (i, &q) in b[4..].iter().enumerate() {
            y[i] = d * f32::from(q & 15) + m;
            y[i + 16] = d * f32::from(q >> 4) + m;
        }
    });
}

fn quantise(x: &[f32], out: &mut Vec<u8>) {
    encode::<32>(x, out, |x, out| {
        let (min, max) = range(x);
        let d = (max - min) / 15.0;
        let inverse = inverse(d);
        let level = |v: f32| (((v - min) * inverse + 0.5) as i32).clamp(0, 15) as u8;
        out.extend(f16::from_f32(d).to_le_bytes());
        out.extend(f16::from_f32(min).to_le_bytes());
        out.extend((0..16).map(|i| level(x[i]) | (level(x[i + 16]) << 4)));
    });
}
