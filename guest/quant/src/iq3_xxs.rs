//! IQ3_XXS: 256 elements, 4 for each of 64 codebook indices; f16 scale of the block; for each 32 elements a word of
//! four 7-bit sign patterns and a 4-bit scale. `x = d * (scale + 0.5) / 2 * entry * sign`.

use crate::block::{blocks, half_at, word_at};
use crate::codebook::{even_signs, levels4, signed};
use crate::{DType, Format, grid};

/// Bytes of a block: scale, indices, signs and scales.
const BYTES: usize = 2 + 64 + 32;
const _: () = assert!(BYTES == 98);

/// What the levels of the codebook stand for.
const LEVELS: [f32; 8] = [4.0, 12.0, 20.0, 28.0, 36.0, 44.0, 52.0, 62.0];

pub(crate) const IQ3_XXS: Format = Format { dtype: DType::IQ3_XXS, dequantise, quantise: None };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let d = half_at(b, 0);
        for (i, y) in y.chunks_exact_mut(4).enumerate() {
            let word = word_at(b, 66 + 4 * (i / 8));
            let scale = d * (0.5 + (word >> 28) as f32) * 0.5;
            let entry = levels4(grid::IQ3_XXS[usize::from(b[2 + i])], &LEVELS);
            // A pattern covers two entries.
            signed(y, scale, &entry, even_signs(word >> (7 * (i / 2 % 4))) >> (4 * (i % 2)));
        }
    });
}
