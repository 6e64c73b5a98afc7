//! Vectors. Sums run over [`LANES`] accumulators, so that compilers vectorise them without reordering anything.

use super::attention;
use crate::arch::exp::*;
use crate::arch::{TINY, check_quantise};
use crate::kernels::{SLOTS, VecKernels, check_softmax};
use core::ops::Range;

const LANES: usize = 16;

/// The portable table.
pub(crate) const KERNELS: VecKernels = VecKernels {
    isa: super::NAME,
    scores_f16: attention::scores_f16,
    scores_f32: attention::scores_f32,
    weigh_f16: attention::weigh_f16,
    weigh_f32: attention::weigh_f32,
    softmax,
    scale,
    to_f16,
    sum_squares,
    silu_mul,
    gelu_mul,
    quantise_q8x32: |x, q, scales, sums| quantise(32, x, q, scales, sums),
    quantise_q8x256: |x, q, scales, sums| quantise(256, x, q, scales, sums),
};

/// Exact. Branchless: the exponent is moved by a multiplication, which also normalises subnormals.
#[inline]
pub(crate) fn f16_to_f32(bits: u16) -> f32 {
    let (sign, rest) = (u32::from(bits & 0x8000) << 16, u32::from(bits & 0x7fff) << 13);
    let shifted = (f32::from_bits(rest) * f32::from_bits((127 + 112) << 23)).to_bits();
    let special = if rest >= 0x7c00 << 13 { 0x7f80_0000 } else { 0 };
    f32::from_bits(sign | shifted | special)
}

/// Exact.
#[inline]
pub(crate) fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// Nearest integer, ties to even, for |x| < 2²².
#[inline]
fn round(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    (x + MAGIC) - MAGIC
}

/// `Σ a[i] * b[i]`.
pub(crate) fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            sums[i] += a[i] * b[i];
        }
    }
    lanes(sums) + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// The sum of the lanes, as a tree.
fn lanes(mut sums: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
        half /= 2;
    }
    sums[0]
}

fn scale(s: f32, y: &mut [f32]) {
    for y in y {
        *y *= s;
    }
}

fn to_f16(x: &[f32], y: &mut [u16]) {
    assert_eq!(x.len(), y.len());
    for (y, x) in y.iter_mut().zip(x) {
        *y = half::f16::from_f32(*x).to_bits();
    }
}

/// `exp(x)` within 2 ulp: a polynomial on ±ln(2)/2 times a power of two, applied in two steps so that it neither
/// overflows early nor loses subnormal results.
#[inline]
pub(crate) fn exp(x: f32) -> f32 {
    let x = if x > MAX { MAX } else { x };
    let x = if x < MIN { MIN } else { x };
    let n = round(x * LOG2_E);
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let p = ((((P0 * r + P1) * r + P2) * r + P3) * r + P4) * r + P5;
    let p = (p * (r * r) + r) + 1.0;
    let n = n as i32;
    let power = |n: i32| f32::from_bits(((n + 127) as u32) << 23);
    p * power(n >> 1) * power(n - (n >> 1))
}

fn softmax(scores: &mut [f32], slots: Range<usize>, maxima: &mut [f32], sums: &mut [f32], acc: &mut [f32]) {
    let dim = check_softmax(scores, &slots, maxima, sums, acc);
    let states = maxima.iter_mut().zip(sums).enumerate();
    for ((i, (max, sum)), scores) in states.zip(scores.as_chunks_mut::<SLOTS>().0) {
        scores[..slots.start].fill(f32::NEG_INFINITY);
        scores[slots.end..].fill(f32::NEG_INFINITY);
        let new = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if new > *max {
            let shrink = exp(*max - new);
            *sum *= shrink;
            scale(shrink, &mut acc[i * dim..][..dim]);
            *max = new;
        }
        let mut totals = [0.0; LANES];
        for chunk in scores.as_chunks_mut::<LANES>().0 {
            for i in 0..LANES {
                chunk[i] = exp(chunk[i] - *max);
                totals[i] += chunk[i];
            }
        }
        *sum += lanes(totals);
    }
}

/// Products are exact in f64.
#[inline(always)]
pub(crate) fn sum_squares(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<8>();
    let mut sums = [0.0f64; 8];
    for chunk in chunks {
        for i in 0..8 {
            sums[i] += f64::from(chunk[i]) * f64::from(chunk[i]);
        }
    }
    let rest: f64 = rest.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    (sums.iter().sum::<f64>() + rest) as f32
}

/// `x * sigmoid(z)`; 0 where the sigmoid is, whatever `x`.
#[inline]
fn gated(x: f32, z: f32) -> f32 {
    x / (1.0 + exp(-z))
}

fn silu_mul(gate: &[f32], up: &[f32], y: &mut [f32]) {
    assert!(gate.len() == y.len() && up.len() == y.len());
    for ((y, g), u) in y.iter_mut().zip(gate).zip(up) {
        *y = gated(*g, *g) * u;
    }
}

fn gelu_mul(gate: &[f32], up: &[f32], y: &mut [f32]) {
    assert!(gate.len() == y.len() && up.len() == y.len());
    for ((y, g), u) in y.iter_mut().zip(gate).zip(up) {
        *y = gated(*g, *g * (GELU_1 + GELU_3 * (*g * *g))) * u;
    }
}

/// Blocks of `block` elements: scale = largest magnitude / 127. A NaN makes its block's scale NaN.
fn quantise(block: usize, x: &[f32], q: &mut [i8], scales: &mut [f32], sums: &mut [i16]) {
    check_quantise(block, x, q, scales, sums);
    for ((x, q), scale) in x.chunks_exact(block).zip(q.chunks_exact_mut(block)).zip(scales) {
        // As integers: the order of magnitudes, with NaN above all.
        let largest = f32::from_bits(x.iter().fold(0, |m, x| m.max(x.to_bits() & 0x7fff_ffff)));
        let empty = largest <= TINY;
        *scale = if empty { 0.0 } else { largest / 127.0 };
        let inverse = if empty { 0.0 } else { 127.0 / largest };
        for (q, x) in q.iter_mut().zip(x) {
            *q = round(x * inverse) as i8;
        }
    }
    for (sum, q) in sums.iter_mut().zip(q.as_chunks::<16>().0) {
        *sum = q.iter().map(|q| i16::from(*q)).sum();
    }
}
