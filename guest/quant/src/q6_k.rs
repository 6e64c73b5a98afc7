//! Q6_K: 256 elements in 16 groups of 16; f16 scale of the block, signed 8-bit scale of each group, 6-bit quants:
//! low nibbles in 128 bytes, high 2 bits in 64. `x = d * scale * (q - 32)`.

use crate::block::{blocks, half_at};
use crate::{DType, Format};

/// Bytes of a block: low nibbles, high bits, scales, d.
const BYTES: usize = 128 + 64 + 16 + 2;
const _: () = assert!(BYTES == 210);

pub(crate) const Q6_K: Format = Format { dtype: DType::Q6_K, dequantise, quantise: None };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let d = half_at(b, 208);
        for half in 0..2 {
            let (low, high) = (&b[64 * half..][..64], &b[128 + 32 * half..][..32]);
            let scales = &b[192 + 8 * half..][..8];
            let y = &mut y[128 * half..][..128];
            for quarter in 0..4 {
                for i in 0..32 {
                    // Quarters 0 and 1 are low nibbles of the first and second 32 bytes, 2 and 3 the high ones.
                    let nibble = (low[32 * (quarter % 2) + i] >> (4 * (quarter / 2))) & 15;
                    let q = nibble | (((high[i] >> (2 * quarter)) & 3) << 4);
                    let scale = scales[2 * quarter + i / 16] as i8;
                    y[32 * quarter + i] = d * f32::from(scale) * (f32::from(q) - 32.0);
                }
            }
        }
    });
}
