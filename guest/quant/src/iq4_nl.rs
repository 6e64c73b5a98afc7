//! IQ4_NL: as Q4_0, but the 16 levels are not evenly spaced. `x = d * level[q]`.

use crate::block::{blocks, half_at};
use crate::codebook::UNEVEN;
use crate::{DType, Format};

/// Bytes of a block: scale, nibbles.
const BYTES: usize = 2 + 16;
const _: () = assert!(BYTES == 18);

pub(crate) const IQ4_NL: Format = Format { dtype: DType::IQ4_NL, dequantise, quantise: None };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 32>(bytes, out, |b, y| {
        let d = half_at(b, 0);
        for (i, &q) in b[2..].iter().enumerate() {
            y[i] = d * f32::from(UNEVEN[usize::from(q & 15)]);
            y[i + 16] = d * f32::from(UNEVEN[usize::from(q >> 4)]);
        }
    });
}
