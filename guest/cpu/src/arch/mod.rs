//! Kernels per instruction set: one folder each, one line each in [`ISAS`].
//!
//! `portable/` is safe Rust and the reference. The others share their algorithms (`panel`, `float`, `vector`), which
//! are generic over [`simd::Simd`], a thin layer over an instruction set's registers. Every intrinsic is below here;
//! the other places with `unsafe` are views of scratch memory (see `ARCHITECTURE.md`).

use crate::kernels::{MatKernel, VecKernels};

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod attention;
mod ceiling;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod direct;
mod exp;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod float;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod panel;
mod portable;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod shells;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod simd;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod unpack;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use ceiling::{Probe, probes, read};

/// An instruction set and what was written for it.
pub(crate) struct Isa {
    /// Name in tables and overrides.
    pub name: &'static str,
    /// Whether this CPU runs it.
    pub usable: fn() -> bool,
    /// Kernels that read a weight type as it is stored.
    pub mats: &'static [MatKernel],
    /// For every weight type: dequantise, then f32. Usable where `chord_quant` knows the format.
    pub fallbacks: &'static [MatKernel],
    /// Kernels on vectors.
    pub vecs: VecKernels,
}

/// Safe Rust.
pub(crate) static PORTABLE: Isa = portable::ISA;

/// Every instruction set of this build, the fastest first.
pub(crate) static ISAS: &[&Isa] = &[
    #[cfg(target_arch = "x86_64")]
    &x86_64::AMX,
    #[cfg(target_arch = "x86_64")]
    &x86_64::AVX512,
    #[cfg(target_arch = "x86_64")]
    &x86_64::AVX2,
    #[cfg(target_arch = "aarch64")]
    &aarch64::NEON_DOTPROD,
    #[cfg(target_arch = "aarch64")]
    &aarch64::NEON,
    &PORTABLE,
];

/// Whether the CPU has all these features: asked at run time with feature `std`, else what the build may assume.
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
macro_rules! cpu_has {
    ($($feature:tt),*) => {{
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        let all = $(std::arch::is_x86_feature_detected!($feature))&&*;
        #[cfg(all(feature = "std", target_arch = "aarch64"))]
        let all = $(std::arch::is_aarch64_feature_detected!($feature))&&*;
        #[cfg(not(feature = "std"))]
        let all = $(cfg!(target_feature = $feature))&&*;
        all
    }};
}
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
use cpu_has;

/// Activation blocks whose largest magnitude is at most this are quantised to zeros: the inverse of a smaller scale
/// would overflow.
pub(crate) const TINY: f32 = 1e-35;

/// Panics unless the planes of one quantised row have the sizes that belong to `x`.
#[inline]
pub(crate) fn check_quantise(block: usize, x: &[f32], q: &[i8], scales: &[f32], sums: &[i16]) {
    assert_eq!(x.len() % block, 0, "elements in whole blocks of {block}");
    assert_eq!(q.len(), x.len(), "quantised elements");
    assert_eq!(scales.len(), x.len() / block, "scales");
    assert_eq!(sums.len(), x.len() / 16, "sums");
}

/// A table of fallbacks: `fallbacks!(isa, rows, path::to::kernel)`, a kernel that is generic over the type's number.
macro_rules! fallbacks {
    ($isa:expr, $rows:expr, $kernel:ident $(, $param:ty)?) => {
        $crate::arch::fallbacks!(@ $isa, $rows, $kernel, ($($param)?),
            F32 F16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q8_1 Q2_K Q3_K Q4_K Q5_K Q6_K Q8_K IQ2_XXS IQ2_XS IQ3_XXS IQ1_S IQ4_NL
            IQ3_S IQ2_S IQ4_XS I8 I16 I32 I64 F64 IQ1_M BF16 TQ1_0 TQ2_0 MXFP4)
    };
    (@ $isa:expr, $rows:expr, $kernel:ident, $params:tt, $($dtype:ident)*) => {
        &[$($crate::arch::fallbacks!(! $isa, $rows, $kernel, $params, $dtype)),*]
    };
    (! $isa:expr, $rows:expr, $kernel:ident, ($($param:ty)?), $dtype:ident) => {
        $crate::kernels::MatKernel {
            dtype: chord_quant::DType::$dtype,
            isa: $isa,
            act: $crate::act::ActFormat::F32,
            rows: $rows,
            mul: $kernel::<$($param,)? { chord_quant::DType::$dtype as u32 }>,
        }
    };
}
pub(crate) use fallbacks;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
use shells::shells;
