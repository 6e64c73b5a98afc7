//! Rotary position embedding (Su et al. 2021), with frequency factors (Llama 3) and YaRN (Peng et al. 2023).

use crate::context::{Context, positive, require};
use crate::error::NodeError;
use crate::plan::{Rows, Shape, TensorId, ValueId};
use alloc::vec::Vec;

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
    /// Vector of `rot_dims / 2` divisors of the frequencies.
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

impl Rope {
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<Shape, NodeError> {
        let cols = cx.tokens("x", self.x)?;
        self.params.check(cx, cols)?;
        Ok(Shape { rows: Rows::Tokens, cols })
    }

    /// Scalar reference. `x` is `(tokens, n_heads * head_dim)`, `factors` has `rot_dims / 2` elements.
    pub fn reference(params: &RopeParams, x: &[f32], positions: &[u32], factors: Option<&[f32]>) -> Vec<f32> {
        let (rotation, mut out) = (params.rotation(factors), x.to_vec());
        let cols = x.len() / positions.len().max(1);
        for (row, &position) in out.chunks_exact_mut(cols.max(1)).zip(positions) {
            row.chunks_exact_mut(params.head_dim as usize).for_each(|head| rotation.rotate(head, position));
        }
        out
    }
}

impl RopeParams {
    fn check(&self, cx: &Context<'_>, cols: u32) -> Result<(), NodeError> {
        let (head_dim, rot_dims) = (self.head_dim, self.rot_dims);
        if head_dim == 0 || !cols.is_multiple_of(head_dim) {
            return Err(NodeError::HeadDim { head_dim, cols });
        }
        if rot_dims == 0 || !rot_dims.is_multiple_of(2) || rot_dims > head_dim {
            return Err(NodeError::RotDims { rot_dims, head_dim });
        }
        positive("base", self.base)?;
        positive("freq_scale", self.freq_scale)?;
        cx.vector("factors", self.factors, rot_dims / 2)?;
        self.yarn.map_or(Ok(()), |yarn| yarn.check(self.base))
    }

    /// The angles of this rotation. `factors` has `rot_dims / 2` elements.
    pub fn rotation(&self, factors: Option<&[f32]>) -> Rotation {
        let frequencies = (0..self.rot_dims as usize / 2).map(|pair| self.frequency(pair, factors));
        Rotation { style: self.style, frequencies: frequencies.collect(), magnitude: self.magnitude() }
    }

    /// Radians per position of `pair < rot_dims / 2`. `factors` has `rot_dims / 2` elements.
    pub fn frequency(&self, pair: usize, factors: Option<&[f32]>) -> f64 {
        let scale = f64::from(self.freq_scale);
        let exponent = -2.0 * pair as f64 / f64::from(self.rot_dims);
        let plain = libm::pow(self.base.into(), exponent) / factors.map_or(1.0, |f| f[pair].into());
        match &self.yarn {
            None => plain * scale,
            Some(yarn) => {
                let mix = yarn.mix(self, pair);
                plain * (scale * (1.0 - mix) + mix)
            }
        }
    }

    /// Factor on the rotated vectors: 1 without YaRN.
    pub fn magnitude(&self) -> f64 {
        self.yarn.map_or(1.0, |yarn| yarn.magnitude(self.freq_scale.into()))
    }

    /// Whether both have the same angles: all but the pairing and the size of a head is equal.
    pub fn same_angles(&self, other: &RopeParams) -> bool {
        let angles = |p: &RopeParams| (p.rot_dims, p.base, p.freq_scale, p.factors, p.yarn);
        angles(self) == angles(other)
    }
}

impl Yarn {
    fn check(&self, base: f32) -> Result<(), NodeError> {
        require("base", base, base > 1.0, "above 1 for YaRN")?;
        require("orig_ctx", self.orig_ctx, self.orig_ctx > 0, "at least 1")?;
        let mix = (0.0..=1.0).contains(&self.ext_factor);
        require("ext_factor", self.ext_factor, mix, "a number from 0 to 1")?;
        positive("attn_factor", self.attn_factor)?;
        positive("beta_fast", self.beta_fast)?;
        positive("beta_slow", self.beta_slow)?;
        require("beta_slow", self.beta_slow, self.beta_slow <= self.beta_fast, "at most beta_fast")
    }

    /// How much of the frequency of `pair` stays as it was trained (1) rather than scaled (0). In f32 as in GGML, so
    /// that the rounding of the two bounds to whole dimensions is GGML's.
    fn mix(&self, rope: &RopeParams, pair: usize) -> f64 {
        let low = libm::floorf(self.dimension(rope, self.beta_fast)).max(0.0);
        let high = libm::ceilf(self.dimension(rope, self.beta_slow)).min(rope.rot_dims as f32 - 1.0);
        let ramp = (pair as f32 - low) / (high - low).max(0.001);
        f64::from((1.0 - ramp.clamp(0.0, 1.0)) * self.ext_factor)
    }

    /// The dimension that turns `rotations` times within the original context.
    fn dimension(&self, rope: &RopeParams, rotations: f32) -> f32 {
        let turns = self.orig_ctx as f32 / (rotations * 2.0 * core::f32::consts::PI);
        rope.rot_dims as f32 * libm::logf(turns) / (2.0 * libm::logf(rope.base))
    }

    /// Length of a rotated vector of length 1; interpolation makes attention flatter, so vectors get longer. They never
    /// get shorter where positions are spread instead.
    fn magnitude(&self, freq_scale: f64) -> f64 {
        let stretch = if self.ext_factor == 0.0 { 1.0 } else { (1.0 / freq_scale).max(1.0) };
        f64::from(self.attn_factor) * (1.0 + 0.1 * libm::log(stretch))
    }
}

/// The angle of each rotated pair per position, ready to be applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotation {
    /// Pairing.
    pub style: RopeStyle,
    /// Radians per position, by pair: `rot_dims / 2` elements.
    pub frequencies: Vec<f64>,
    /// Factor on the rotated vectors (YaRN); 1 otherwise.
    pub magnitude: f64,
}

impl Rotation {
    /// Cosine and sine of `pair` at `position`, times the magnitude.
    pub fn cos_sin(&self, pair: usize, position: u32) -> (f32, f32) {
        let angle = self.frequencies[pair] * f64::from(position);
        ((libm::cos(angle) * self.magnitude) as f32, (libm::sin(angle) * self.magnitude) as f32)
    }

    /// Rotates the leading elements of one head in place.
    pub fn rotate(&self, head: &mut [f32], position: u32) {
        let n_pairs = self.frequencies.len();
        for pair in 0..n_pairs {
            let (i, j) = match self.style {
                RopeStyle::Interleaved => (2 * pair, 2 * pair + 1),
                RopeStyle::Halves => (pair, pair + n_pairs),
            };
            let ((cos, sin), (x, y)) = (self.cos_sin(pair, position), (head[i], head[j]));
            (head[i], head[j]) = (x * cos - y * sin, x * sin + y * cos);
        }
    }
}
