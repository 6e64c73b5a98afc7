//! Q4_K: 256 elements in 8 groups of 32; f16 scale and minimum of the block, 6-bit scale and minimum of each group,
//! 4-bit quants. `x = d * scale * q - dmin * min`.

use crate::block::{blocks, encode, half_at, scale_min};
use crate::search::{AffineBlock, Candidates};
use crate::{DType, Format};
use alloc::vec::Vec;

/// Bytes of a block: d, dmin, scales, nibbles.
const BYTES: usize = 2 + 2 + 12 + 128;
const _: () = assert!(BYTES == 144);

pub(crate) const Q4_K: Format = Format { dtype: DType::Q4_K, dequantise, quantise: Some(quantise) };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let (d, dmin) = (half_at(b, 0), half_at(b, 2));
        for (pair, quants) in b[16..].chunks_exact(32).enumerate() {
            // Each 32 bytes hold two groups: low nibbles, then high ones.
            for half in 0..2 {
                let group = 2 * pair + half;
                let (scale, min) = scale_min(&b[4..16], group);
                let (d, m) = (d * f32::from(scale), dmin * f32::from(min));
                for (y, &q) in y[32 * group..].iter_mut().zip(quants) {
                    *y = d * f32::from((q >> (4 * half)) & 15) - m;
                }
            }
        }
    });
}

fn quantise(x: &[f32], out: &mut Vec<u8>) {
    encode::<256>(x, out, |x, out| {
        let block = AffineBlock::new(x, 15, Candidates { first: -1.0, steps: 20 });
        out.extend(block.header());
        for pair in block.levels.chunks_exact(64) {
            out.extend((0..32).map(|i| pair[i] | pair[i + 32] << 4));
        }
    });
}
