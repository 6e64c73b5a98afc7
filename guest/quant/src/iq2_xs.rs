//! IQ2_XS: 256 elements, 8 for each of 32 words: a 9-bit codebook index and a 7-bit sign pattern; f16 scale of the
//! block, 4-bit scale of each 16 elements. `x = d * (scale + 0.5) / 4 * entry * sign`.

use crate::block::{blocks, half_at, nibble, short_at};
use crate::codebook::{even_signs, levels2, signed};
use crate::{DType, Format, grid};

/// Bytes of a block: scale, words, scales.
const BYTES: usize = 2 + 64 + 8;
const _: () = assert!(BYTES == 74);

pub(crate) const IQ2_XS: Format = Format { dtype: DType::IQ2_XS, dequantise, quantise: None };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let d = half_at(b, 0);
        for (i, y) in y.chunks_exact_mut(8).enumerate() {
            let word = short_at(b, 2 + 2 * i);
            let scale = d * (0.5 + f32::from(nibble(&b[66..], i / 2))) * 0.25;
            let entry = levels2(grid::IQ2_XS[usize::from(word & 511)]);
            signed(y, scale, &entry, even_signs(u32::from(word >> 9)));
        }
    });
}
