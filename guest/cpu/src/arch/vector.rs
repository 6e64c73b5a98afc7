//! Vector kernels, generic over the instruction set.
//!
//! # Safety
//! Of every function: the CPU has `S`'s features. Lengths are checked here.
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "raw pointers into checked slices; instruction sets")]

use super::exp::*;
use super::simd::Simd;
use super::{TINY, check_quantise};
use crate::kernels::{SLOTS, check_softmax};
use core::ops::Range;

/// Most lanes of any instruction set.
const MAX_L: usize = 16;

/// Runs `$body` for each `L` elements of `$n`, then for what remains: `$i` is the first element, `$m` their number.
macro_rules! spans {
    ($S:ident, $n:expr, $i:ident, $m:ident, $body:block) => {
        let (n, mut at) = ($n, 0);
        while at + $S::L <= n {
            let ($i, $m) = (at, $S::L);
            $body;
            at += $S::L;
        }
        if at < n {
            let ($i, $m) = (at, n - at);
            $body;
        }
    };
}

/// `m` elements from `p`; the other lanes are `pad`.
#[inline(always)]
unsafe fn get<S: Simd>(p: *const f32, m: usize, pad: f32) -> S::F {
    if m == S::L {
        return S::load(p);
    }
    let mut rest = [pad; MAX_L];
    core::ptr::copy_nonoverlapping(p, rest.as_mut_ptr(), m);
    S::load(rest.as_ptr())
}

/// The first `m` lanes to `p`.
#[inline(always)]
unsafe fn put<S: Simd>(p: *mut f32, m: usize, x: S::F) {
    if m == S::L {
        return S::store(p, x);
    }
    let mut rest = [0.0; MAX_L];
    S::store(rest.as_mut_ptr(), x);
    core::ptr::copy_nonoverlapping(rest.as_ptr(), p, m);
}

/// The first `m` lanes to `p` as f16.
#[inline(always)]
unsafe fn put_f16<S: Simd>(p: *mut u16, m: usize, x: S::F) {
    if m == S::L {
        return S::store_f16(p, x);
    }
    let mut rest = [0; MAX_L];
    S::store_f16(rest.as_mut_ptr(), x);
    core::ptr::copy_nonoverlapping(rest.as_ptr(), p, m);
}

/// See [`crate::VecKernels::scale`].
#[inline(always)]
pub(crate) unsafe fn scale<S: Simd>(s: f32, y: &mut [f32]) {
    let (s, y) = (S::splat(s), (y.as_mut_ptr(), y.len()));
    spans!(S, y.1, i, m, {
        put::<S>(y.0.add(i), m, S::mul(s, get::<S>(y.0.add(i), m, 0.0)));
    });
}

/// See [`crate::VecKernels::to_f16`].
#[inline(always)]
pub(crate) unsafe fn to_f16<S: Simd>(x: &[f32], y: &mut [u16]) {
    assert_eq!(x.len(), y.len());
    let (from, to) = (x.as_ptr(), y.as_mut_ptr());
    spans!(S, x.len(), i, m, {
        put_f16::<S>(to.add(i), m, get::<S>(from.add(i), m, 0.0));
    });
}

/// The largest lane; there is no NaN.
#[inline(always)]
unsafe fn reduce_max<S: Simd>(x: S::F) -> f32 {
    // Integers of the same order: negative numbers with their magnitude turned over.
    let bits = S::bits(x);
    let turned = S::xor(bits, S::and(S::sar::<31>(bits), S::splat_i(0x7fff_ffff)));
    let largest = S::reduce_max_i(turned);
    f32::from_bits((largest ^ ((largest >> 31) & 0x7fff_ffff)) as u32)
}

/// `exp` within 2 ulp, as in `portable::vec`.
#[inline(always)]
unsafe fn exp<S: Simd>(x: S::F) -> S::F {
    let x = S::at_least(S::splat(MIN), S::at_most(S::splat(MAX), x));
    let n = S::round(S::mul(x, S::splat(LOG2_E)));
    let r = S::fnma(n, S::splat(LN2_LOW), S::fnma(n, S::splat(LN2_HIGH), x));
    let mut p = S::splat(P0);
    for c in [P1, P2, P3, P4, P5] {
        p = S::fma(p, r, S::splat(c));
    }
    let p = S::add(S::fma(p, S::mul(r, r), r), S::splat(1.0));
    S::scale2(p, n)
}

/// See [`crate::VecKernels::softmax`].
#[inline(always)]
pub(crate) unsafe fn softmax<S: Simd>(
    scores: &mut [f32],
    slots: Range<usize>,
    maxima: &mut [f32],
    sums: &mut [f32],
    acc: &mut [f32],
) {
    let dim = check_softmax(scores, &slots, maxima, sums, acc);
    let states = maxima.iter_mut().zip(sums).enumerate();
    for ((i, (max, sum)), scores) in states.zip(scores.as_chunks_mut::<SLOTS>().0) {
        scores[..slots.start].fill(f32::NEG_INFINITY);
        scores[slots.end..].fill(f32::NEG_INFINITY);
        let p = scores.as_mut_ptr();
        let mut largest = S::splat(f32::NEG_INFINITY);
        for at in (0..SLOTS).step_by(S::L) {
            // Where the first operand is NaN, the second one stays.
            largest = S::at_least(S::load(p.add(at)), largest);
        }
        let new = reduce_max::<S>(largest);
        if new > *max {
            let mut lanes = [0.0; MAX_L];
            S::store(lanes.as_mut_ptr(), exp::<S>(S::splat(*max - new)));
            *sum *= lanes[0];
            scale::<S>(lanes[0], &mut acc[i * dim..][..dim]);
            *max = new;
        }
        let (mut total, max) = (S::splat(0.0), S::splat(*max));
        for at in (0..SLOTS).step_by(S::L) {
            let weight = exp::<S>(S::sub(S::load(p.add(at)), max));
            S::store(p.add(at), weight);
            total = S::add(total, weight);
        }
        *sum += S::sum(total);
    }
}

/// `x * sigmoid(z)`.
#[inline(always)]
unsafe fn gated<S: Simd>(x: S::F, z: S::F) -> S::F {
    S::div(x, S::add(S::splat(1.0), exp::<S>(S::sub(S::splat(0.0), z))))
}

/// See [`crate::VecKernels::silu_mul`].
#[inline(always)]
pub(crate) unsafe fn silu_mul<S: Simd>(gate: &[f32], up: &[f32], y: &mut [f32]) {
    assert!(gate.len() == y.len() && up.len() == y.len());
    let (gate, up, y) = (gate.as_ptr(), up.as_ptr(), (y.as_mut_ptr(), y.len()));
    spans!(S, y.1, i, m, {
        let g = get::<S>(gate.add(i), m, 0.0);
        put::<S>(y.0.add(i), m, S::mul(gated::<S>(g, g), get::<S>(up.add(i), m, 0.0)));
    });
}

/// See [`crate::VecKernels::gelu_mul`].
#[inline(always)]
pub(crate) unsafe fn gelu_mul<S: Simd>(gate: &[f32], up: &[f32], y: &mut [f32]) {
    assert!(gate.len() == y.len() && up.len() == y.len());
    let (gate, up, y) = (gate.as_ptr(), up.as_ptr(), (y.as_mut_ptr(), y.len()));
    spans!(S, y.1, i, m, {
        let g = get::<S>(gate.add(i), m, 0.0);
        let z = S::mul(g, S::fma(S::splat(GELU_3), S::mul(g, g), S::splat(GELU_1)));
        put::<S>(y.0.add(i), m, S::mul(gated::<S>(g, z), get::<S>(up.add(i), m, 0.0)));
    });
}

/// See [`crate::VecKernels::sum_squares`]. The portable one, vectorised by the compiler.
#[inline(always)]
pub(crate) unsafe fn sum_squares<S: Simd>(x: &[f32]) -> f32 {
    super::portable::sum_squares(x)
}

/// See [`crate::VecKernels::quantise_q8x32`].
#[inline(always)]
pub(crate) unsafe fn quantise_q8x32<S: Simd>(x: &[f32], q: &mut [i8], scales: &mut [f32], sums: &mut [i16]) {
    quantise::<S, 32>(x, q, scales, sums);
}

/// See [`crate::VecKernels::quantise_q8x256`].
#[inline(always)]
pub(crate) unsafe fn quantise_q8x256<S: Simd>(x: &[f32], q: &mut [i8], scales: &mut [f32], sums: &mut [i16]) {
    quantise::<S, 256>(x, q, scales, sums);
}

/// Blocks of `BLOCK` elements, as in `portable::vec`.
#[inline(always)]
unsafe fn quantise<S: Simd, const BLOCK: usize>(
    x: &[f32],
    q: &mut [i8],
    scales: &mut [f32],
    sums: &mut [i16],
) {
    check_quantise(BLOCK, x, q, scales, sums);
    let magnitude = S::splat_i(0x7fff_ffff);
    for (b, scale) in scales.iter_mut().enumerate() {
        let (x, q) = (x.as_ptr().add(b * BLOCK), q.as_mut_ptr().add(b * BLOCK));
        let mut max = S::splat_i(0);
        for i in (0..BLOCK).step_by(S::L) {
            max = S::max_i(max, S::and(S::bits(S::load(x.add(i))), magnitude));
        }
        let largest = f32::from_bits(S::reduce_max_i(max) as u32);
        let empty = largest <= TINY;
        *scale = if empty { 0.0 } else { largest / 127.0 };
        let inverse = S::splat(if empty { 0.0 } else { 127.0 / largest });
        for i in (0..BLOCK).step_by(S::L) {
            S::store_i8(q.add(i), S::to_i(S::mul(S::load(x.add(i)), inverse)));
        }
    }
    for (sum, q) in sums.iter_mut().zip(q.as_chunks::<16>().0) {
        *sum = q.iter().map(|q| i16::from(*q)).sum();
    }
}
