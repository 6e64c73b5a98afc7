//! The dispatch table: which kernel runs for which weight type on this CPU. Chosen once, printable, overridable.

use crate::act::{ActFormat, ActView};
use chord_quant::DType;

/// A matrix kernel: dot products of some rows of a weight matrix with some rows of activations.
#[derive(Clone, Copy)]
pub struct MatKernel {
    /// Weight type.
    pub dtype: DType,
    /// Instruction set: `avx512-vnni`, `portable`.
    pub isa: &'static str,
    /// What it reads.
    pub act: ActFormat,
    /// `out[t * rows + r] = W[r] · x[tokens.start + t]` for `r in 0..rows`, `t in 0..tokens.len()`.
    /// `weights` holds exactly `rows` whole rows of `acts.cols` elements; `out.len() == tokens.len() * rows`.
    pub mul: fn(weights: &[u8], rows: usize, acts: &ActView<'_>, tokens: core::ops::Range<usize>, out: &mut [f32]),
}

/// Kernels on vectors. f16 is given as its bits.
#[derive(Clone, Copy)]
pub struct VecKernels {
    /// Instruction set.
    pub isa: &'static str,
    /// `Σ a[i] * b[i]`.
    pub dot_f32: fn(a: &[f32], b: &[f32]) -> f32,
    /// `Σ a[i] * f16(b[i])`.
    pub dot_f16: fn(a: &[f32], b: &[u16]) -> f32,
    /// `y[i] += s * f16(x[i])`.
    pub axpy_f16: fn(s: f32, x: &[u16], y: &mut [f32]),
    /// `y[i] *= s`.
    pub scale: fn(s: f32, y: &mut [f32]),
    /// `y[i] = f16(x[i])`, round to nearest even.
    pub to_f16: fn(x: &[f32], y: &mut [u16]),
    /// `x[i] = exp(x[i] - max)`; returns the sum.
    pub exp_sum: fn(x: &mut [f32], max: f32) -> f32,
    /// `Σ x[i]²`, accumulated so that the relative error stays below 1e-6 for 16k elements.
    pub sum_squares: fn(x: &[f32]) -> f32,
    /// `y[i] = silu(gate[i]) * up[i]`.
    pub silu_mul: fn(gate: &[f32], up: &[f32], y: &mut [f32]),
    /// `y[i] = gelu_tanh(gate[i]) * up[i]`.
    pub gelu_mul: fn(gate: &[f32], up: &[f32], y: &mut [f32]),
    /// Quantises one row to [`ActFormat::Q8x32`]: planes of `x.len()`, `/32`, `/16` elements.
    pub quantise_q8x32: fn(x: &[f32], q: &mut [i8], scales: &mut [f32], sums: &mut [i16]),
    /// Quantises one row to [`ActFormat::Q8x256`]: planes of `x.len()`, `/256`, `/16` elements.
    pub quantise_q8x256: fn(x: &[f32], q: &mut [i8], scales: &mut [f32], sums: &mut [i16]),
}

/// The kernels of this CPU: one line per weight type.
#[derive(Clone)]
pub struct Kernels {
    /// Matrix kernels, one per readable weight type.
    pub mats: alloc::vec::Vec<MatKernel>,
    /// Vector kernels.
    pub vecs: VecKernels,
}
