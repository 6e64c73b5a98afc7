//! Weight blocks decoded to small integers with their scales.
#![expect(non_camel_case_types, reason = "the names are the file format's")]

use crate::act::ActFormat;
use chord_quant::{DType, UNEVEN};

/// A block in integers: element `i` is `scales[i / SUB] * q[i] - mins[i / SUB]`.
pub(super) struct Decoded {
    pub q: [i8; 256],
    pub scales: [f32; 16],
    pub mins: [f32; 16],
}

impl Decoded {
    pub fn new() -> Decoded {
        Decoded { q: [0; 256], scales: [0.0; 16], mins: [0.0; 16] }
    }
}

/// A weight format with integer blocks.
pub(super) trait Block {
    const DTYPE: DType;
    /// Elements per block.
    const LEN: usize;
    /// Bytes per block.
    const BYTES: usize;
    /// Elements per scale.
    const SUB: usize;
    /// Whether blocks have minima.
    const MIN: bool;
    /// Activations that it is multiplied with; their scales cover exactly one block.
    const ACT: ActFormat;
    /// Decodes one block of [`Block::BYTES`] bytes.
    fn decode(block: &[u8], to: &mut Decoded);
}

/// f16 at `at`, little-endian.
fn f16(bytes: &[u8], at: usize) -> f32 {
    super::vec::f16_to_f32(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// 32 elements: f16 scale, 32 signed bytes.
pub(super) struct Q8_0;

impl Block for Q8_0 {
    const DTYPE: DType = DType::Q8_0;
    const LEN: usize = 32;
    const BYTES: usize = 34;
    const SUB: usize = 32;
    const MIN: bool = false;
    const ACT: ActFormat = ActFormat::Q8x32;

    fn decode(block: &[u8], to: &mut Decoded) {
        to.scales[0] = f16(block, 0);
        for (q, b) in to.q[..32].iter_mut().zip(&block[2..34]) {
            *q = *b as i8;
        }
    }
}

/// 32 elements: f16 scale, 16 bytes; low nibbles first, then high ones; offset 8.
pub(super) struct Q4_0;

impl Block for Q4_0 {
    const DTYPE: DType = DType::Q4_0;
    const LEN: usize = 32;
    const BYTES: usize = 18;
    const SUB: usize = 32;
    const MIN: bool = false;
    const ACT: ActFormat = ActFormat::Q8x32;

    fn decode(block: &[u8], to: &mut Decoded) {
        to.scales[0] = f16(block, 0);
        let (low, high) = to.q[..32].split_at_mut(16);
        for ((l, h), b) in low.iter_mut().zip(high).zip(&block[2..18]) {
            (*l, *h) = ((b & 15) as i8 - 8, (b >> 4) as i8 - 8);
        }
    }
}

/// Q4_0 with fifth bits in 4 bytes before the nibbles: bit `i` belongs to element `i`; offset 16.
pub(super) struct Q5_0;

impl Block for Q5_0 {
    const DTYPE: DType = DType::Q5_0;
    const LEN: usize = 32;
    const BYTES: usize = 22;
    const SUB: usize = 32;
    const MIN: bool = false;
    const ACT: ActFormat = ActFormat::Q8x32;

    fn decode(block: &[u8], to: &mut Decoded) {
        to.scales[0] = f16(block, 0);
        let fifth = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
        let bit = |i: usize| ((fifth >> i & 1) << 4) as i8;
        let (low, high) = to.q[..32].split_at_mut(16);
        for (i, ((l, h), b)) in low.iter_mut().zip(high).zip(&block[6..22]).enumerate() {
            *l = ((b & 15) as i8 | bit(i)) - 16;
            *h = ((b >> 4) as i8 | bit(i + 16)) - 16;
        }
    }
}

/// 32 elements: f16 scale, f16 minimum (added), nibbles as in Q4_0.
pub(super) struct Q4_1;

impl Block for Q4_1 {
    const DTYPE: DType = DType::Q4_1;
    const LEN: usize = 32;
    const BYTES: usize = 20;
    const SUB: usize = 32;
    const MIN: bool = true;
    const ACT: ActFormat = ActFormat::Q8x32;

    fn decode(block: &[u8], to: &mut Decoded) {
        (to.scales[0], to.mins[0]) = (f16(block, 0), -f16(block, 2));
        let (low, high) = to.q[..32].split_at_mut(16);
        for ((l, h), b) in low.iter_mut().zip(high).zip(&block[4..20]) {
            (*l, *h) = ((b & 15) as i8, (b >> 4) as i8);
        }
    }
}

/// Q4_1 with fifth bits as in Q5_0 before the nibbles.
pub(super) struct Q5_1;

impl Block for Q5_1 {
    const DTYPE: DType = DType::Q5_1;
    const LEN: usize = 32;
    const BYTES: usize = 24;
    const SUB: usize = 32;
    const MIN: bool = true;
    const ACT: ActFormat = ActFormat::Q8x32;

    fn decode(block: &[u8], to: &mut Decoded) {
        (to.scales[0], to.mins[0]) = (f16(block, 0), -f16(block, 2));
        let fifth = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
        let bit = |i: usize| ((fifth >> i & 1) << 4) as i8;
        let (low, high) = to.q[..32].split_at_mut(16);
        for (i, ((l, h), b)) in low.iter_mut().zip(high).zip(&block[8..24]).enumerate() {
            *l = (b & 15) as i8 | bit(i);
            *h = (b >> 4) as i8 | bit(i + 16);
        }
    }
}

/// Q4_0 whose nibbles name levels.
pub(super) struct IQ4_NL;

impl Block for IQ4_NL {
    const DTYPE: DType = DType::IQ4_NL;
    const LEN: usize = 32;
    const BYTES: usize = 18;
    const SUB: usize = 32;
    const MIN: bool = false;
    const ACT: ActFormat = ActFormat::Q8x32;

    fn decode(block: &[u8], to: &mut Decoded) {
        to.scales[0] = f16(block, 0);
        levels(&block[2..18], &UNEVEN, to);
    }
}

/// 32 elements: an exponent, then nibbles as in Q4_0 that name small floats.
pub(super) struct MXFP4;

impl Block for MXFP4 {
    const DTYPE: DType = DType::MXFP4;
    const LEN: usize = 32;
    const BYTES: usize = 17;
    const SUB: usize = 32;
    const MIN: bool = false;
    const ACT: ActFormat = ActFormat::Q8x32;

    fn decode(block: &[u8], to: &mut Decoded) {
        to.scales[0] = chord_quant::mxfp4_scale(block[0]);
        levels(&block[1..17], &chord_quant::MXFP4_LEVELS, to);
    }
}

/// The levels that 16 bytes of nibbles name.
fn levels(nibbles: &[u8], levels: &[i8; 16], to: &mut Decoded) {
    let (low, high) = to.q[..32].split_at_mut(16);
    for ((l, h), b) in low.iter_mut().zip(high).zip(nibbles) {
        (*l, *h) = (levels[usize::from(b & 15)], levels[usize::from(b >> 4)]);
    }
}

/// 256 elements: 16 bytes of 4-bit scales and minima per 16, 2-bit levels (4 of one byte are 32 apart), f16 `d`, `dmin`.
pub(super) struct Q2_K;

impl Block for Q2_K {
    const DTYPE: DType = DType::Q2_K;
    const LEN: usize = 256;
    const BYTES: usize = 84;
    const SUB: usize = 16;
    const MIN: bool = true;
    const ACT: ActFormat = ActFormat::Q8x256;

    fn decode(block: &[u8], to: &mut Decoded) {
        let (d, dmin) = (f16(block, 80), f16(block, 82));
        for (j, b) in block[..16].iter().enumerate() {
            to.scales[j] = d * f32::from(b & 15);
            to.mins[j] = dmin * f32::from(b >> 4);
        }
        for (half, q) in to.q.chunks_exact_mut(128).enumerate() {
            for (j, q) in q.chunks_exact_mut(32).enumerate() {
                for (q, b) in q.iter_mut().zip(&block[16 + 32 * half..]) {
                    *q = (b >> (2 * j) & 3) as i8;
                }
            }
        }
    }
}

/// 256 elements: third bits (bit `j` of 32 bytes belongs to the `j`-th 32 elements), levels as in Q2_K, 16 scales of 6
/// bits in 12 bytes with offset 32, f16 scale; offset 4.
pub(super) struct Q3_K;

impl Block for Q3_K {
    const DTYPE: DType = DType::Q3_K;
    const LEN: usize = 256;
    const BYTES: usize = 110;
    const SUB: usize = 16;
    const MIN: bool = false;
    const ACT: ActFormat = ActFormat::Q8x256;

    fn decode(block: &[u8], to: &mut Decoded) {
        let (d, s) = (f16(block, 108), &block[96..108]);
        for (j, scale) in to.scales.iter_mut().enumerate() {
            let low = s[j % 8] >> (j / 8 * 4) & 15;
            let high = s[8 + j % 4] >> (j / 4 * 2) & 3;
            *scale = d * (f32::from(low | high << 4) - 32.0);
        }
        for (c, q) in to.q.chunks_exact_mut(32).enumerate() {
            for (i, q) in q.iter_mut().enumerate() {
                let low = block[32 + c / 4 * 32 + i] >> (c % 4 * 2) & 3;
                *q = (low | (block[i] >> c & 1) << 2) as i8 - 4;
            }
        }
    }
}

/// 256 elements: f16 scale, upper bits and nibbles of 8 6-bit scales with offset 32, nibbles as in Q4_0 that name levels.
pub(super) struct IQ4_XS;

impl Block for IQ4_XS {
    const DTYPE: DType = DType::IQ4_XS;
    const LEN: usize = 256;
    const BYTES: usize = 136;
    const SUB: usize = 32;
    const MIN: bool = false;
    const ACT: ActFormat = ActFormat::Q8x256;

    fn decode(block: &[u8], to: &mut Decoded) {
        let (d, high) = (f16(block, 0), u16::from_le_bytes([block[2], block[3]]));
        for (j, (q, bytes)) in to.q.chunks_exact_mut(32).zip(block[8..].chunks_exact(16)).enumerate() {
            let low = block[4 + j / 2] >> (j % 2 * 4) & 15;
            let scale = low | ((high >> (2 * j) & 3) << 4) as u8;
            to.scales[j] = d * (f32::from(scale) - 32.0);
            let (first, second) = q.split_at_mut(16);
            for ((a, b), byte) in first.iter_mut().zip(second).zip(bytes) {
                (*a, *b) = (UNEVEN[usize::from(byte & 15)], UNEVEN[usize::from(byte >> 4)]);
            }
        }
    }
}

/// Scales and minima of the 8 sub-blocks of Q4_K and Q5_K: f16 `d`, f16 `dmin`, 12 bytes of 6-bit factors.
fn scales_and_mins(head: &[u8], to: &mut Decoded) {
    let (d, dmin) = (f16(head, 0), f16(head, 2));
    let s = &head[4..16];
    for j in 0..4 {
        to.scales[j] = d * f32::from(s[j] & 63);
        to.mins[j] = dmin * f32::from(s[j + 4] & 63);
        to.scales[j + 4] = d * f32::from((s[j + 8] & 15) | (s[j] >> 6 << 4));
        to.mins[j + 4] = dmin * f32::from((s[j + 8] >> 4) | (s[j + 4] >> 6 << 4));
    }
}

/// 256 elements: scales and minima per 32, then nibbles: 32 bytes hold one sub-block low, the next one high.
pub(super) struct Q4_K;

impl Block for Q4_K {
    const DTYPE: DType = DType::Q4_K;
    const LEN: usize = 256;
    const BYTES: usize = 144;
    const SUB: usize = 32;
    const MIN: bool = true;
    const ACT: ActFormat = ActFormat::Q8x256;

    fn decode(block: &[u8], to: &mut Decoded) {
        scales_and_mins(block, to);
        for (q, bytes) in to.q.chunks_exact_mut(64).zip(block[16..].chunks_exact(32)) {
            let (low, high) = q.split_at_mut(32);
            for ((l, h), b) in low.iter_mut().zip(high).zip(bytes) {
                (*l, *h) = ((b & 15) as i8, (b >> 4) as i8);
            }
        }
    }
}

/// Q4_K with a fifth bit: bit `j` of 32 bytes belongs to sub-block `j`.
pub(super) struct Q5_K;

impl Block for Q5_K {
    const DTYPE: DType = DType::Q5_K;
    const LEN: usize = 256;
    const BYTES: usize = 176;
    const SUB: usize = 32;
    const MIN: bool = true;
    const ACT: ActFormat = ActFormat::Q8x256;

    fn decode(block: &[u8], to: &mut Decoded) {
        scales_and_mins(block, to);
        let fifth = &block[16..48];
        for (c, (q, bytes)) in to.q.chunks_exact_mut(64).zip(block[48..].chunks_exact(32)).enumerate() {
            let (low, high) = q.split_at_mut(32);
            for (((l, h), b), f) in low.iter_mut().zip(high).zip(bytes).zip(fifth) {
                let bits = f >> (2 * c);
                (*l, *h) = ((b & 15 | (bits & 1) << 4) as i8, (b >> 4 | (bits & 2) << 3) as i8);
            }
        }
    }
}

/// 256 elements: 128 bytes of nibbles, 64 bytes of upper bits, 16 signed scales, f16 scale; offset 32.
pub(super) struct Q6_K;

impl Block for Q6_K {
    const DTYPE: DType = DType::Q6_K;
    const LEN: usize = 256;
    const BYTES: usize = 210;
    const SUB: usize = 16;
    const MIN: bool = false;
    const ACT: ActFormat = ActFormat::Q8x256;

    fn decode(block: &[u8], to: &mut Decoded) {
        let (d, factors) = (f16(block, 208), &block[192..208]);
        for (s, b) in to.scales.iter_mut().zip(factors) {
            *s = d * f32::from(*b as i8);
        }
        for (half, q) in to.q.chunks_exact_mut(128).enumerate() {
            let (nibbles, upper) = (&block[64 * half..][..64], &block[128 + 32 * half..][..32]);
            for l in 0..32 {
                let (a, b, u) = (nibbles[l], nibbles[l + 32], upper[l]);
                q[l] = (a & 15 | (u & 3) << 4) as i8 - 32;
                q[l + 32] = (b & 15 | (u >> 2 & 3) << 4) as i8 - 32;
                q[l + 64] = (a >> 4 | (u >> 4 & 3) << 4) as i8 - 32;
                q[l + 96] = (b >> 4 | (u >> 6) << 4) as i8 - 32;
            }
        }
    }
}
