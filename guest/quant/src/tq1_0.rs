//! TQ1_0: 256 elements of -1, 0 or 1 and an f16 scale. A byte holds five elements (the last four bytes: four) as the
//! digits of a number in base 3, scaled from 0..243 to 0..256 so that multiplying brings the digits out at the top.
//! `x = d * q`.

use crate::block::{blocks, encode, half_at, inverse, largest, round};
use crate::{DType, Format};
use alloc::vec::Vec;
use half::f16;

/// Bytes of a block: digits, scale.
const BYTES: usize = 48 + 4 + 2;
const _: () = assert!(BYTES == 54);

/// Parts of a block: first byte, bytes, first element, digits in a byte. Digit `n` of byte `i` is element
/// `first + bytes * n + i`.
const PARTS: [(usize, usize, usize, usize); 3] = [(0, 32, 0, 5), (32, 16, 160, 5), (48, 4, 240, 4)];

pub(crate) const TQ1_0: Format = Format { dtype: DType::TQ1_0, dequantise, quantise: Some(quantise) };

fn dequantise(bytes: &[u8], out: &mut [f32]) {
    blocks::<BYTES, 256>(bytes, out, |b, y| {
        let d = half_at(b, 52);
        for (byte, count, first, digits) in PARTS {
            for i in 0..count {
                let mut rest = b[byte + i];
                for n in 0..digits {
                    let digit = (u16::from(rest) * 3) >> 8;
                    y[first + count * n + i] = d * (f32::from(digit) - 1.0);
                    rest = rest.wrapping_mul(3);
                }
            }
        }
    });
}

fn quantise(x: &[f32], out: &mut Vec<u8>) {
    encode::<256>(x, out, |x, out| {
        let d = largest(x).abs();
        let inverse = inverse(d);
        for (_, count, first, digits) in PARTS {
            out.extend((0..count).map(|i| {
                let digit = |n: usize| (round(x[first + count * n + i] * inverse).clamp(-1, 1) + 1) as u16;
                // A missing fifth digit is 0.
                let number = (0..5).fold(0, |all, n| 3 * all + if n < digits { digit(n) } else { 0 });
                (number * 256).div_ceil(243) as u8
            }));
        }
        out.extend(f16::from_f32(d).to_le_bytes());
    });
}
