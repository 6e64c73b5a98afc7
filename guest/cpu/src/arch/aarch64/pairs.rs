//! Pairs of NEON registers: 8 lanes, so that tiles of 6 tokens stay in the 32 registers. Instruction sets differ in how
//! they multiply bytes ([`Dot`]), and in nothing else. Lanes are added in the order in which AVX2's are.
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "instruction set")]

use crate::arch::panel::Batch;
use crate::arch::simd::{Rows, Simd};
use core::arch::aarch64::*;
use core::arch::asm;
use core::marker::PhantomData;

/// How 4 products of signed bytes are added to each lane.
///
/// # Safety
/// Of the method: the CPU has the instruction set's features.
pub(super) trait Dot: Copy + 'static {
    /// `sum[r] + Σ w[4 r + i] * x[4 r + i]`, exact where no `x` is -128.
    unsafe fn dot(sum: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t;
}

/// NEON, with bytes multiplied as `D` does.
#[derive(Clone, Copy)]
pub(super) struct Pairs<D>(PhantomData<D>);

/// An intrinsic on both registers.
macro_rules! both {
    ($f:ident $(::<$n:literal>)? ($($a:ident),*)) => {
        [$f $(::<$n>)? ($($a[0]),*), $f $(::<$n>)? ($($a[1]),*)]
    };
}

/// 16 bytes of each of the first 4 rows, transposed as in [`Simd::chunk`].
#[inline(always)]
unsafe fn transposed(p: *const u8, at: Rows) -> [int32x4_t; 4] {
    let row = |r: usize| vreinterpretq_s32_u8(vld1q_u8(p.add(r / 2 * at.stretch + r % 2 * at.stride)));
    let wide = |a| vreinterpretq_s64_s32(a);
    let (even, odd) = (vtrn1q_s32(row(0), row(1)), vtrn2q_s32(row(0), row(1)));
    let (even_2, odd_2) = (vtrn1q_s32(row(2), row(3)), vtrn2q_s32(row(2), row(3)));
    [
        vreinterpretq_s32_s64(vtrn1q_s64(wide(even), wide(even_2))),
        vreinterpretq_s32_s64(vtrn1q_s64(wide(odd), wide(odd_2))),
        vreinterpretq_s32_s64(vtrn2q_s64(wide(even), wide(even_2))),
        vreinterpretq_s32_s64(vtrn2q_s64(wide(odd), wide(odd_2))),
    ]
}

/// 8 f16 as f32.
#[inline(always)]
unsafe fn widened(halves: uint16x8_t) -> [float32x4_t; 2] {
    let halves = vreinterpretq_f16_u16(halves);
    [vcvt_f32_f16(vget_low_f16(halves)), vcvt_high_f32_f16(halves)]
}

/// Both registers shifted left by `by` bits, right by `-by`; `$shift` says what is shifted in.
macro_rules! shifted {
    ($a:ident, $by:expr, signed) => {
        [vshlq_s32($a[0], vdupq_n_s32($by)), vshlq_s32($a[1], vdupq_n_s32($by))]
    };
    ($a:ident, $by:expr, unsigned) => {{
        let shift = |a| vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32($by)));
        [shift($a[0]), shift($a[1])]
    }};
}

impl<D: Dot> Batch for Pairs<D> {}

impl<D: Dot> Simd for Pairs<D> {
    const L: usize = 8;
    const TILE: usize = 6;
    const PANELS: usize = 4;
    const FTILE: usize = 3;
    const QUERIES: usize = 4;
    const OFFSET8: i32 = 0;
    type I = [int32x4_t; 2];
    type F = [float32x4_t; 2];
    type W = [int8x16_t; 2];

    #[inline(always)]
    unsafe fn prefetch(p: *const u8) {
        asm!("prfm pldl1keep, [{p}]", p = in(reg) p, options(readonly, nostack, preserves_flags));
    }

    #[inline(always)]
    unsafe fn chunk(p: *const u8, at: Rows) -> [Self::I; 4] {
        let (low, high) = (transposed(p, at), transposed(p.add(2 * at.stretch), at));
        [[low[0], high[0]], [low[1], high[1]], [low[2], high[2]], [low[3], high[3]]]
    }

    #[inline(always)]
    unsafe fn store_w(p: *mut u8, w: Self::I) {
        vst1q_u8(p, vreinterpretq_u8_s32(w[0]));
        vst1q_u8(p.add(16), vreinterpretq_u8_s32(w[1]));
    }

    #[inline(always)]
    unsafe fn load_w<const FULL: bool>(p: *const u8) -> Self::W {
        [vld1q_s8(p.cast()), vld1q_s8(p.add(16).cast())]
    }

    #[inline(always)]
    unsafe fn as_w<const FULL: bool>(w: Self::I) -> Self::W {
        [vreinterpretq_s8_s32(w[0]), vreinterpretq_s8_s32(w[1])]
    }

    #[inline(always)]
    unsafe fn dot<const FULL: bool>(sum: Self::I, w: Self::W, x: *const i8) -> Self::I {
        let x = vreinterpretq_s8_s32(vdupq_n_s32(x.cast::<i32>().read_unaligned()));
        [D::dot(sum[0], w[0], x), D::dot(sum[1], w[1], x)]
    }

    #[inline(always)]
    unsafe fn lookup(table: *const u8, indices: Self::I) -> Self::I {
        let table = vld1q_u8(table);
        let entries = |i| vreinterpretq_s32_u8(vqtbl1q_u8(table, vreinterpretq_u8_s32(i)));
        [entries(indices[0]), entries(indices[1])]
    }

    #[inline(always)]
    unsafe fn dot_pairs(sum: Self::I, a: Self::I, x: *const i16) -> Self::I {
        let x = vreinterpretq_s16_s32(vdupq_n_s32(x.cast::<i32>().read_unaligned()));
        let dot = |sum, a| {
            let a = vreinterpretq_s16_s32(a);
            let (low, high) = (vmull_s16(vget_low_s16(a), vget_low_s16(x)), vmull_high_s16(a, x));
            vaddq_s32(sum, vpaddq_s32(low, high))
        };
        [dot(sum[0], a[0]), dot(sum[1], a[1])]
    }

    #[inline(always)]
    unsafe fn load_i(p: *const i32) -> Self::I {
        [vld1q_s32(p), vld1q_s32(p.add(4))]
    }

    #[inline(always)]
    unsafe fn store_i(p: *mut i32, a: Self::I) {
        vst1q_s32(p, a[0]);
        vst1q_s32(p.add(4), a[1]);
    }

    #[inline(always)]
    unsafe fn add_i(a: Self::I, b: Self::I) -> Self::I {
        both!(vaddq_s32(a, b))
    }

    #[inline(always)]
    unsafe fn mul_i(a: Self::I, b: Self::I) -> Self::I {
        both!(vmulq_s32(a, b))
    }

    #[inline(always)]
    unsafe fn splat_i(x: i32) -> Self::I {
        [vdupq_n_s32(x); 2]
    }

    #[inline(always)]
    unsafe fn and(a: Self::I, b: Self::I) -> Self::I {
        both!(vandq_s32(a, b))
    }

    #[inline(always)]
    unsafe fn or(a: Self::I, b: Self::I) -> Self::I {
        both!(vorrq_s32(a, b))
    }

    #[inline(always)]
    unsafe fn xor(a: Self::I, b: Self::I) -> Self::I {
        both!(veorq_s32(a, b))
    }

    #[inline(always)]
    unsafe fn shl<const N: u32>(a: Self::I) -> Self::I {
        shifted!(a, N as i32, signed)
    }

    #[inline(always)]
    unsafe fn shr<const N: u32>(a: Self::I) -> Self::I {
        shifted!(a, -(N as i32), unsigned)
    }

    #[inline(always)]
    unsafe fn sar<const N: u32>(a: Self::I) -> Self::I {
        shifted!(a, -(N as i32), signed)
    }

    #[inline(always)]
    unsafe fn max_i(a: Self::I, b: Self::I) -> Self::I {
        both!(vmaxq_s32(a, b))
    }

    #[inline(always)]
    unsafe fn reduce_max_i(a: Self::I) -> i32 {
        vmaxvq_s32(vmaxq_s32(a[0], a[1]))
    }

    #[inline(always)]
    unsafe fn store_i8(p: *mut i8, a: Self::I) {
        vst1_s8(p, vmovn_s16(vcombine_s16(vmovn_s32(a[0]), vmovn_s32(a[1]))));
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        [vdupq_n_f32(x); 2]
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::F {
        [vld1q_f32(p), vld1q_f32(p.add(4))]
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, a: Self::F) {
        vst1q_f32(p, a[0]);
        vst1q_f32(p.add(4), a[1]);
    }

    #[inline(always)]
    unsafe fn load_f16(p: *const u16) -> Self::F {
        widened(vld1q_u16(p))
    }

    #[inline(always)]
    unsafe fn store_f16(p: *mut u16, a: Self::F) {
        let halves = vcvt_high_f16_f32(vcvt_f16_f32(a[0]), a[1]);
        vst1q_u16(p, vreinterpretq_u16_f16(halves));
    }

    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> Self::F {
        let bits = vld1q_u16(p);
        let (low, high) = (vmovl_u16(vget_low_u16(bits)), vmovl_high_u16(bits));
        [vreinterpretq_f32_u32(vshlq_n_u32::<16>(low)), vreinterpretq_f32_u32(vshlq_n_u32::<16>(high))]
    }

    #[inline(always)]
    unsafe fn f16(a: Self::I) -> Self::F {
        let halves = |a| vmovn_u32(vreinterpretq_u32_s32(a));
        widened(vcombine_u16(halves(a[0]), halves(a[1])))
    }

    #[inline(always)]
    unsafe fn to_f(a: Self::I) -> Self::F {
        both!(vcvtq_f32_s32(a))
    }

    #[inline(always)]
    unsafe fn to_i(a: Self::F) -> Self::I {
        both!(vcvtnq_s32_f32(a))
    }

    #[inline(always)]
    unsafe fn bits(a: Self::F) -> Self::I {
        both!(vreinterpretq_s32_f32(a))
    }

    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        both!(vaddq_f32(a, b))
    }

    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        both!(vsubq_f32(a, b))
    }

    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        both!(vmulq_f32(a, b))
    }

    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        both!(vdivq_f32(a, b))
    }

    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        both!(vfmaq_f32(c, a, b))
    }

    #[inline(always)]
    unsafe fn fnma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        both!(vfmsq_f32(c, a, b))
    }

    #[inline(always)]
    unsafe fn at_most(limit: Self::F, x: Self::F) -> Self::F {
        // A NaN on either side is the result; limits are none.
        both!(vminq_f32(limit, x))
    }

    #[inline(always)]
    unsafe fn at_least(limit: Self::F, x: Self::F) -> Self::F {
        let above = both!(vcgtq_f32(limit, x));
        both!(vbslq_f32(above, limit, x))
    }

    #[inline(always)]
    unsafe fn round(a: Self::F) -> Self::F {
        both!(vrndnq_f32(a))
    }

    #[inline(always)]
    unsafe fn scale2(a: Self::F, n: Self::F) -> Self::F {
        let n = Self::to_i(n);
        let half = Self::sar::<1>(n);
        let rest = both!(vsubq_s32(n, half));
        Self::mul(Self::mul(a, power(half)), power(rest))
    }

    #[inline(always)]
    unsafe fn sum(a: Self::F) -> f32 {
        let a = vaddq_f32(a[0], a[1]);
        vpadds_f32(vadd_f32(vget_low_f32(a), vget_high_f32(a)))
    }
}

/// `2^n` for `n` in -126..=127.
#[inline(always)]
unsafe fn power(n: [int32x4_t; 2]) -> [float32x4_t; 2] {
    let bias = [vdupq_n_s32(127); 2];
    let biased = both!(vaddq_s32(n, bias));
    let bits = both!(vshlq_n_s32::<23>(biased));
    both!(vreinterpretq_f32_s32(bits))
}
