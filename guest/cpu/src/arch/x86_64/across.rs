//! Rows times one token without transposing them: AVX-512 reads along each row and adds up within vectors.
//!
//! The sum of a block is an exact integer in either order, so the bits are those of [`crate::arch::direct`]. Transposing is
//! the greater part of the work where weights are whole bytes; where they are nibbles this was slower.
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "instruction set")]
#![expect(clippy::needless_range_loop, reason = "indices run over pointers as well")]

use super::avx512::{Avx512, transpose};
use crate::arch::direct::Across;
use crate::arch::simd::{STREAMS, Simd, fetch};
use core::arch::x86_64::*;
use core::mem::MaybeUninit;

type Lanes = Avx512<false>;

/// Of a block: an f16 scale, then 32 signed bytes.
const BYTES: usize = 34;
/// Blocks that are added up together; also rows and lanes.
const N: usize = 16;
/// Groups of as many blocks that are gathered before they are added to the rows' sums, so that a row is read in stretches
/// of some length.
const GROUPS: usize = 16;
/// Bytes between where a stream is read and where it is prefetched.
const AHEAD: usize = 2048;
/// Vectors of activations in a group.
const VECTORS: usize = N / 2;

/// By group and row what [`sums`] has made of it: products in f32, and scales times those of the activations.
#[repr(align(64))]
struct Scratch {
    products: [MaybeUninit<[f32; N]>; GROUPS * N],
    scales: [MaybeUninit<[f32; N]>; GROUPS * N],
}

/// The token's part of a group, blocks in the order of [`block`].
struct Token {
    q: [__m512i; VECTORS],
    /// What removes the offset of the weights.
    corrections: __m512i,
    scales: __m512,
}

/// The products of 16 rows with the token, row by lane.
///
/// # Safety
/// The CPU has the features of [`Avx512`]; see [`Across`].
#[inline(always)]
pub(super) unsafe fn across(a: &Across) -> __m512 {
    let mut scratch = MaybeUninit::<Scratch>::uninit();
    let scratch = scratch.as_mut_ptr();
    let products = (&raw mut (*scratch).products).cast::<f32>();
    let scales = (&raw mut (*scratch).scales).cast::<f32>();
    let mut sum = _mm512_setzero_ps();
    let len = N / STREAMS * a.rows.stride;
    for from in (0..a.blocks).step_by(GROUPS * N) {
        let blocks = (a.blocks - from).min(GROUPS * N);
        for r in 0..N / STREAMS {
            for group in 0..blocks.div_ceil(N) {
                let at = from + group * N;
                let n = (a.blocks - at).min(N);
                let token = token(a, at, n);
                for stream in 0..STREAMS {
                    let row = stream * (N / STREAMS) + r;
                    let offset = a.rows.at::<Lanes>(row) + at * BYTES;
                    let to = (group * N + row) * N;
                    // In the stream, or past its end where it goes on.
                    let later = r * a.rows.stride + at * BYTES + AHEAD;
                    let later = if later < len {
                        a.src.wrapping_add(stream * a.rows.stretch + later)
                    } else {
                        a.ahead.first.wrapping_add(stream * a.ahead.stretch + later - len)
                    };
                    fetch::<Lanes>(later, n * BYTES);
                    let mut room = MaybeUninit::<[u8; N * BYTES]>::uninit();
                    let (product, scale) = sums(whole(a.src.add(offset), n * BYTES, &mut room), &token);
                    Lanes::store(products.add(to), product);
                    Lanes::store(scales.add(to), scale);
                }
            }
        }
        for group in 0..blocks.div_ceil(N) {
            let to = group * N * N;
            sum = add(products.add(to), scales.add(to), (blocks - group * N).min(N), sum);
        }
    }
    sum
}

/// `n` of `SIZE` bytes: where they are if they are all of them, else in `room`, with zeros after them.
#[inline(always)]
unsafe fn whole<const SIZE: usize>(
    from: *const u8,
    n: usize,
    room: &mut MaybeUninit<[u8; SIZE]>,
) -> *const u8 {
    if n == SIZE {
        return from;
    }
    let to = room.write([0; SIZE]).as_mut_ptr();
    to.copy_from_nonoverlapping(from, n);
    to
}

/// The block whose sum [`sums`] leaves in a lane.
const fn block(lane: usize) -> usize {
    lane % 4 * 4 + lane / 4
}

/// Blocks `at..at + n` of the token.
#[inline(always)]
unsafe fn token(a: &Across, at: usize, n: usize) -> Token {
    const ORDER: [i32; N] = {
        let mut order = [0; N];
        let mut i = 0;
        while i < N {
            order[i] = block(i) as i32;
            i += 1;
        }
        order
    };
    let order = Lanes::load_i(ORDER.as_ptr());
    let some = ((1u32 << n) - 1) as __mmask16;
    let sums = _mm512_maskz_loadu_epi32(some, a.sums.add(at * 2).cast());
    let sums = _mm512_madd_epi16(sums, _mm512_set1_epi16(1));
    let corrections = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32::<7>(sums));
    let scales = _mm512_maskz_loadu_ps(some, a.scales.add(at));
    let mut room = MaybeUninit::<[u8; N * 32]>::uninit();
    let q = whole(a.q.add(at * 32).cast(), n * 32, &mut room);
    Token {
        // As `sums` pairs them.
        q: core::array::from_fn(|v| Lanes::load_i(q.add(first(v) * 32).cast())),
        corrections: _mm512_permutexvar_epi32(order, corrections),
        scales: _mm512_permutexvar_ps(order, scales),
    }
}

/// The first of the two blocks of vector `v`.
const fn first(v: usize) -> usize {
    v % 4 * 4 + v / 4 * 2
}

/// Of 16 blocks of a row the products, and the scales of both sides multiplied, in the order of [`block`].
#[inline(always)]
unsafe fn sums(row: *const u8, token: &Token) -> (__m512, __m512) {
    let signs = _mm512_set1_epi8(i8::MIN);
    let mut sums = [_mm512_setzero_si512(); VECTORS];
    for v in 0..VECTORS {
        let half = |b: usize| _mm256_loadu_si256(row.add(b * BYTES + 2).cast());
        let b = first(v);
        let weights = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(half(b)), half(b + 1));
        sums[v] = _mm512_dpbusd_epi32(sums[v], _mm512_xor_si512(weights, signs), token.q[v]);
    }
    // Of 8 lanes each to one: two blocks in each vector.
    let fours: [__m512i; 4] = core::array::from_fn(|i| fold(sums[2 * i], sums[2 * i + 1]));
    let (low, high) = (fold_again(fours[0], fours[1]), fold_again(fours[2], fours[3]));
    // Halves of blocks: quarters 0 and 1 belong together, and 2 and 3.
    let sums = _mm512_add_epi32(quarters::<0>(low, high), quarters::<1>(low, high));
    let products = Lanes::to_f(_mm512_add_epi32(sums, token.corrections));
    (products, _mm512_mul_ps(scales(row), token.scales))
}

/// Quarters 0 and 2 of both, or with `ODD` 1 and 3.
#[inline(always)]
unsafe fn quarters<const ODD: i32>(a: __m512i, b: __m512i) -> __m512i {
    if ODD == 0 {
        _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b)
    } else {
        _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b)
    }
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

/// The scales of 16 blocks. They are 17 words apart, so two of them are in each 32 words, and no two in the same place of
/// theirs: vectors are laid over each other.
#[inline(always)]
unsafe fn scales(row: *const u8) -> __m512 {
    const PLACES: [i16; 32] = {
        let mut places = [0; 32];
        let mut i = 0;
        while i < N {
            places[i] = (block(i) * (BYTES / 2) % 32) as i16;
            i += 1;
        }
        places
    };
    let mut words = _mm512_setzero_si512();
    for v in 0..VECTORS {
        let mask = (1 << (2 * v) | 1 << (2 * v + 17)) as __mmask32;
        words = _mm512_mask_loadu_epi16(words, mask, row.add(64 * v).cast());
    }
    let words = _mm512_permutexvar_epi16(_mm512_loadu_si512(PLACES.as_ptr().cast()), words);
    _mm512_cvtph_ps(_mm512_castsi512_si256(words))
}

/// Adds the `n` blocks of each row in order, row by lane.
#[inline(always)]
unsafe fn add(products: *const f32, scales: *const f32, n: usize, mut sum: __m512) -> __m512 {
    let (products, scales) = (by_block(products), by_block(scales));
    for b in 0..N {
        if b < n {
            sum = _mm512_fmadd_ps(products[b], scales[b], sum);
        }
    }
    sum
}

/// From a row of blocks in the order of [`block`] for each of 16 rows: the rows of each block.
#[inline(always)]
unsafe fn by_block(rows: *const f32) -> [__m512; N] {
    let mut fours = [[_mm512_setzero_si512(); 4]; 4];
    for i in 0..4 {
        fours[i] = transpose(core::array::from_fn(|r| Lanes::load_i(rows.add((4 * i + r) * N).cast())));
    }
    let mut blocks = [_mm512_setzero_ps(); N];
    for i in 0..4 {
        // Quarter `c` of each is block 4 i + c of 4 rows.
        let [a, b, c, d] = [fours[0][i], fours[1][i], fours[2][i], fours[3][i]];
        let even = (quarters::<0>(a, b), quarters::<0>(c, d));
        let odd = (quarters::<1>(a, b), quarters::<1>(c, d));
        blocks[4 * i] = _mm512_castsi512_ps(quarters::<0>(even.0, even.1));
        blocks[4 * i + 1] = _mm512_castsi512_ps(quarters::<0>(odd.0, odd.1));
        blocks[4 * i + 2] = _mm512_castsi512_ps(quarters::<1>(even.0, even.1));
        blocks[4 * i + 3] = _mm512_castsi512_ps(quarters::<1>(odd.0, odd.1));
    }
    blocks
}
