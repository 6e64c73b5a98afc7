//! Appends the step's keys and values to the cache.

use crate::plan::ValueId;

/// Stores K and V of every token of the step in `layer` of the cache, each token at the end of its sequence.
/// Must come before any [`super::Attention`] over that layer, once per layer. No output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Append {
    /// `(tokens, n_kv_heads * k_dim)`.
    pub k: ValueId,
    /// `(tokens, n_kv_heads * v_dim)`.
    pub v: ValueId,
    /// Cache layer.
    pub layer: u32,
}
