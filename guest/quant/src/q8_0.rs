//! Q8_0: 32 elements, an f16 scale and 32 signed bytes. `x = d * q`.

use crate::block::{blocks, encode, half_at, inverse, largest, round};
use crate::{DType, Format};
use alloc::vec::Vec;
use half::f16;

/// Bytes of a block: scale, quants.
const BYTES: usize = 2 + 32;
const _: () = assert!(BYTES == 34);

pub(crate) const Q8_0: Format = Format { dtype: DType::Q8_0, dequantise, quantise: Some(quantise) };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 32>(bytes, out, |b, y| {
        let d = half_at(b, 0);
        for (y, &q) in y.iter_mut().zip(&b[2..]) {
            *y = f32::from(q as i8) * d;
        }
    });
}

fn quantise(x: &[f32], out: &mut Vec<u8>) {
    encode::<32>(x, out, |x, out| {
        let d = largest(x).abs() / 127.0;
        let inverse = inverse(d);
        out.extend(f16::from_f32(d).to_le_bytes());
        out.extend(x.iter().map(|v| round(v * inverse) as i8 as u8));
    });
}
