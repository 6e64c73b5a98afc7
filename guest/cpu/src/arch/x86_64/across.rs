//! Rows times one token without transposing them: AVX-512 reads along each row and adds up within vectors.
//!
//! The sum of a block is an exact integer in either order, so the bits are those of [`crate::arch::direct`]. Transposing is
//! the greater part of the work where weights are whole bytes; where they are nibbles this was slower.
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "instruction set")]
#![expect(clippy::needless_range_loop, reason = "indices run over pointers as well")]

use super::avx512::{Avx512, transpose};
use crate::arch::direct::{Across, Direct};
use crate::arch::simd::{Simd, fetch};
use core::arch::x86_64::*;
use core::mem::MaybeUninit;

type Lanes = Avx512<false>;

/// Columns that are added up together.
pub(super) const COLUMNS: usize = 512;
/// Blocks of that many columns; also rows and lanes.
const N: usize = COLUMNS / 32;
/// Vectors of as many activations.
const VECTORS: usize = COLUMNS / 64;

/// For each row the sums of its blocks, and the scales of its blocks by block.
#[repr(align(64))]
struct Scratch {
    products: [[MaybeUninit<i32>; N]; N],
    scales: [[MaybeUninit<u16>; N]; N],
}

/// Adds the products of 16 blocks of 16 rows to `sum`, whose lanes are rows. Blocks are an f16 scale, then 32 signed bytes.
///
/// # Safety
/// The CPU has the features of [`Avx512`]; see [`Across`].
#[inline(always)]
pub(super) unsafe fn across<Q: Direct>(a: &Across, sum: __m512) -> __m512 {
    let mut scratch = MaybeUninit::<Scratch>::uninit();
    let scratch = scratch.as_mut_ptr();
    let products = (&raw mut (*scratch).products).cast::<i32>();
    let scales = (&raw mut (*scratch).scales).cast::<u16>();
    let acts = core::array::from_fn(|i| _mm512_loadu_si512(a.q.add(i * 64).cast()));
    for r in 0..N {
        let row = a.src.add(r * a.stride);
        for b in 0..N {
            *scales.add(b * N + r) = row.add(b * Q::BYTES).cast::<u16>().read_unaligned();
        }
        fetch::<Lanes>(a.ahead.wrapping_add(r * a.stride), N * Q::BYTES);
        Lanes::store_i(products.add(r * N), sums::<Q>(row, &acts));
    }
    add_scaled(a, products, scales, sum)
}

/// Quarters 0 and 2 of both, or 1 and 3.
const EVEN: i32 = 0b10_00_10_00;
const ODD: i32 = 0b11_01_11_01;

/// Sums of 16 blocks of bytes, plus 128 times those of the activations. Block `b` is lane [`lane`].
#[inline(always)]
unsafe fn sums<Q: Direct>(row: *const u8, acts: &[__m512i; VECTORS]) -> __m512i {
    let signs = _mm512_set1_epi8(i8::MIN);
    let mut sums = [_mm512_setzero_si512(); VECTORS];
    for i in 0..VECTORS {
        let half = |b: usize| _mm256_loadu_si256(row.add(b * Q::BYTES + 2).cast());
        let weights = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(half(2 * i)), half(2 * i + 1));
        sums[i] = _mm512_dpbusd_epi32(sums[i], _mm512_xor_si512(weights, signs), acts[i]);
    }
    // Of 8 lanes each to one: two blocks in each vector.
    let fours: [__m512i; 4] = core::array::from_fn(|i| fold(sums[2 * i], sums[2 * i + 1]));
    let (low, high) = (fold_again(fours[0], fours[1]), fold_again(fours[2], fours[3]));
    // Halves of blocks: quarters 0 and 1 belong together, and 2 and 3.
    _mm512_add_epi32(_mm512_shuffle_i32x4::<EVEN>(low, high), _mm512_shuffle_i32x4::<ODD>(low, high))
}

/// In each quarter, from lanes 0 1 2 3 of `a` and of `b`: a0 + a2, b0 + b2, a1 + a3, b1 + b3.
#[inline(always)]
unsafe fn fold(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b))
}

/// In each quarter, of what [`fold`] has made of four vectors: the whole sums of each of them in turn.
#[inline(always)]
unsafe fn fold_again(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b))
}

/// Where [`sums`] leaves that of block `b`.
const fn lane(b: usize) -> usize {
    // Two blocks a vector: of the first four vectors in quarters 0 and 1, of the others in 2 and 3.
    let (quarter, i) = (b / 8 * 2 + b % 2, b % 8 / 2);
    4 * quarter + i
}

/// Adds the blocks of each row in order, row by lane.
#[inline(always)]
unsafe fn add_scaled(a: &Across, products: *const i32, scales: *const u16, mut sum: __m512) -> __m512 {
    let mut quads = [[_mm512_setzero_si512(); 4]; 4];
    for i in 0..4 {
        quads[i] = transpose(core::array::from_fn(|r| Lanes::load_i(products.add((4 * i + r) * N))));
    }
    let mut by_lane = [_mm512_setzero_si512(); N];
    for i in 0..4 {
        // Quarter `c` of each is lane 4 c + i of 4 rows.
        let [a, b, c, d] = [quads[0][i], quads[1][i], quads[2][i], quads[3][i]];
        let (even, odd) = (_mm512_shuffle_i32x4::<EVEN>(a, b), _mm512_shuffle_i32x4::<ODD>(a, b));
        let (even2, odd2) = (_mm512_shuffle_i32x4::<EVEN>(c, d), _mm512_shuffle_i32x4::<ODD>(c, d));
        by_lane[i] = _mm512_shuffle_i32x4::<EVEN>(even, even2);
        by_lane[4 + i] = _mm512_shuffle_i32x4::<EVEN>(odd, odd2);
        by_lane[8 + i] = _mm512_shuffle_i32x4::<ODD>(even, even2);
        by_lane[12 + i] = _mm512_shuffle_i32x4::<ODD>(odd, odd2);
    }
    for b in 0..N {
        let correction = Lanes::splat_i(*a.corrections.add(b) as i32);
        let product = Lanes::to_f(Lanes::add_i(by_lane[lane(b)], correction));
        let scale = Lanes::mul(Lanes::load_f16(scales.add(b * N)), Lanes::splat(*a.act_scales.add(b)));
        sum = Lanes::fma(product, scale, sum);
    }
    sum
}
