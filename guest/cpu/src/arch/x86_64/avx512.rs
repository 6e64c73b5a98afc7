//! AVX-512 with VNNI: 16 lanes.
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "instruction set")]
#![expect(clippy::needless_range_loop, reason = "indices run over pointers as well")]

use super::across;
use crate::arch::direct::Across;
use crate::arch::panel::Batch;
use crate::arch::simd::{Rows, Simd};
use core::arch::x86_64::*;

/// AVX-512 F, BW, VL, DQ, VNNI; with `TILES` also AMX (see `amx`).
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const TILES: bool>;

/// 16 bytes at `p`.
#[inline(always)]
unsafe fn sixteen(p: *const u8) -> __m128i {
    _mm_loadu_si128(p.cast())
}

/// In each quarter: lane `j` of vector `i` becomes lane `i` of vector `j`.
#[inline(always)]
pub(super) unsafe fn transpose(rows: [__m512i; 4]) -> [__m512i; 4] {
    let (a, b) = (_mm512_unpacklo_epi32(rows[0], rows[1]), _mm512_unpacklo_epi32(rows[2], rows[3]));
    let (c, d) = (_mm512_unpackhi_epi32(rows[0], rows[1]), _mm512_unpackhi_epi32(rows[2], rows[3]));
    [
        _mm512_unpacklo_epi64(a, b),
        _mm512_unpackhi_epi64(a, b),
        _mm512_unpacklo_epi64(c, d),
        _mm512_unpackhi_epi64(c, d),
    ]
}

impl<const TILES: bool> Simd for Avx512<TILES> {
    const L: usize = 16;
    const TILE: usize = 12;
    const PANELS: usize = 4;
    const FTILE: usize = 4;
    const QUERIES: usize = 8;
    const OFFSET8: i32 = 128;
    type I = __m512i;
    type F = __m512;
    type W = __m512i;

    #[inline(always)]
    unsafe fn prefetch(p: *const u8) {
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }

    #[inline(always)]
    unsafe fn chunk(p: *const u8, at: Rows) -> [__m512i; 4] {
        // Quarter q of vector j: row 4 q + j.
        let mut rows = [_mm512_setzero_si512(); 4];
        for j in 0..4 {
            let p = p.add(j * at.stride);
            let v = _mm512_castsi128_si512(sixteen(p));
            let v = _mm512_inserti32x4::<1>(v, sixteen(p.add(at.stretch)));
            let v = _mm512_inserti32x4::<2>(v, sixteen(p.add(2 * at.stretch)));
            rows[j] = _mm512_inserti32x4::<3>(v, sixteen(p.add(3 * at.stretch)));
        }
        transpose(rows)
    }

    #[inline(always)]
    unsafe fn store_w(p: *mut u8, w: __m512i) {
        _mm512_storeu_si512(p.cast(), w);
    }

    #[inline(always)]
    unsafe fn load_w<const FULL: bool>(p: *const u8) -> __m512i {
        _mm512_loadu_si512(p.cast())
    }

    #[inline(always)]
    unsafe fn as_w<const FULL: bool>(w: __m512i) -> __m512i {
        w
    }

    #[inline(always)]
    unsafe fn dot<const FULL: bool>(sum: __m512i, w: __m512i, x: *const i8) -> __m512i {
        _mm512_dpbusd_epi32(sum, w, _mm512_set1_epi32(x.cast::<i32>().read_unaligned()))
    }

    #[inline(always)]
    unsafe fn lookup(table: *const u8, indices: __m512i) -> __m512i {
        _mm512_shuffle_epi8(_mm512_broadcast_i32x4(sixteen(table)), indices)
    }

    #[inline(always)]
    unsafe fn dot_pairs(sum: __m512i, a: __m512i, x: *const i16) -> __m512i {
        _mm512_dpwssd_epi32(sum, a, _mm512_set1_epi32(x.cast::<i32>().read_unaligned()))
    }

    #[inline(always)]
    unsafe fn load_i(p: *const i32) -> __m512i {
        _mm512_loadu_si512(p.cast())
    }

    #[inline(always)]
    unsafe fn store_i(p: *mut i32, a: __m512i) {
        _mm512_storeu_si512(p.cast(), a);
    }

    #[inline(always)]
    unsafe fn add_i(a: __m512i, b: __m512i) -> __m512i {
        _mm512_add_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn mul_i(a: __m512i, b: __m512i) -> __m512i {
        _mm512_mullo_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn splat_i(x: i32) -> __m512i {
        _mm512_set1_epi32(x)
    }

    #[inline(always)]
    unsafe fn and(a: __m512i, b: __m512i) -> __m512i {
        _mm512_and_si512(a, b)
    }

    #[inline(always)]
    unsafe fn or(a: __m512i, b: __m512i) -> __m512i {
        _mm512_or_si512(a, b)
    }

    #[inline(always)]
    unsafe fn xor(a: __m512i, b: __m512i) -> __m512i {
        _mm512_xor_si512(a, b)
    }

    #[inline(always)]
    unsafe fn shl<const N: u32>(a: __m512i) -> __m512i {
        _mm512_slli_epi32::<N>(a)
    }

    #[inline(always)]
    unsafe fn shr<const N: u32>(a: __m512i) -> __m512i {
        _mm512_srli_epi32::<N>(a)
    }

    #[inline(always)]
    unsafe fn sar<const N: u32>(a: __m512i) -> __m512i {
        _mm512_srai_epi32::<N>(a)
    }

    #[inline(always)]
    unsafe fn max_i(a: __m512i, b: __m512i) -> __m512i {
        _mm512_max_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn reduce_max_i(a: __m512i) -> i32 {
        _mm512_reduce_max_epi32(a)
    }

    #[inline(always)]
    unsafe fn store_i8(p: *mut i8, a: __m512i) {
        _mm_storeu_si128(p.cast(), _mm512_cvtsepi32_epi8(a));
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        _mm512_set1_ps(x)
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m512 {
        _mm512_loadu_ps(p)
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, a: __m512) {
        _mm512_storeu_ps(p, a);
    }

    #[inline(always)]
    unsafe fn load_f16(p: *const u16) -> __m512 {
        _mm512_cvtph_ps(_mm256_loadu_si256(p.cast()))
    }

    #[inline(always)]
    unsafe fn store_f16(p: *mut u16, a: __m512) {
        _mm256_storeu_si256(
            p.cast(),
            _mm512_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a),
        );
    }

    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> __m512 {
        let bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()));
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits))
    }

    #[inline(always)]
    unsafe fn f16(a: __m512i) -> __m512 {
        _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a))
    }

    #[inline(always)]
    unsafe fn to_f(a: __m512i) -> __m512 {
        _mm512_cvtepi32_ps(a)
    }

    #[inline(always)]
    unsafe fn to_i(a: __m512) -> __m512i {
        _mm512_cvtps_epi32(a)
    }

    #[inline(always)]
    unsafe fn bits(a: __m512) -> __m512i {
        _mm512_castps_si512(a)
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }

    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        _mm512_sub_ps(a, b)
    }

    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        _mm512_mul_ps(a, b)
    }

    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        _mm512_div_ps(a, b)
    }

    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, c)
    }

    #[inline(always)]
    unsafe fn fnma(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fnmadd_ps(a, b, c)
    }

    #[inline(always)]
    unsafe fn at_most(limit: __m512, x: __m512) -> __m512 {
        _mm512_min_ps(limit, x)
    }

    #[inline(always)]
    unsafe fn at_least(limit: __m512, x: __m512) -> __m512 {
        _mm512_max_ps(limit, x)
    }

    #[inline(always)]
    unsafe fn round(a: __m512) -> __m512 {
        _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a)
    }

    #[inline(always)]
    unsafe fn scale2(a: __m512, n: __m512) -> __m512 {
        _mm512_scalef_ps(a, n)
    }

    #[inline(always)]
    unsafe fn sum(a: __m512) -> f32 {
        let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(a)));
        super::avx2::sum(_mm256_add_ps(_mm512_castps512_ps256(a), upper))
    }
}

type Plain = Avx512<false>;

impl Batch for Plain {
    const ACROSS: bool = true;

    #[inline(always)]
    unsafe fn across(a: &Across) -> __m512 {
        across::across(a)
    }
}

crate::arch::shells!(Plain, "avx512-vnni", "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c");
