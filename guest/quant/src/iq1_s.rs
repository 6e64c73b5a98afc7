//! IQ1_S: 256 elements in 8 groups of 32, 8 for each 11-bit codebook index; f16 scale of the block. Each group has a
//! word: high 3 bits of its four indices, a 3-bit scale and the sign of its shift.
//! `x = d * (2 * scale + 1) * (entry ± 1/8)`.

use crate::block::{blocks, half_at, short_at};
use crate::codebook::{DELTA, ternary};
use crate::{DType, Format, grid};

/// Bytes of a block: scale, low bytes of the indices, words.
const BYTES: usize = 2 + 32 + 16;
const _: () = assert!(BYTES == 50);

pub(crate) const IQ1_S: Format = Format { dtype: DType::IQ1_S, dequantise, quantise: None };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let d = half_at(b, 0);
        for (i, y) in y.chunks_exact_mut(8).enumerate() {
            let word = short_at(b, 34 + 2 * (i / 4));
            let index = u16::from(b[2 + i]) | (((word >> (3 * (i % 4))) & 7) << 8);
            let scale = d * f32::from(2 * ((word >> 12) & 7) + 1);
            let shift = if word & 0x8000 == 0 { DELTA } else { -DELTA };
            ternary(y, scale, grid::IQ1[usize::from(index)], shift);
        }
    });
}
