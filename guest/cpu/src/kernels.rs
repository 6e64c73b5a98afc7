//! The dispatch table: which kernel runs for which weight type on this CPU. Chosen once, printable, overridable.
//!
//! A token's result depends on its own activations and the weights only: not on the other tokens of the call, nor on
//! how rows or tokens are split over calls. Batching and threading therefore never change what is generated.

use crate::act::{ActFormat, ActView};
use crate::arch;
use alloc::vec::Vec;
use chord_ops::CACHE_PAGE;
use chord_quant::DType;
use core::ops::Range;

/// Tokens of a page of the KV cache.
pub const SLOTS: usize = CACHE_PAGE as usize;
/// Most queries that one call of an attention kernel takes.
pub const QUERIES: usize = 8;

/// Queries and elements of a query. Panics unless the slices have the sizes that [`VecKernels::scores_f16`] wants.
pub(crate) fn check_scores<E>(q: &[f32], keys: &[E], scores: &[f32]) -> (usize, usize) {
    let (n, dim) = (scores.len() / SLOTS, keys.len() / SLOTS);
    assert!(n <= QUERIES && scores.len() == n * SLOTS, "{} scores of a page", scores.len());
    assert!(keys.len() == dim * SLOTS && q.len() == n * dim, "{n} queries of {dim} elements");
    (n, dim)
}

/// Queries and elements of a value. Panics unless the slices have the sizes that [`VecKernels::weigh_f16`] wants.
pub(crate) fn check_weigh<E>(
    weights: &[f32],
    values: &[E],
    slots: &Range<usize>,
    acc: &[f32],
) -> (usize, usize) {
    let (n, dim) = (weights.len() / SLOTS, values.len() / SLOTS);
    assert!(n <= QUERIES && weights.len() == n * SLOTS, "{} weights of a page", weights.len());
    assert!(values.len() == dim * SLOTS && acc.len() == n * dim, "{n} sums of {dim} elements");
    assert!(slots.start <= slots.end && slots.end <= SLOTS, "slots {slots:?} of a page");
    (n, dim)
}

/// Panics unless the slices have the sizes that [`VecKernels::softmax`] wants. Returns the elements of a sum.
pub(crate) fn check_softmax(
    scores: &[f32],
    slots: &Range<usize>,
    maxima: &[f32],
    sums: &[f32],
    acc: &[f32],
) -> usize {
    let n = scores.len() / SLOTS;
    assert!(n <= QUERIES && scores.len() == n * SLOTS, "{} scores of a page", scores.len());
    assert!(maxima.len() == n && sums.len() == n && acc.len().is_multiple_of(n.max(1)), "{n} queries");
    assert!(slots.start <= slots.end && slots.end <= SLOTS, "slots {slots:?} of a page");
    acc.len() / n.max(1)
}

/// [`MatKernel::mul`].
pub type MulFn =
    fn(weights: Part<'_>, next: Part<'_>, acts: &ActView<'_>, tokens: Range<usize>, out: &mut [f32]);

/// [`VecKernels::quantise_q8x32`] and its like.
pub type QuantiseFn = fn(x: &[f32], q: &mut [i8], scales: &mut [f32], sums: &mut [i16]);

/// [`VecKernels::scores_f16`] and its like.
pub type ScoresFn<E> = fn(q: &[f32], keys: &[E], next: &[E], scores: &mut [f32]);

/// [`VecKernels::weigh_f16`] and its like.
pub type WeighFn<E> = fn(weights: &[f32], values: &[E], next: &[E], slots: Range<usize>, acc: &mut [f32]);

/// [`VecKernels::softmax`].
pub type SoftmaxFn =
    fn(scores: &mut [f32], slots: Range<usize>, maxima: &mut [f32], sums: &mut [f32], acc: &mut [f32]);

/// Some consecutive rows of a matrix.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part<'a> {
    /// The rows, whole and nothing else.
    pub bytes: &'a [u8],
    /// Their number.
    pub rows: usize,
}

/// A matrix kernel: dot products of some rows of a weight matrix with some rows of activations.
#[derive(Clone, Copy)]
pub struct MatKernel {
    /// Weight type.
    pub dtype: DType,
    /// Instruction set: `avx512-vnni`, `portable`.
    pub isa: &'static str,
    /// What it reads.
    pub act: ActFormat,
    /// Rows that are computed together: splits of a matrix at multiples of it are the fastest.
    pub rows: usize,
    /// `out[t * rows + r] = W[r] · x[tokens.start + t]` for `r in 0..rows`, `t in 0..tokens.len()`.
    /// `weights` are `rows` rows of `acts.cols` elements; `out.len() == tokens.len() * rows`. Where tokens are few, `next` is
    /// what the thread multiplies next, of any matrix, if that is known: its beginning is prefetched.
    pub mul: MulFn,
}

/// Kernels on vectors. f16 is given as its bits.
#[derive(Clone, Copy)]
pub struct VecKernels {
    /// Instruction set.
    pub isa: &'static str,
    /// `scores[i][t] = Σ q[i][d] * keys[d][t]`: up to [`QUERIES`] queries `(n, k_dim)`, the keys of a page of the cache
    /// `(k_dim, SLOTS)`, results `(n, SLOTS)`. `next` are the keys and, after them, the values that are wanted next, if
    /// that is known: a part of them is prefetched.
    pub scores_f16: ScoresFn<u16>,
    /// The same for keys in f32.
    pub scores_f32: ScoresFn<f32>,
    /// `acc[i][d] += Σ weights[i][t] * values[t][d]` over the given slots: up to [`QUERIES`] rows of weights
    /// `(n, SLOTS)`, the values of a page `(SLOTS, v_dim)`, results `(n, v_dim)`. Other slots are not read. `next` as above:
    /// the rest is prefetched.
    pub weigh_f16: WeighFn<u16>,
    /// The same for values in f32.
    pub weigh_f32: WeighFn<f32>,
    /// One page of an online softmax: up to [`QUERIES`] rows of scores `(n, SLOTS)`, each with the largest score, the sum
    /// of weights and the weighted sum of values `(n, v_dim)` of the pages before. Where a given slot has a larger score, all
    /// three are brought up to it; then scores become weights, `exp(score - maximum)` within 2 ulp (`-inf` gives 0), and
    /// their sum is added. NaN is never the largest. Other slots are not read and weigh 0.
    pub softmax: SoftmaxFn,
    /// `y[i] *= s`.
    pub scale: fn(s: f32, y: &mut [f32]),
    /// `y[i] = f16(x[i])`, round to nearest even.
    pub to_f16: fn(x: &[f32], y: &mut [u16]),
    /// `Σ x[i]²`, accumulated so that the relative error stays below 1e-6 for 16k elements.
    pub sum_squares: fn(x: &[f32]) -> f32,
    /// `y[i] = silu(gate[i]) * up[i]`, silu within 4 ulp.
    pub silu_mul: fn(gate: &[f32], up: &[f32], y: &mut [f32]),
    /// `y[i] = gelu_tanh(gate[i]) * up[i]`, gelu within 4 ulp of `gate[i]`.
    pub gelu_mul: fn(gate: &[f32], up: &[f32], y: &mut [f32]),
    /// Quantises one row to [`ActFormat::Q8x32`]: planes of `x.len()`, `/32`, `/16` elements.
    pub quantise_q8x32: QuantiseFn,
    /// Quantises one row to [`ActFormat::Q8x256`]: planes of `x.len()`, `/256`, `/16` elements.
    pub quantise_q8x256: QuantiseFn,
}

/// The kernels of this CPU: one line per weight type.
#[derive(Clone)]
pub struct Kernels {
    /// Matrix kernels, one per readable weight type.
    pub mats: Vec<MatKernel>,
    /// Vector kernels.
    pub vecs: VecKernels,
}

impl Kernels {
    /// The fastest kernels that this CPU can run: found at run time with feature `std`, else at compile time.
    pub fn detect() -> Kernels {
        let best = arch::ISAS.iter().find(|isa| (isa.usable)()).expect("the portable kernels run anywhere");
        Kernels::of(best)
    }

    /// The kernels that run anywhere.
    pub fn portable() -> Kernels {
        Kernels::of(&arch::PORTABLE)
    }

    /// The kernels of one instruction set (`avx2`). `None` if it is unknown or this CPU lacks it.
    pub fn with_isa(name: &str) -> Option<Kernels> {
        arch::ISAS.iter().find(|isa| isa.name == name && (isa.usable)()).map(|isa| Kernels::of(isa))
    }

    /// Names for [`Kernels::with_isa`] that this CPU can run, the fastest first.
    pub fn isas() -> impl Iterator<Item = &'static str> {
        arch::ISAS.iter().filter(|isa| (isa.usable)()).map(|isa| isa.name)
    }

    /// The kernel for a weight type. `None`: the type cannot be computed with.
    pub fn mat(&self, dtype: DType) -> Option<&MatKernel> {
        self.mats.iter().find(|k| k.dtype == dtype)
    }

    fn of(isa: &arch::Isa) -> Kernels {
        let mut mats: Vec<MatKernel> = isa.mats.to_vec();
        let dequantised = isa.fallbacks.iter().filter(|k| chord_quant::format(k.dtype).is_some());
        for k in dequantised {
            if !mats.iter().any(|m| m.dtype == k.dtype) {
                mats.push(*k);
            }
        }
        mats.sort_by_key(|k| k.dtype);
        Kernels { mats, vecs: isa.vecs }
    }
}

impl core::fmt::Display for Kernels {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        writeln!(f, "{:<8} {:<12} activations", "weights", "isa")?;
        for k in &self.mats {
            writeln!(f, "{:<8} {:<12} {}", k.dtype, k.isa, k.act)?;
        }
        writeln!(f, "{:<8} {:<12} f32, f16", "vectors", self.vecs.isa)
    }
}

impl core::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}
