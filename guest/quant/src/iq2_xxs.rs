//! IQ2_XXS: 256 elements in 8 groups of 32; f16 scale of the block. Each group has 8 bytes: four codebook indices, then
//! four 7-bit sign patterns and a 4-bit scale. `x = d * (scale + 0.5) / 4 * entry * sign`.

use crate::block::{blocks, half_at, word_at};
use crate::codebook::{even_signs, levels2, signed};
use crate::{DType, Format, grid};

/// Bytes of a block: scale, groups.
const BYTES: usize = 2 + 64;
const _: () = assert!(BYTES == 66);

pub(crate) const IQ2_XXS: Format = Format { dtype: DType::IQ2_XXS, dequantise, quantise: None };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let d = half_at(b, 0);
        for (group, y) in y.chunks_exact_mut(32).enumerate() {
            let packed = &b[2 + 8 * group..][..8];
            let word = word_at(packed, 4);
            let scale = d * (0.5 + (word >> 28) as f32) * 0.25;
            for (i, y) in y.chunks_exact_mut(8).enumerate() {
                let entry = levels2(grid::IQ2_XXS[usize::from(packed[i])]);
                signed(y, scale, &entry, even_signs(word >> (7 * i)));
            }
        }
    });
}
