//! Q5_K: as Q4_K with a fifth bit per element in 32 extra bytes. `x = d * scale * q - dmin * min`.

use crate::block::{blocks, encode, half_at, scale_min};
use crate::search::{AffineBlock, Candidates};
use crate::{DType, Format};
use alloc::vec::Vec;

/// Bytes of a block: d, dmin, scales, high bits, nibbles.
const BYTES: usize = 2 + 2 + 12 + 32 + 128;
const _: () = assert!(BYTES == 176);

pub(crate) const Q5_K: Format = Format { dtype: DType::Q5_K, dequantise, quantise: Some(quantise) };

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

fn quantise(x: &[f32], out: &mut Vec<u8>) {
    encode::<256>(x, out, |x, out| {
        let block = AffineBlock::new(x, 31, Candidates { first: -0.5, steps: 15 });
        out.extend(block.header());
        let fifth = |i: usize, group: usize| (block.levels[32 * group + i] >> 4) << group;
        out.extend((0..32).map(|i| (0..8).fold(0, |bits, group| bits | fifth(i, group))));
        for pair in block.levels.chunks_exact(64) {
            out.extend((0..32).map(|i| (pair[i] & 15) | (pair[i + 32] & 15) << 4));
        }
    });
}
