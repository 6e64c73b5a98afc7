//! Causal attention of each token over its own sequence in the cache, grouped-query heads included.

use crate::plan::ValueId;

/// `softmax(scale * q·K [softcapped] + mask) · V`. In `(tokens, n_heads * k_dim)`, out `(tokens, n_heads * v_dim)`.
/// Query head `h` reads KV head `h / (n_heads / n_kv_heads)`. A token sees itself and earlier tokens of its sequence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// Queries.
    pub q: ValueId,
    /// Cache layer, appended to earlier in the same plan.
    pub layer: u32,
    /// Query heads; a multiple of the layer's `n_kv_heads`.
    pub n_heads: u32,
    /// Factor on the scores; finite.
    pub scale: f32,
    /// Sliding window: a token sees the last `window` tokens, itself included.
    pub window: Option<u32>,
    /// Scores become `cap * tanh(score / cap)`.
    pub softcap: Option<f32>,
}
