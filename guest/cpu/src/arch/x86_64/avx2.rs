//! AVX2 with FMA and F16C: 8 lanes.
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "instruction set")]

use crate::arch::panel::Batch;
use crate::arch::simd::{Rows, Simd};
use core::arch::x86_64::*;

/// AVX2, FMA, F16C.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// Rows `j` and `j + 4`, 16 bytes of each.
#[inline(always)]
unsafe fn pair(p: *const u8, at: Rows) -> __m256i {
    let (low, high) = (_mm_loadu_si128(p.cast()), _mm_loadu_si128(p.add(2 * at.stretch).cast()));
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
}

/// The sum of the lanes.
#[inline(always)]
pub(super) unsafe fn sum(a: __m256) -> f32 {
    let a = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
    let a = _mm_add_ps(a, _mm_movehl_ps(a, a));
    _mm_cvtss_f32(_mm_add_ss(a, _mm_shuffle_ps::<1>(a, a)))
}

impl Simd for Avx2 {
    const L: usize = 8;
    const TILE: usize = 4;
    const PANELS: usize = 4;
    const FTILE: usize = 3;
    const QUERIES: usize = 4;
    const OFFSET8: i32 = 0;
    type I = __m256i;
    type F = __m256;
    /// The weights and their magnitudes.
    type W = (__m256i, __m256i);

    #[inline(always)]
    unsafe fn prefetch(p: *const u8) {
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }

    #[inline(always)]
    unsafe fn chunk(p: *const u8, at: Rows) -> [__m256i; 4] {
        let (r0, r1) = (pair(p, at), pair(p.add(at.stride), at));
        let (r2, r3) = (pair(p.add(at.stretch), at), pair(p.add(at.stretch + at.stride), at));
        let (a, b) = (_mm256_unpacklo_epi32(r0, r1), _mm256_unpacklo_epi32(r2, r3));
        let (c, d) = (_mm256_unpackhi_epi32(r0, r1), _mm256_unpackhi_epi32(r2, r3));
        [
            _mm256_unpacklo_epi64(a, b),
            _mm256_unpackhi_epi64(a, b),
            _mm256_unpacklo_epi64(c, d),
            _mm256_unpackhi_epi64(c, d),
        ]
    }

    #[inline(always)]
    unsafe fn store_w(p: *mut u8, w: __m256i) {
        _mm256_storeu_si256(p.cast(), w);
    }

    #[inline(always)]
    unsafe fn load_w<const FULL: bool>(p: *const u8) -> (__m256i, __m256i) {
        Self::as_w::<FULL>(_mm256_loadu_si256(p.cast()))
    }

    #[inline(always)]
    unsafe fn as_w<const FULL: bool>(w: __m256i) -> (__m256i, __m256i) {
        (w, if FULL { _mm256_abs_epi8(w) } else { w })
    }

    #[inline(always)]
    unsafe fn dot<const FULL: bool>(sum: __m256i, w: (__m256i, __m256i), x: *const i8) -> __m256i {
        let x = _mm256_set1_epi32(x.cast::<i32>().read_unaligned());
        // Pairs fit in i16: at most 2 * 128 * 127. The sign goes to the activation, whose range is symmetric.
        let x = if FULL { _mm256_sign_epi8(x, w.0) } else { x };
        let pairs = _mm256_maddubs_epi16(w.1, x);
        _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }

    #[inline(always)]
    unsafe fn lookup(table: *const u8, indices: __m256i) -> __m256i {
        let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.cast()));
        _mm256_shuffle_epi8(table, indices)
    }

    #[inline(always)]
    unsafe fn dot_pairs(sum: __m256i, a: __m256i, x: *const i16) -> __m256i {
        let x = _mm256_set1_epi32(x.cast::<i32>().read_unaligned());
        _mm256_add_epi32(sum, _mm256_madd_epi16(a, x))
    }

    #[inline(always)]
    unsafe fn load_i(p: *const i32) -> __m256i {
        _mm256_loadu_si256(p.cast())
    }

    #[inline(always)]
    unsafe fn store_i(p: *mut i32, a: __m256i) {
        _mm256_storeu_si256(p.cast(), a);
    }

    #[inline(always)]
    unsafe fn add_i(a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn mul_i(a: __m256i, b: __m256i) -> __m256i {
        _mm256_mullo_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn splat_i(x: i32) -> __m256i {
        _mm256_set1_epi32(x)
    }

    #[inline(always)]
    unsafe fn and(a: __m256i, b: __m256i) -> __m256i {
        _mm256_and_si256(a, b)
    }

    #[inline(always)]
    unsafe fn or(a: __m256i, b: __m256i) -> __m256i {
        _mm256_or_si256(a, b)
    }

    #[inline(always)]
    unsafe fn xor(a: __m256i, b: __m256i) -> __m256i {
        _mm256_xor_si256(a, b)
    }

    #[inline(always)]
    unsafe fn shl<const N: u32>(a: __m256i) -> __m256i {
        _mm256_sll_epi32(a, _mm_cvtsi32_si128(N as i32))
    }

    #[inline(always)]
    unsafe fn shr<const N: u32>(a: __m256i) -> __m256i {
        _mm256_srl_epi32(a, _mm_cvtsi32_si128(N as i32))
    }

    #[inline(always)]
    unsafe fn sar<const N: u32>(a: __m256i) -> __m256i {
        _mm256_sra_epi32(a, _mm_cvtsi32_si128(N as i32))
    }

    #[inline(always)]
    unsafe fn max_i(a: __m256i, b: __m256i) -> __m256i {
        _mm256_max_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn reduce_max_i(a: __m256i) -> i32 {
        let a = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
        let a = _mm_max_epi32(a, _mm_shuffle_epi32::<0b01_00_11_10>(a));
        _mm_cvtsi128_si32(_mm_max_epi32(a, _mm_shuffle_epi32::<0b10_11_00_01>(a)))
    }

    #[inline(always)]
    unsafe fn store_i8(p: *mut i8, a: __m256i) {
        let words = _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
        _mm_storel_epi64(p.cast(), _mm_packs_epi16(words, words));
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        _mm256_set1_ps(x)
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m256 {
        _mm256_loadu_ps(p)
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, a: __m256) {
        _mm256_storeu_ps(p, a);
    }

    #[inline(always)]
    unsafe fn load_f16(p: *const u16) -> __m256 {
        _mm256_cvtph_ps(_mm_loadu_si128(p.cast()))
    }

    #[inline(always)]
    unsafe fn store_f16(p: *mut u16, a: __m256) {
        _mm_storeu_si128(p.cast(), _mm256_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT }>(a));
    }

    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> __m256 {
        let bits = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()));
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(bits))
    }

    #[inline(always)]
    unsafe fn f16(a: __m256i) -> __m256 {
        let words = _mm256_and_si256(a, _mm256_set1_epi32(0xffff));
        let words = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
        _mm256_cvtph_ps(words)
    }

    #[inline(always)]
    unsafe fn to_f(a: __m256i) -> __m256 {
        _mm256_cvtepi32_ps(a)
    }

    #[inline(always)]
    unsafe fn to_i(a: __m256) -> __m256i {
        _mm256_cvtps_epi32(a)
    }

    #[inline(always)]
    unsafe fn bits(a: __m256) -> __m256i {
        _mm256_castps_si256(a)
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        _mm256_add_ps(a, b)
    }

    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        _mm256_sub_ps(a, b)
    }

    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        _mm256_mul_ps(a, b)
    }

    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        _mm256_div_ps(a, b)
    }

    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        _mm256_fmadd_ps(a, b, c)
    }

    #[inline(always)]
    unsafe fn fnma(a: __m256, b: __m256, c: __m256) -> __m256 {
        _mm256_fnmadd_ps(a, b, c)
    }

    #[inline(always)]
    unsafe fn at_most(limit: __m256, x: __m256) -> __m256 {
        _mm256_min_ps(limit, x)
    }

    #[inline(always)]
    unsafe fn at_least(limit: __m256, x: __m256) -> __m256 {
        _mm256_max_ps(limit, x)
    }

    #[inline(always)]
    unsafe fn round(a: __m256) -> __m256 {
        _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a)
    }

    #[inline(always)]
    unsafe fn scale2(a: __m256, n: __m256) -> __m256 {
        let n = _mm256_cvtps_epi32(n);
        let half = _mm256_srai_epi32::<1>(n);
        let power =
            |n| _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(n, _mm256_set1_epi32(127))));
        _mm256_mul_ps(_mm256_mul_ps(a, power(half)), power(_mm256_sub_epi32(n, half)))
    }

    #[inline(always)]
    unsafe fn sum(a: __m256) -> f32 {
        sum(a)
    }
}

impl Batch for Avx2 {}

crate::arch::shells!(Avx2, "avx2", "avx2,fma,f16c");
