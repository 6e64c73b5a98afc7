//! Weight blocks decoded to small integers with their scales.
#![expect(non_camel_case_types, reason = "the names are the file format's")]

use crate::act::ActFormat;
use chord_quant::DType;

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
