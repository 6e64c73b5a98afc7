//! Fused: rotates the keys and appends keys and values, so rotated keys never go to scratch memory.

use super::RopeParams;
use crate::plan::ValueId;

/// [`super::Rope`] of `k`, then [`super::Append`]. No output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RopeAppend {
    /// Keys before rotation `(tokens, n_kv_heads * k_dim)`.
    pub k: ValueId,
    /// Values `(tokens, n_kv_heads * v_dim)`.
    pub v: ValueId,
    /// Cache layer.
    pub layer: u32,
    /// Rotation of the keys.
    pub rope: RopeParams,
}
