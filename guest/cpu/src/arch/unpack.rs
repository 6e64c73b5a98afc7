//! Weight formats unpacked to panels. The layouts are GGML's; `portable::blocks` has them in plain words.
#![expect(non_camel_case_types, reason = "the names are the file format's")]
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "raw pointers into checked slices; instruction sets")]

use super::panel::{Quant, Unpack};
use super::simd::Simd;
use chord_quant::{DType, UNEVEN};

/// Scales of up to [`GATHER`] blocks that are copied together.
pub(super) const GATHER: usize = 8;

/// The f16 scales of up to [`GATHER`] blocks, as f32 to `u.to`.
#[inline(always)]
pub(super) unsafe fn small_scales<S: Simd, Q: Quant>(u: &Unpack, from: usize, blocks: usize) {
    let mut bits = [[0u16; 16]; GATHER];
    // All of them before the first is read as a vector, which has to wait for the narrow stores.
    for (b, bits) in bits.iter_mut().take(blocks).enumerate() {
        u.gather::<S, Q>(from + b, bits);
    }
    for (b, bits) in bits.iter().take(blocks).enumerate() {
        S::store(u.to.scales.add((from + b) * S::L), S::load_f16(bits.as_ptr()));
    }
}

/// 32 elements: f16 scale, 32 signed bytes.
pub(crate) struct Q8_0;

impl Quant for Q8_0 {
    const DTYPE: DType = DType::Q8_0;
    const BLOCK: usize = 32;
    const BYTES: usize = 34;
    const SUB: usize = 32;
    const MIN: bool = false;
    const FULL: bool = true;
    const OFFSET: i32 = 0;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(u: &Unpack) {
        let signs = S::splat_i(0x8080_8080_u32 as i32);
        for from in (0..u.blocks).step_by(GATHER) {
            let blocks = GATHER.min(u.blocks - from);
            small_scales::<S, Self>(u, from, blocks);
            for b in from..from + blocks {
                for half in 0..2 {
                    let chunk = u.chunk::<S, Self, 2>(b, half, 2 + 16 * half);
                    for (i, c) in chunk.into_iter().enumerate() {
                        let w = if S::OFFSET8 == 0 { c } else { S::xor(c, signs) };
                        S::store_w(u.to.weights.add((b * 8 + half * 4 + i) * 4 * S::L), w);
                    }
                }
            }
        }
    }
}

/// 32 elements: f16 scale, 16 bytes; low nibbles first, then high ones; offset 8.
pub(crate) struct Q4_0;

impl Quant for Q4_0 {
    const DTYPE: DType = DType::Q4_0;
    const BLOCK: usize = 32;
    const BYTES: usize = 18;
    const SUB: usize = 32;
    const MIN: bool = false;
    const FULL: bool = false;
    const OFFSET: i32 = 8;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(u: &Unpack) {
        let low = S::splat_i(0x0f0f_0f0f);
        for from in (0..u.blocks).step_by(GATHER) {
            let blocks = GATHER.min(u.blocks - from);
            small_scales::<S, Self>(u, from, blocks);
            for b in from..from + blocks {
                let chunk = u.chunk::<S, Self, 1>(b, 0, 2);
                for (i, c) in chunk.into_iter().enumerate() {
                    S::store_w(u.to.weights.add((b * 8 + i) * 4 * S::L), S::and(c, low));
                    S::store_w(u.to.weights.add((b * 8 + 4 + i) * 4 * S::L), S::and(S::shr::<4>(c), low));
                }
            }
        }
    }
}

/// Q4_0 with fifth bits in 4 bytes before the nibbles: bit `i` belongs to element `i`; offset 16.
pub(crate) struct Q5_0;

impl Quant for Q5_0 {
    const DTYPE: DType = DType::Q5_0;
    const BLOCK: usize = 32;
    const BYTES: usize = 22;
    const SUB: usize = 32;
    const MIN: bool = false;
    const FULL: bool = false;
    const OFFSET: i32 = 16;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(u: &Unpack) {
        let low = S::splat_i(0x0f0f_0f0f);
        for from in (0..u.blocks).step_by(GATHER) {
            let blocks = GATHER.min(u.blocks - from);
            small_scales::<S, Self>(u, from, blocks);
            for b in from..from + blocks {
                let [mut fifth, ..] = u.chunk::<S, Self, 2>(b, 0, 2);
                let chunk = u.chunk::<S, Self, 2>(b, 1, 6);
                for i in 0..8 {
                    let nibbles = if i < 4 { chunk[i] } else { S::shr::<4>(chunk[i - 4]) };
                    let w = S::or(S::and(nibbles, low), fifth_bits::<S>(fifth));
                    S::store_w(u.to.weights.add((b * 8 + i) * 4 * S::L), w);
                    fifth = S::shr::<4>(fifth);
                }
            }
        }
    }
}

/// Bits 0 to 3 of each lane as bit 4 of its bytes.
#[inline(always)]
unsafe fn fifth_bits<S: Simd>(bits: S::I) -> S::I {
    let first = S::and(S::shl::<4>(bits), S::splat_i(0x10));
    let second = S::and(S::shl::<11>(bits), S::splat_i(0x1000));
    let third = S::and(S::shl::<18>(bits), S::splat_i(0x10_0000));
    let fourth = S::and(S::shl::<25>(bits), S::splat_i(0x1000_0000));
    S::or(S::or(first, second), S::or(third, fourth))
}

/// 32 elements: f16 scale, f16 minimum (added), nibbles as in Q4_0.
pub(crate) struct Q4_1;

impl Quant for Q4_1 {
    const DTYPE: DType = DType::Q4_1;
    const BLOCK: usize = 32;
    const BYTES: usize = 20;
    const SUB: usize = 32;
    const MIN: bool = true;
    const FULL: bool = false;
    const OFFSET: i32 = 0;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(u: &Unpack) {
        let low = S::splat_i(0x0f0f_0f0f);
        for b in 0..u.blocks {
            let [head, ..] = u.chunk::<S, Self, 2>(b, 0, 0);
            scale_and_minimum::<S>(u, b, head);
            let chunk = u.chunk::<S, Self, 2>(b, 1, 4);
            for (i, c) in chunk.into_iter().enumerate() {
                S::store_w(u.to.weights.add((b * 8 + i) * 4 * S::L), S::and(c, low));
                S::store_w(u.to.weights.add((b * 8 + 4 + i) * 4 * S::L), S::and(S::shr::<4>(c), low));
            }
        }
    }
}

/// Scale and minimum of block `b` from the first word of each row. What is added is minus what is subtracted.
#[inline(always)]
unsafe fn scale_and_minimum<S: Simd>(u: &Unpack, b: usize, head: S::I) {
    S::store(u.to.scales.add(b * S::L), S::f16(head));
    let minimum = S::sub(S::splat(0.0), S::f16(S::shr::<16>(head)));
    S::store(u.to.min_scales.add(b * S::L), minimum);
}

/// Q4_1 with fifth bits as in Q5_0 before the nibbles.
pub(crate) struct Q5_1;

impl Quant for Q5_1 {
    const DTYPE: DType = DType::Q5_1;
    const BLOCK: usize = 32;
    const BYTES: usize = 24;
    const SUB: usize = 32;
    const MIN: bool = true;
    const FULL: bool = false;
    const OFFSET: i32 = 0;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(u: &Unpack) {
        let low = S::splat_i(0x0f0f_0f0f);
        for b in 0..u.blocks {
            let [head, mut fifth, ..] = u.chunk::<S, Self, 2>(b, 0, 0);
            scale_and_minimum::<S>(u, b, head);
            let chunk = u.chunk::<S, Self, 2>(b, 1, 8);
            for i in 0..8 {
                let nibbles = if i < 4 { chunk[i] } else { S::shr::<4>(chunk[i - 4]) };
                let w = S::or(S::and(nibbles, low), fifth_bits::<S>(fifth));
                S::store_w(u.to.weights.add((b * 8 + i) * 4 * S::L), w);
                fifth = S::shr::<4>(fifth);
            }
        }
    }
}

/// Q4_0 whose nibbles name levels.
pub(crate) struct IQ4_NL;

impl Quant for IQ4_NL {
    const DTYPE: DType = DType::IQ4_NL;
    const BLOCK: usize = 32;
    const BYTES: usize = 18;
    const SUB: usize = 32;
    const MIN: bool = false;
    const FULL: bool = true;
    const OFFSET: i32 = 0;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(u: &Unpack) {
        for from in (0..u.blocks).step_by(GATHER) {
            let blocks = GATHER.min(u.blocks - from);
            small_scales::<S, Self>(u, from, blocks);
            for b in from..from + blocks {
                levels::<S>(u, b, u.chunk::<S, Self, 1>(b, 0, 2), &UNEVEN);
            }
        }
    }
}

/// The levels that the nibbles of block `b` of 32 name.
#[inline(always)]
unsafe fn levels<S: Simd>(u: &Unpack, b: usize, chunk: [S::I; 4], levels: &[i8; 16]) {
    let low = S::splat_i(0x0f0f_0f0f);
    let table = levels.map(|level| (i32::from(level) + S::OFFSET8) as u8);
    for (i, c) in chunk.into_iter().enumerate() {
        let (first, second) = (S::and(c, low), S::and(S::shr::<4>(c), low));
        S::store_w(u.to.weights.add((b * 8 + i) * 4 * S::L), S::lookup(table.as_ptr(), first));
        S::store_w(u.to.weights.add((b * 8 + 4 + i) * 4 * S::L), S::lookup(table.as_ptr(), second));
    }
}

/// 32 elements: an exponent, then nibbles as in Q4_0 that name small floats.
pub(crate) struct MXFP4;

impl Quant for MXFP4 {
    const DTYPE: DType = DType::MXFP4;
    const BLOCK: usize = 32;
    const BYTES: usize = 17;
    const SUB: usize = 32;
    const MIN: bool = false;
    const FULL: bool = true;
    const OFFSET: i32 = 0;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(u: &Unpack) {
        let mut scales = [[0.0; 16]; GATHER];
        for from in (0..u.blocks).step_by(GATHER) {
            let blocks = GATHER.min(u.blocks - from);
            // As in `small_scales`: all of them before the first is read as a vector.
            for (b, scales) in scales.iter_mut().take(blocks).enumerate() {
                let at = u.src.add((from + b) * Self::BYTES);
                for (r, scale) in scales.iter_mut().take(S::L).enumerate() {
                    *scale = chord_quant::mxfp4_scale(*at.add(u.rows.at::<S>(r)));
                }
            }
            for (b, scales) in scales.iter().take(blocks).enumerate() {
                S::store(u.to.scales.add((from + b) * S::L), S::load(scales.as_ptr()));
            }
            for b in from..from + blocks {
                let chunk = u.chunk::<S, Self, 1>(b, 0, 1);
                levels::<S>(u, b, chunk, &chord_quant::MXFP4_LEVELS);
            }
        }
    }
}

/// 256 elements: 16 bytes of 4-bit scales and minima per 16, 2-bit levels (4 of one byte are 32 apart), f16 `d`, `dmin`.
pub(crate) struct Q2_K;

impl Quant for Q2_K {
    const DTYPE: DType = DType::Q2_K;
    const BLOCK: usize = 256;
    const BYTES: usize = 84;
    const SUB: usize = 16;
    const MIN: bool = true;
    const WIDE: bool = false;
    const FULL: bool = false;
    const OFFSET: i32 = 0;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(u: &Unpack) {
        let (two, four) = (S::splat_i(0x0303_0303), S::splat_i(0x0f0f_0f0f));
        for b in 0..u.blocks {
            let factors = u.chunk::<S, Self, 6>(b, 0, 0);
            let [.., d] = u.chunk::<S, Self, 6>(b, 1, 68);
            S::store(u.to.scales.add(b * S::L), S::f16(d));
            S::store(u.to.min_scales.add(b * S::L), S::f16(S::shr::<16>(d)));
            for j in 0..16 {
                let factor = byte::<S>(S::and(factors[j / 4], four), j % 4);
                S::store_i(u.to.factors.add((b * 16 + j) * S::L), factor);
            }
            for j in 0..8 {
                let mins = S::and(S::shr::<4>(factors[j / 2]), four);
                S::store_i(u.to.mins.add((b * 8 + j) * S::L), pair::<S>(mins, j % 2));
            }
            for part in 0..4 {
                let (half, quarter) = (part / 2, part % 2);
                let to = u.to.weights.add((b * 64 + half * 32 + quarter * 4) * 4 * S::L);
                let chunk = u.chunk::<S, Self, 6>(b, 2 + part, 16 + half * 32 + quarter * 16);
                for (i, mut levels) in chunk.into_iter().enumerate() {
                    for j in 0..4 {
                        S::store_w(to.add((j * 8 + i) * 4 * S::L), S::and(levels, two));
                        levels = S::shr::<2>(levels);
                    }
                }
            }
        }
    }
}

/// 256 elements: third bits (bit `j` of 32 bytes belongs to the `j`-th 32 elements), levels as in Q2_K, 16 scales of 6
/// bits in 12 bytes with offset 32, f16 scale; offset 4.
pub(crate) struct Q3_K;

impl Quant for Q3_K {
    const DTYPE: DType = DType::Q3_K;
    const BLOCK: usize = 256;
    const BYTES: usize = 110;
    const SUB: usize = 16;
    const MIN: bool = false;
    const FULL: bool = false;
    const OFFSET: i32 = 4;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(u: &Unpack) {
        let (two, bit) = (S::splat_i(0x0303_0303), S::splat_i(0x0404_0404));
        for b in 0..u.blocks {
            q3_scales::<S>(u, b);
            for quarter in 0..2 {
                let mut third = u.chunk::<S, Self, 8>(b, 2 + 3 * quarter, quarter * 16);
                for half in 0..2 {
                    let to = u.to.weights.add((b * 64 + half * 32 + quarter * 4) * 4 * S::L);
                    let at = 32 + half * 32 + quarter * 16;
                    let chunk = u.chunk::<S, Self, 8>(b, 3 + 3 * quarter + half, at);
                    for (i, mut levels) in chunk.into_iter().enumerate() {
                        for j in 0..4 {
                            let w = S::or(S::and(levels, two), S::and(S::shl::<2>(third[i]), bit));
                            S::store_w(to.add((j * 8 + i) * 4 * S::L), w);
                            levels = S::shr::<2>(levels);
                            third[i] = S::shr::<1>(third[i]);
                        }
                    }
                }
            }
        }
    }
}

/// The 16 scales of Q3_K blocks: nibbles in 8 bytes, upper bits in 4.
#[inline(always)]
unsafe fn q3_scales<S: Simd>(u: &Unpack, b: usize) {
    let (four, two) = (S::splat_i(0x0f0f_0f0f), S::splat_i(0x3030_3030));
    let [_, first, second, upper] = u.chunk::<S, Q3_K, 8>(b, 0, 92);
    let [.., d] = u.chunk::<S, Q3_K, 8>(b, 1, 94);
    S::store(u.to.scales.add(b * S::L), S::f16(S::shr::<16>(d)));
    let factors = [
        S::or(S::and(first, four), S::and(S::shl::<4>(upper), two)),
        S::or(S::and(second, four), S::and(S::shl::<2>(upper), two)),
        S::or(S::and(S::shr::<4>(first), four), S::and(upper, two)),
        S::or(S::and(S::shr::<4>(second), four), S::and(S::shr::<2>(upper), two)),
    ];
    for j in 0..16 {
        let factor = S::add_i(byte::<S>(factors[j / 4], j % 4), S::splat_i(-32));
        S::store_i(u.to.factors.add((b * 16 + j) * S::L), factor);
    }
}

/// 256 elements: f16 scale, upper bits and nibbles of 8 6-bit scales with offset 32, nibbles as in Q4_0 that name levels.
pub(crate) struct IQ4_XS;

impl Quant for IQ4_XS {
    const DTYPE: DType = DType::IQ4_XS;
    const BLOCK: usize = 256;
    const BYTES: usize = 136;
    const SUB: usize = 32;
    const MIN: bool = false;
    const FULL: bool = true;
    const OFFSET: i32 = 0;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(u: &Unpack) {
        let low = S::splat_i(0x0f0f_0f0f);
        let table = UNEVEN.map(|level| (i32::from(level) + S::OFFSET8) as u8);
        for b in 0..u.blocks {
            let [head, mut nibbles, ..] = u.chunk::<S, Self, 9>(b, 0, 0);
            S::store(u.to.scales.add(b * S::L), S::f16(head));
            let mut upper = S::shr::<16>(head);
            for j in 0..8 {
                let high = S::shl::<4>(S::and(upper, S::splat_i(3)));
                let factor = S::or(S::and(nibbles, S::splat_i(15)), high);
                S::store_i(u.to.factors.add((b * 8 + j) * S::L), S::add_i(factor, S::splat_i(-32)));
                (nibbles, upper) = (S::shr::<4>(nibbles), S::shr::<2>(upper));
                let chunk = u.chunk::<S, Self, 9>(b, 1 + j, 8 + j * 16);
                let to = u.to.weights.add((b * 64 + j * 8) * 4 * S::L);
                for (i, c) in chunk.into_iter().enumerate() {
                    S::store_w(to.add(i * 4 * S::L), S::lookup(table.as_ptr(), S::and(c, low)));
                    let second = S::and(S::shr::<4>(c), low);
                    S::store_w(to.add((i + 4) * 4 * S::L), S::lookup(table.as_ptr(), second));
                }
            }
        }
    }
}

/// Lane `r`: byte `j` of row `r`'s lane.
#[inline(always)]
unsafe fn byte<S: Simd>(lanes: S::I, j: usize) -> S::I {
    let low = S::splat_i(255);
    match j {
        0 => S::and(lanes, low),
        1 => S::and(S::shr::<8>(lanes), low),
        2 => S::and(S::shr::<16>(lanes), low),
        _ => S::shr::<24>(lanes),
    }
}

/// The same, signed.
#[inline(always)]
unsafe fn signed_byte<S: Simd>(lanes: S::I, j: usize) -> S::I {
    match j {
        0 => S::sar::<24>(S::shl::<24>(lanes)),
        1 => S::sar::<24>(S::shl::<16>(lanes)),
        2 => S::sar::<24>(S::shl::<8>(lanes)),
        _ => S::sar::<24>(lanes),
    }
}

/// Bytes `2 j` and `2 j + 1` of each lane as two i16.
#[inline(always)]
unsafe fn pair<S: Simd>(lanes: S::I, j: usize) -> S::I {
    let lanes = if j == 0 { lanes } else { S::shr::<16>(lanes) };
    S::or(S::and(lanes, S::splat_i(255)), S::and(S::shl::<8>(lanes), S::splat_i(0xff_0000)))
}

/// Factors and minima of block `b` of Q4_K and Q5_K from its first 16 bytes: f16 `d`, f16 `dmin`, then 6 bits each.
#[inline(always)]
pub(super) unsafe fn k_scales<S: Simd>(u: &Unpack, b: usize, head: [S::I; 4]) {
    let [d, low, middle, high] = head;
    S::store(u.to.scales.add(b * S::L), S::f16(d));
    S::store(u.to.min_scales.add(b * S::L), S::f16(S::shr::<16>(d)));
    let (six, four, two) = (S::splat_i(0x3f3f_3f3f), S::splat_i(0x0f0f_0f0f), S::splat_i(0x3030_3030));
    let scale = [S::and(low, six), S::or(S::and(high, four), S::and(S::shr::<2>(low), two))];
    let min = [S::and(middle, six), S::or(S::and(S::shr::<4>(high), four), S::and(S::shr::<2>(middle), two))];
    for j in 0..8 {
        S::store_i(u.to.factors.add((b * 8 + j) * S::L), byte::<S>(scale[j / 4], j % 4));
    }
    for j in 0..4 {
        S::store_i(u.to.mins.add((b * 4 + j) * S::L), pair::<S>(min[j / 2], j % 2));
    }
}

/// 256 elements: scales and minima per 32, then nibbles: 32 bytes hold one sub-block low, the next one high.
pub(crate) struct Q4_K;

impl Quant for Q4_K {
    const DTYPE: DType = DType::Q4_K;
    const BLOCK: usize = 256;
    const BYTES: usize = 144;
    const SUB: usize = 32;
    const MIN: bool = true;
    const FULL: bool = false;
    const OFFSET: i32 = 0;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(u: &Unpack) {
        let low = S::splat_i(0x0f0f_0f0f);
        for b in 0..u.blocks {
            k_scales::<S>(u, b, u.chunk::<S, Self, 9>(b, 0, 0));
            for c in 0..8 {
                let to = u.to.weights.add((b * 64 + c / 2 * 16 + c % 2 * 4) * 4 * S::L);
                for (i, c) in u.chunk::<S, Self, 9>(b, 1 + c, 16 + c * 16).into_iter().enumerate() {
                    S::store_w(to.add(i * 4 * S::L), S::and(c, low));
                    S::store_w(to.add((i + 8) * 4 * S::L), S::and(S::shr::<4>(c), low));
                }
            }
        }
    }
}

/// Q4_K with a fifth bit: bit `j` of 32 bytes belongs to sub-block `j`.
pub(crate) struct Q5_K;

impl Quant for Q5_K {
    const DTYPE: DType = DType::Q5_K;
    const BLOCK: usize = 256;
    const BYTES: usize = 176;
    const SUB: usize = 32;
    const MIN: bool = true;
    const FULL: bool = false;
    const OFFSET: i32 = 0;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(u: &Unpack) {
        let (low, bit) = (S::splat_i(0x0f0f_0f0f), S::splat_i(0x1010_1010));
        for b in 0..u.blocks {
            k_scales::<S>(u, b, u.chunk::<S, Self, 11>(b, 0, 0));
            for half in 0..2 {
                let mut fifth = u.chunk::<S, Self, 11>(b, 1 + 5 * half, 16 + half * 16);
                for c in 0..4 {
                    let to = u.to.weights.add((b * 64 + c * 16 + half * 4) * 4 * S::L);
                    let chunk = u.chunk::<S, Self, 11>(b, 2 + 5 * half + c, 48 + c * 32 + half * 16);
                    for i in 0..4 {
                        // Bits 2c and 2c + 1 are at the bottom of `fifth`; whole bytes stay apart below bit 4.
                        let even = S::and(S::shl::<4>(fifth[i]), bit);
                        let odd = S::and(S::shl::<3>(fifth[i]), bit);
                        fifth[i] = S::shr::<2>(fifth[i]);
                        S::store_w(to.add(i * 4 * S::L), S::or(S::and(chunk[i], low), even));
                        let high = S::and(S::shr::<4>(chunk[i]), low);
                        S::store_w(to.add((i + 8) * 4 * S::L), S::or(high, odd));
                    }
                }
            }
        }
    }
}

/// 256 elements: 128 bytes of nibbles, 64 bytes of upper bits, 16 signed scales, f16 scale; offset 32.
pub(crate) struct Q6_K;

impl Quant for Q6_K {
    const DTYPE: DType = DType::Q6_K;
    const BLOCK: usize = 256;
    const BYTES: usize = 210;
    const SCALE: usize = 208;
    const SUB: usize = 16;
    const MIN: bool = false;
    const FULL: bool = false;
    const OFFSET: i32 = 32;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(u: &Unpack) {
        let (low, upper) = (S::splat_i(0x0f0f_0f0f), S::splat_i(0x3030_3030));
        for b in 0..u.blocks {
            q6_scales::<S>(u, b);
            for part in 0..4 {
                let (half, quarter) = (part / 2, part % 2);
                let to = u.to.weights.add((b * 64 + half * 32 + quarter * 4) * 4 * S::L);
                let first = u.chunk::<S, Self, 13>(b, 1 + 3 * part, half * 64 + quarter * 16);
                let second = u.chunk::<S, Self, 13>(b, 2 + 3 * part, half * 64 + 32 + quarter * 16);
                let bits = u.chunk::<S, Self, 13>(b, 3 + 3 * part, 128 + half * 32 + quarter * 16);
                for i in 0..4 {
                    let (a, c, u) = (first[i], second[i], bits[i]);
                    let at = |j: usize| to.add((j * 8 + i) * 4 * S::L);
                    S::store_w(at(0), S::or(S::and(a, low), S::and(S::shl::<4>(u), upper)));
                    S::store_w(at(1), S::or(S::and(c, low), S::and(S::shl::<2>(u), upper)));
                    S::store_w(at(2), S::or(S::and(S::shr::<4>(a), low), S::and(u, upper)));
                    S::store_w(at(3), S::or(S::and(S::shr::<4>(c), low), S::and(S::shr::<2>(u), upper)));
                }
            }
        }
    }
}

/// The 16 scales of Q6_K blocks.
#[inline(always)]
pub(super) unsafe fn q6_scales<S: Simd>(u: &Unpack, b: usize) {
    let mut bits = [0u16; 16];
    u.gather::<S, Q6_K>(b, &mut bits);
    let factors = u.chunk::<S, Q6_K, 13>(b, 0, 192);
    S::store(u.to.scales.add(b * S::L), S::load_f16(bits.as_ptr()));
    for j in 0..16 {
        S::store_i(u.to.factors.add((b * 16 + j) * S::L), signed_byte::<S>(factors[j / 4], j % 4));
    }
}
