//! x86-64.

mod across;
mod amx;
mod avx2;
mod avx512;
mod ceiling;

use super::Isa;
pub(crate) use ceiling::PROBES;

fn has_avx512() -> bool {
    super::cpu_has!("avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vnni", "avx2", "fma", "f16c")
}

/// AVX-512 with VNNI and AMX.
pub(crate) const AMX: Isa = amx::ISA;

/// AVX-512 with VNNI.
pub(crate) const AVX512: Isa = avx512::isa(has_avx512);

/// AVX2 with FMA and F16C.
pub(crate) const AVX2: Isa = avx2::isa(|| super::cpu_has!("avx2", "fma", "f16c"));
