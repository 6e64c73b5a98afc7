//! Causal attention of each token over its own sequence in the cache, grouped-query heads included.

use super::linear::dot;
use super::softcap::capped;
use crate::context::{Context, finite, positive, require};
use crate::error::NodeError;
use crate::plan::{LayerKv, Rows, Shape, ValueId};
use alloc::vec;
use alloc::vec::Vec;

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

impl Attention {
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<Shape, NodeError> {
        let (layer, n_heads, kv) = (self.layer, self.n_heads, cx.layer(self.layer)?);
        if !cx.is_appended(layer) {
            return Err(NodeError::AppendMissing { layer });
        }
        if n_heads == 0 || !n_heads.is_multiple_of(kv.n_kv_heads) {
            return Err(NodeError::Heads { n_heads, n_kv_heads: kv.n_kv_heads });
        }
        let (found, expected) = (cx.tokens("q", self.q)?, u64::from(n_heads) * u64::from(kv.k_dim));
        if u64::from(found) != expected {
            return Err(NodeError::Cols { role: "q", expected, found });
        }
        finite("scale", self.scale)?;
        self.softcap.map_or(Ok(()), |cap| positive("softcap", cap))?;
        self.window.map_or(Ok(()), |n| require("window", n, n > 0, "at least 1"))?;
        let cols = n_heads.checked_mul(kv.v_dim);
        let fits = "n_heads * v_dim within 32 bits";
        require("n_heads", n_heads, cols.is_some(), fits)?;
        Ok(Shape { rows: Rows::Tokens, cols: cols.unwrap_or(0) })
    }

    /// Scalar reference for one token. `q` is `(n_heads, k_dim)`; `keys` and `values` are the layer's rows of every
    /// token of its sequence up to and including itself, oldest first. Returns `(n_heads, v_dim)`.
    pub fn reference(&self, kv: LayerKv, q: &[f32], keys: &[&[f32]], values: &[&[f32]]) -> Vec<f32> {
        let seen = self.window.map_or(keys.len(), |n| keys.len().min(n as usize));
        let (keys, values) = (&keys[keys.len() - seen..], &values[values.len() - seen..]);
        let (k_dim, v_dim) = (kv.k_dim as usize, kv.v_dim as usize);
        let group = (self.n_heads / kv.n_kv_heads) as usize;
        let head = |(h, q): (usize, &[f32])| {
            let (k_at, v_at) = (h / group * k_dim, h / group * v_dim);
            let keys = keys.iter().map(|k| &k[k_at..][..k_dim]);
            let weights = softmax(keys.map(|k| self.score(q, k)).collect());
            weighted_sum(&weights, values.iter().map(|v| &v[v_at..][..v_dim]), v_dim)
        };
        q.chunks_exact(k_dim).enumerate().flat_map(head).collect()
    }

    fn score(&self, q: &[f32], k: &[f32]) -> f64 {
        let score = dot(q, k) * f64::from(self.scale);
        self.softcap.map_or(score, |cap| capped(score, cap))
    }
}

fn softmax(mut scores: Vec<f64>) -> Vec<f64> {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|s| *s = libm::exp(*s - max));
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|s| *s /= sum);
    scores
}

fn weighted_sum<'a>(weights: &[f64], rows: impl Iterator<Item = &'a [f32]>, cols: usize) -> Vec<f32> {
    let mut sum = vec![0.0f64; cols];
    for (w, row) in weights.iter().zip(rows) {
        sum.iter_mut().zip(row).for_each(|(s, &x)| *s += w * f64::from(x));
    }
    sum.into_iter().map(|s| s as f32).collect()
}
