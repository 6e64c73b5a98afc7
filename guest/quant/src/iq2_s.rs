//! IQ2_S: 256 elements, 8 for each of 32 10-bit codebook indices (low bytes, then high 2 bits) with a byte of signs;
//! f16 scale of the block, 4-bit scale of each 16 elements. `x = d * (scale + 0.5) / 4 * entry * sign`.

use crate::block::{blocks, half_at, nibble};
use crate::codebook::{levels2, signed};
use crate::{DType, Format, grid};

/// Bytes of a block: scale, low bytes of the indices, signs, high bits of the indices, scales.
const BYTES: usize = 2 + 32 + 32 + 8 + 8;
const _: () = assert!(BYTES == 82);

pub(crate) const IQ2_S: Format = Format { dtype: DType::IQ2_S, dequantise, quantise: None };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let d = half_at(b, 0);
        for (i, y) in y.chunks_exact_mut(8).enumerate() {
            let high = (b[66 + i / 4] >> (2 * (i % 4))) & 3;
            let index = usize::from(b[2 + i]) | (usize::from(high) << 8);
            let scale = d * (0.5 + f32::from(nibble(&b[74..], i / 2))) * 0.25;
            signed(y, scale, &levels2(grid::IQ2_S[index]), b[34 + i]);
        }
    });
}
