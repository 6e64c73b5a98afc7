//! Q3_K: 256 elements in 16 groups of 16; f16 scale of the block, 6-bit scale of each group, 3-bit quants: low 2 bits
//! in 64 bytes, high bits in 32. `x = d * (scale - 32) * (q - 4)`.

use crate::block::{blocks, half_at};
use crate::{DType, Format};

/// Bytes of a block: high bits, low bits, scales, d.
const BYTES: usize = 32 + 64 + 12 + 2;
const _: () = assert!(BYTES == 110);

pub(crate) const Q3_K: Format = Format { dtype: DType::Q3_K, dequantise, quantise: None };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let d = half_at(b, 108);
        for (group, y) in y.chunks_exact_mut(16).enumerate() {
            let scale = d * (f32::from(scale(&b[96..108], group)) - 32.0);
            let (pair, side) = (group / 2, 16 * (group % 2));
            let (low, high) = (&b[32 + 32 * (group / 8) + side..][..16], &b[side..][..16]);
            for (i, y) in y.iter_mut().enumerate() {
                // Bit `pair` of the high byte belongs to this pair of groups.
                let q = ((low[i] >> (2 * (pair % 4))) & 3) | (((high[i] >> pair) & 1) << 2);
                *y = scale * (f32::from(q) - 4.0);
            }
        }
    });
}

/// Scale `j` of 16: low nibbles in the first 8 bytes, high 2 bits in the last 4.
fn scale(packed: &[u8], j: usize) -> u8 {
    let low = (packed[j % 8] >> (4 * (j / 8))) & 15;
    low | (((packed[8 + j % 4] >> (2 * (j / 4))) & 3) << 4)
}
