//! Q5_K: as Q4_K with a fifth bit per element in 32 extra bytes. `x = d * scale * q - dmin * min`.

use crate::block::{blocks, half_at, scale_min};
use crate::{DType, Format};

/// Bytes of a block: d, dmin, scales, high bits, nibbles.
const BYTES: usize = 2 + 2 + 12 + 32 + 128;
const _: () = assert!(BYTES == 176);

pub(crate) const Q5_K: Format = Format { dtype: DType::Q5_K, dequantise, quantise: None };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let (d, dmin) = (half_at(b, 0), half_at(b, 2));
        let high = &b[16..48];
        for (pair, quants) in b[48..].chunks_exact(32).enumerate() {
            for half in 0..2 {
                let group = 2 * pair + half;
                let (scale, min) = scale_min(&b[4..16], group);
                let (d, m) = (d * f32::from(scale), dmin * f32::from(min));
                for (i, (y, &q)) in y[32 * group..].iter_mut().zip(quants).enumerate() {
                    // Bit `group` of byte `i` belongs to element `i` of the group.
                    let fifth = ((high[i] >> group) & 1) << 4;
                    *y = d * f32::from(((q >> (4 * half)) & 15) | fifth) - m;
                }
            }
        }
    });
}
