//! Q8_K: 256 elements, an f32 scale, 256 signed bytes and 16 sums of 16 quants (for dot products; not needed here).
//! `x = d * q`.

use crate::block::{blocks, word_at};
use crate::{DType, Format};

/// Bytes of a block: scale, quants, sums.
const BYTES: usize = 4 + 256 + 2 * 16;
const _: () = assert!(BYTES == 292);

pub(crate) const Q8_K: Format = Format { dtype: DType::Q8_K, dequantise, quantise: None };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let d = f32::from_bits(word_at(b, 0));
        for (y, &q) in y.iter_mut().zip(&b[4..260]) {
            *y = f32::from(q as i8) * d;
        }
    });
}
