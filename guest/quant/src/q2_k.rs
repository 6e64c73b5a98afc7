//! Q2_K: 256 elements in 16 groups of 16; 4-bit scale and minimum of each group, f16 scale and minimum of the block,
//! 2-bit quants. `x = d * scale * q - dmin * min`.

use crate::block::{blocks, half_at};
use crate::{DType, Format};

/// Bytes of a block: scales and minima, quants, d, dmin.
const BYTES: usize = 16 + 64 + 2 + 2;
const _: () = assert!(BYTES == 84);

pub(crate) const Q2_K: Format = Format { dtype: DType::Q2_K, dequantise, quantise: None };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let (d, dmin) = (half_at(b, 80), half_at(b, 82));
        for (group, y) in y.chunks_exact_mut(16).enumerate() {
            let (scale, min) = (d * f32::from(b[group] & 15), dmin * f32::from(b[group] >> 4));
            // 32 bytes hold 8 groups: two for each of the four shifts.
            let quants = &b[16 + 32 * (group / 8) + 16 * (group % 2)..][..16];
            for (y, &q) in y.iter_mut().zip(quants) {
                *y = scale * f32::from((q >> (2 * (group / 2 % 4))) & 3) - min;
            }
        }
    });
}
