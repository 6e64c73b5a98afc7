//! IQ3_S: 256 elements, 4 for each of 64 9-bit codebook indices (low bytes, then high bits) with 4 bits of signs; f16
//! scale of the block, 4-bit scale of each 32 elements. `x = d * (2 * scale + 1) * entry * sign`.

use crate::block::{blocks, half_at, nibble};
use crate::codebook::{levels4, signed};
use crate::{DType, Format, grid};

/// Bytes of a block: scale, low bytes of the indices, high bits of the indices, signs, scales.
const BYTES: usize = 2 + 64 + 8 + 32 + 4;
const _: () = assert!(BYTES == 110);

/// What the levels of the codebook stand for.
const LEVELS: [f32; 8] = [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0];

pub(crate) const IQ3_S: Format = Format { dtype: DType::IQ3_S, dequantise, quantise: None };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let d = half_at(b, 0);
        for (i, y) in y.chunks_exact_mut(4).enumerate() {
            let high = (b[66 + i / 8] >> (i % 8)) & 1;
            let index = usize::from(b[2 + i]) | (usize::from(high) << 8);
            let scale = d * f32::from(1 + 2 * nibble(&b[106..], i / 8));
            signed(y, scale, &levels4(grid::IQ3_S[index], &LEVELS), nibble(&b[74..], i));
        }
    });
}
