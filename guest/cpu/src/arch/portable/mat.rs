//! Rows of weights times rows of activations.

use super::blocks::{Block, Decoded};
use super::vec::{bf16_to_f32, f16_to_f32};
use crate::act::{ActFormat, ActView};
use crate::kernels::Part;
use chord_quant::DType;
use core::ops::Range;

/// Tokens whose sums are kept at hand while a row is decoded.
const TILE: usize = 32;

/// Panics unless the slices hold what the kernel's contract says.
pub(crate) fn check(
    dtype: DType,
    weights: Part<'_>,
    acts: &ActView<'_>,
    act: ActFormat,
    tokens: &Range<usize>,
    out: &[f32],
) {
    acts.check(act, tokens);
    let (len, bytes) = (dtype.block_len(), dtype.block_bytes());
    assert_eq!(acts.cols % len, 0, "{dtype}: columns in whole blocks");
    assert_eq!(
        Some(weights.bytes.len()),
        (acts.cols / len * bytes).checked_mul(weights.rows),
        "{dtype}: bytes of {} rows",
        weights.rows
    );
    assert_eq!(Some(out.len()), tokens.len().checked_mul(weights.rows), "{dtype}: output elements");
}

/// A kernel on integer blocks.
pub(super) fn mul<B: Block>(
    weights: Part<'_>,
    _next: Part<'_>,
    acts: &ActView<'_>,
    tokens: Range<usize>,
    out: &mut [f32],
) {
    check(B::DTYPE, weights, acts, B::ACT, &tokens, out);
    if acts.cols == 0 {
        return out.fill(0.0);
    }
    let mut block = Decoded::new();
    for (r, row) in weights.bytes.chunks_exact(acts.cols / B::LEN * B::BYTES).enumerate() {
        for first in tokens.clone().step_by(TILE) {
            let n = TILE.min(tokens.end - first);
            let mut sums = [0.0; TILE];
            for (b, bytes) in row.chunks_exact(B::BYTES).enumerate() {
                B::decode(bytes, &mut block);
                for (t, sum) in sums[..n].iter_mut().enumerate() {
                    *sum += block_dot::<B>(&block, acts, first + t, b);
                }
            }
            for (t, sum) in sums[..n].iter().enumerate() {
                out[(first - tokens.start + t) * weights.rows + r] = *sum;
            }
        }
    }
}

/// Block `b` of a row of weights times the same columns of a token.
#[inline]
fn block_dot<B: Block>(block: &Decoded, acts: &ActView<'_>, token: usize, b: usize) -> f32 {
    let at = token * acts.cols + b * B::LEN;
    let x = &acts.q[token * acts.q_stride + b * B::LEN..][..B::LEN];
    let mut sum = 0.0;
    for (j, (w, x)) in block.q[..B::LEN].chunks_exact(B::SUB).zip(x.chunks_exact(B::SUB)).enumerate() {
        let dot: i32 = w.iter().zip(x).map(|(w, x)| i32::from(*w) * i32::from(*x)).sum();
        sum += block.scales[j] * dot as f32;
    }
    if B::MIN {
        let per = B::SUB / 16;
        for (m, s) in block.mins.iter().zip(acts.sums[at / 16..][..B::LEN / 16].chunks_exact(per)) {
            sum -= m * s.iter().map(|s| i32::from(*s)).sum::<i32>() as f32;
        }
    }
    sum * acts.scales[at / B::LEN]
}

/// f32 weights.
pub(super) fn mul_f32(
    weights: Part<'_>,
    _next: Part<'_>,
    acts: &ActView<'_>,
    tokens: Range<usize>,
    out: &mut [f32],
) {
    check(DType::F32, weights, acts, ActFormat::F32, &tokens, out);
    floats::<4>(weights, acts, tokens, out, |b, x| {
        for (x, b) in x.iter_mut().zip(b.as_chunks::<4>().0) {
            *x = f32::from_le_bytes(*b);
        }
    });
}

/// f16 weights.
pub(super) fn mul_f16(
    weights: Part<'_>,
    _next: Part<'_>,
    acts: &ActView<'_>,
    tokens: Range<usize>,
    out: &mut [f32],
) {
    check(DType::F16, weights, acts, ActFormat::F32, &tokens, out);
    floats::<2>(weights, acts, tokens, out, |b, x| {
        for (x, b) in x.iter_mut().zip(b.as_chunks::<2>().0) {
            *x = f16_to_f32(u16::from_le_bytes(*b));
        }
    });
}

/// bf16 weights.
pub(super) fn mul_bf16(
    weights: Part<'_>,
    _next: Part<'_>,
    acts: &ActView<'_>,
    tokens: Range<usize>,
    out: &mut [f32],
) {
    check(DType::BF16, weights, acts, ActFormat::F32, &tokens, out);
    floats::<2>(weights, acts, tokens, out, |b, x| {
        for (x, b) in x.iter_mut().zip(b.as_chunks::<2>().0) {
            *x = bf16_to_f32(u16::from_le_bytes(*b));
        }
    });
}

/// Elements that are decoded and summed together; a multiple of every block length.
const CHUNK: usize = 1024;

/// Weights of `BYTES` bytes per element that `decode` turns into f32.
fn floats<const BYTES: usize>(
    weights: Part<'_>,
    acts: &ActView<'_>,
    tokens: Range<usize>,
    out: &mut [f32],
    decode: impl Fn(&[u8], &mut [f32]),
) {
    decoded(weights, acts, tokens, out, (1, BYTES), decode);
}

/// The kernel of last resort: dequantises with the format's own reference, then f32.
pub(super) fn dequantised<const ID: u32>(
    weights: Part<'_>,
    _next: Part<'_>,
    acts: &ActView<'_>,
    tokens: Range<usize>,
    out: &mut [f32],
) {
    let dtype = DType::from_ggml_id(ID).expect("the table lists known types");
    check(dtype, weights, acts, ActFormat::F32, &tokens, out);
    let format = chord_quant::format(dtype).expect("the table lists types that can be decoded");
    decoded(weights, acts, tokens, out, (dtype.block_len(), dtype.block_bytes()), format.dequantise);
}

/// Chunks of a row, decoded to f32, times all tokens. `block`: elements and bytes.
fn decoded(
    weights: Part<'_>,
    acts: &ActView<'_>,
    tokens: Range<usize>,
    out: &mut [f32],
    block: (usize, usize),
    decode: impl Fn(&[u8], &mut [f32]),
) {
    out.fill(0.0);
    let mut buffer = [0.0; CHUNK];
    let Part { bytes, rows } = weights;
    for r in 0..rows {
        let row = &bytes[r * (acts.cols / block.0 * block.1)..];
        for from in (0..acts.cols).step_by(CHUNK) {
            let n = CHUNK.min(acts.cols - from);
            let w = &mut buffer[..n];
            decode(&row[from / block.0 * block.1..][..n / block.0 * block.1], w);
            for t in 0..tokens.len() {
                let x = &acts.f32[(tokens.start + t) * acts.cols + from..][..n];
                out[t * rows + r] += super::vec::dot_f32(w, x);
            }
        }
    }
}
