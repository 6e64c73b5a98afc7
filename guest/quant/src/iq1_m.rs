//! IQ1_M: 256 elements, 8 for each of 32 11-bit codebook indices: low bytes, then nibbles of the high 3 bits and the
//! sign of the shift; four words hold 16 3-bit scales and, in their high nibbles, the f16 scale of the block.
//! `x = d * (2 * scale + 1) * (entry ± 1/8)`.

use crate::block::{blocks, nibble, short_at};
use crate::codebook::{DELTA, ternary};
use crate::{DType, Format, grid};
use half::f16;

/// Bytes of a block: low bytes of the indices, nibbles, scales.
const BYTES: usize = 32 + 16 + 8;
const _: () = assert!(BYTES == 56);

pub(crate) const IQ1_M: Format = Format { dtype: DType::IQ1_M, dequantise, quantise: None };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let words: [u16; 4] = core::array::from_fn(|k| short_at(b, 48 + 2 * k));
        let bits = (0..4).fold(0, |bits, k| bits | ((words[k] >> 12) << (4 * k)));
        let d = f16::from_bits(bits).to_f32();
        for (i, y) in y.chunks_exact_mut(8).enumerate() {
            let high = nibble(&b[32..], i);
            let index = usize::from(b[i]) | (usize::from(high & 7) << 8);
            // A scale covers two entries, a word four scales.
            let scale = d * f32::from(2 * ((words[i / 8] >> (3 * (i / 2 % 4))) & 7) + 1);
            let shift = if high & 8 == 0 { DELTA } else { -DELTA };
            ternary(y, scale, grid::IQ1[index], shift);
        }
    });
}
