//! Q8_1: 32 elements, an f16 scale, an f16 sum (`d` times the sum of the quants, for dot products; not needed here) and
//! 32 signed bytes. `x = d * q`.

use crate::block::{blocks, half_at};
use crate::{DType, Format};

/// Bytes of a block: scale, sum, quants.
const BYTES: usize = 2 + 2 + 32;
const _: () = assert!(BYTES == 36);

pub(crate) const Q8_1: Format = Format { dtype: DType::Q8_1, dequantise, quantise: None };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 32>(bytes, out, |b, y| {
        let d = half_at(b, 0);
        for (y, &q) in y.iter_mut().zip(&b[4..]) {
            *y = f32::from(q as i8) * d;
        }
    });
}
