//! IQ4_XS: 256 elements in 8 groups of 32 with the levels of IQ4_NL; f16 scale of the block, 6-bit scale of each group
//! (high 2 bits in a word, low nibbles in 4 bytes). `x = d * (scale - 32) * level[q]`.

use crate::block::{blocks, half_at, nibble, short_at};
use crate::codebook::UNEVEN;
use crate::{DType, Format};

/// Bytes of a block: d, high bits of the scales, low nibbles of the scales, nibbles.
const BYTES: usize = 2 + 2 + 4 + 128;
const _: () = assert!(BYTES == 136);

pub(crate) const IQ4_XS: Format = Format { dtype: DType::IQ4_XS, dequantise, quantise: None };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let (d, high) = (half_at(b, 0), short_at(b, 2));
        for (group, y) in y.chunks_exact_mut(32).enumerate() {
            let scale = nibble(&b[4..], group) | (((high >> (2 * group)) as u8 & 3) << 4);
            let scale = d * (f32::from(scale) - 32.0);
            for (i, &q) in b[8 + 16 * group..][..16].iter().enumerate() {
                y[i] = scale * f32::from(UNEVEN[usize::from(q & 15)]);
                y[i + 16] = scale * f32::from(UNEVEN[usize::from(q >> 4)]);
            }
        }
    });
}
