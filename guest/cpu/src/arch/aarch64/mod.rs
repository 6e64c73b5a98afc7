//! AArch64, little-endian.

mod ceiling;
mod dotprod;
mod neon;
mod pairs;

use super::Isa;
pub(crate) use ceiling::PROBES;

/// NEON with dot products.
pub(crate) const NEON_DOTPROD: Isa =
    dotprod::isa(|| cfg!(target_endian = "little") && super::cpu_has!("neon", "dotprod"));

/// NEON.
pub(crate) const NEON: Isa = neon::isa(|| cfg!(target_endian = "little") && super::cpu_has!("neon"));
