//! A model as data.

use chord_ops::op::{Activation, NormKind, RopeParams};

/// Norm of the residual stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormSpec {
    /// Statistics.
    pub kind: NormKind,
    /// Added under the root.
    pub eps: f32,
}

/// The feed-forward half of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FeedForward {
    /// `down(act(gate(x)) * up(x))`.
    Gated {
        /// Hidden width.
        width: u32,
        /// Activation on the gate.
        act: Activation,
    },
    /// Of `count` gated networks, each token meets the `used` that its router logits are largest for.
    Experts {
        /// Hidden width of one.
        width: u32,
        /// Activation on the gate.
        act: Activation,
        /// How many there are.
        count: u32,
        /// How many a token meets.
        used: u32,
    },
}

/// One transformer layer. Field names follow GGUF's tensor names where they stand for a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSpec {
    /// Query heads.
    pub n_heads: u32,
    /// Key/value heads.
    pub n_kv_heads: u32,
    /// Elements of one query or key head.
    pub k_dim: u32,
    /// Elements of one value head.
    pub v_dim: u32,
    /// Rotation of queries and keys; `factors` is filled in by the recorder from the file's tensors.
    pub rope: Option<RopeParams>,
    /// Factor on attention scores.
    pub attention_scale: f32,
    /// Sliding window, tokens.
    pub window: Option<u32>,
    /// Soft cap on attention scores.
    pub attention_softcap: Option<f32>,
    /// `attn_q_norm`, `attn_k_norm`: per-head norms of queries and keys.
    pub qk_norm: bool,
    /// `post_attention_norm`, `post_ffw_norm`: norms of each half's output before it is added.
    pub post_norms: bool,
    /// The feed-forward half.
    pub feed_forward: FeedForward,
}

/// A decoder as data: everything that tells one family from another.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// `general.architecture`, for messages only.
    pub architecture: String,
    /// Width of the residual stream.
    pub embedding_length: u32,
    /// Tokens: the first rows of `token_embd.weight`. Rows behind them are padding.
    pub vocabulary: u32,
    /// Tokens the model was trained for.
    pub context_length: u32,
    /// Factor on the embeddings.
    pub embedding_scale: Option<f32>,
    /// Norm of the residual stream, everywhere.
    pub norm: NormSpec,
    /// The layers.
    pub layers: Vec<LayerSpec>,
    /// Whether `ffn_*.scale` tensors are left alone, as llama.cpp leaves them alone in some families.
    pub plain_feed_forward: bool,
    /// Factor on the logits.
    pub logit_scale: Option<f32>,
    /// Soft cap on the logits.
    pub logit_softcap: Option<f32>,
    /// Contexts up to this many tokens rotate by `rope_factors_short.weight`, longer ones by `rope_factors_long.weight`,
    /// if the file has them.
    pub short_context: Option<u32>,
}
