//! Rotary position embedding (Su et al. 2021), with frequency factors (Llama 3) and YaRN (Peng et al. 2023).

use crate::plan::{TensorId, ValueId};

/// Which elements of a head form a rotated pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeStyle {
    /// `(x[2i], x[2i+1])`: GGML's "norm", Llama as converted to GGUF.
    Interleaved,
    /// `(x[i], x[i + rot_dims/2])`: GGML's "neox".
    Halves,
}

/// YaRN context extension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Yarn {
    /// Context length of the original training.
    pub orig_ctx: u32,
    /// Mix between interpolation (0) and extrapolation (1).
    pub ext_factor: f32,
    /// Magnitude factor of the rotated vector.
    pub attn_factor: f32,
    /// Rotations above which a dimension is extrapolated.
    pub beta_fast: f32,
    /// Rotations below which a dimension is interpolated.
    pub beta_slow: f32,
}

/// Parameters shared by every rotation of a model (or of a kind of layer).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RopeParams {
    /// Elements of one head.
    pub head_dim: u32,
    /// Leading elements of a head that are rotated; even, at most `head_dim`.
    pub rot_dims: u32,
    /// Pairing.
    pub style: RopeStyle,
    /// Base of the geometric frequencies: `theta_i = base^(-2i/rot_dims)`; finite, > 0.
    pub base: f32,
    /// Factor on positions (linear scaling: 1/s); finite, > 0.
    pub freq_scale: f32,
    /// f32 vector of `rot_dims / 2` divisors of the frequencies.
    pub factors: Option<TensorId>,
    /// YaRN, if used.
    pub yarn: Option<Yarn>,
}

/// Rotates each head of each row by its token's position. In and out `(tokens, n_heads * head_dim)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// Input `(tokens, n_heads * head_dim)`.
    pub x: ValueId,
    /// Frequencies and pairing.
    pub params: RopeParams,
}
