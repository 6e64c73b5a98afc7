//! Random plans, mutations of them, and scripts of steps: what the tests of every device have in common.
//!
//! Deterministic: everything follows from a seed.

mod compare;
mod mutate;
mod plans;
mod play;

pub use crate::rng::Rng;
pub use compare::compare;
pub use mutate::mutate;
pub use plans::random_plan;
pub use play::play;

use crate::plan::TensorDecl;
use crate::validate::Limits;
use alloc::vec;
use alloc::vec::Vec;

/// Limits within which any accepted plan can be run by a test: a few MiB of everything, and room for three layers of
/// [`random_plan`]'s largest mixture (three matrices of 5 experts of 512 x 256 elements).
pub fn limits() -> Limits {
    Limits {
        nodes: 1_000,
        tensors: 1_000,
        tensor_bytes: 3 * 3 * (5 * 512 * 256 * 4) + (1 << 22),
        layers: 16,
        step_tokens: 64,
        cols: 1 << 16,
        cache_tokens: 1 << 16,
        cache_bytes: 1 << 22,
        scratch_bytes: 1 << 20,
    }
}

/// Bytes for a tensor: elements around `1 / sqrt(cols)` in matrices, within ±1 in vectors, from 1 to 4 in rope factors
/// (by their name). Zero bytes for types that cannot be written.
pub fn tensor_bytes(decl: &TensorDecl, rng: &mut Rng) -> Vec<u8> {
    let size = decl.check().unwrap_or(0) as usize;
    let Some(quantise) = chord_quant::format(decl.dtype).and_then(|f| f.quantise) else {
        return vec![0; size];
    };
    let scale = if decl.rows == 1 { 1.0 } else { 2.0 / libm::sqrtf(decl.cols as f32) };
    let (low, high) = if decl.name.starts_with("rope_factors") { (1.0, 4.0) } else { (-scale, scale) };
    let mut bytes = Vec::with_capacity(size);
    for _ in 0..decl.rows {
        let row: Vec<f32> = (0..decl.cols).map(|_| rng.real(low, high)).collect();
        quantise(&row, &mut bytes);
    }
    bytes
}

impl Rng {
    /// A number below `n`; 0 for `n = 0`.
    pub fn below(&mut self, n: u32) -> u32 {
        (self.bits() % u64::from(n.max(1))) as u32
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`, which are not empty.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u32) as usize]
    }
}
