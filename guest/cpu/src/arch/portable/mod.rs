//! Safe Rust that any target runs and compilers vectorise. The reference for everything faster.

mod attention;
mod blocks;
mod mat;
mod vec;

use super::Isa;
use crate::act::ActFormat;
use crate::kernels::{MatKernel, MulFn};
use blocks::{IQ4_NL, IQ4_XS, MXFP4, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
use chord_quant::DType;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
pub(crate) use mat::check;
use mat::{dequantised, mul, mul_bf16, mul_f16, mul_f32};
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
pub(crate) use vec::{bf16_to_f32, f16_to_f32, sum_squares};

const NAME: &str = "portable";

const fn kernel(dtype: DType, act: ActFormat, mul: MulFn) -> MatKernel {
    MatKernel { dtype, isa: NAME, act, rows: 1, mul }
}

/// The portable table.
pub(crate) const ISA: Isa = Isa {
    name: NAME,
    usable: || true,
    mats: &[
        kernel(DType::F32, ActFormat::F32, mul_f32),
        kernel(DType::F16, ActFormat::F32, mul_f16),
        kernel(DType::BF16, ActFormat::F32, mul_bf16),
        kernel(DType::Q8_0, ActFormat::Q8x32, mul::<Q8_0>),
        kernel(DType::Q4_0, ActFormat::Q8x32, mul::<Q4_0>),
        kernel(DType::Q5_0, ActFormat::Q8x32, mul::<Q5_0>),
        kernel(DType::Q4_1, ActFormat::Q8x32, mul::<Q4_1>),
        kernel(DType::Q5_1, ActFormat::Q8x32, mul::<Q5_1>),
        kernel(DType::IQ4_NL, ActFormat::Q8x32, mul::<IQ4_NL>),
        kernel(DType::MXFP4, ActFormat::Q8x32, mul::<MXFP4>),
        kernel(DType::Q2_K, ActFormat::Q8x256, mul::<Q2_K>),
        kernel(DType::Q3_K, ActFormat::Q8x256, mul::<Q3_K>),
        kernel(DType::IQ4_XS, ActFormat::Q8x256, mul::<IQ4_XS>),
        kernel(DType::Q4_K, ActFormat::Q8x256, mul::<Q4_K>),
        kernel(DType::Q5_K, ActFormat::Q8x256, mul::<Q5_K>),
        kernel(DType::Q6_K, ActFormat::Q8x256, mul::<Q6_K>),
    ],
    fallbacks: super::fallbacks!(NAME, 1, dequantised),
    vecs: vec::KERNELS,
};
