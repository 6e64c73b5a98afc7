//! Appends the step's keys and values to the cache.

use crate::context::Context;
use crate::error::NodeError;
use crate::plan::{KvType, ValueId};
use alloc::vec::Vec;

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

impl Append {
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<(), NodeError> {
        let (layer, kv) = (self.layer, cx.layer(self.layer)?);
        let sides = [("k", self.k, kv.k_dim), ("v", self.v, kv.v_dim)];
        for (role, id, dim) in sides {
            let (found, expected) = (cx.tokens(role, id)?, u64::from(kv.n_kv_heads) * u64::from(dim));
            if u64::from(found) != expected {
                return Err(NodeError::Cols { role, expected, found });
            }
        }
        if cx.is_appended(layer) { Err(NodeError::AppendTwice { layer }) } else { Ok(()) }
    }

    /// Scalar reference: what a cache of `dtype` gives back of a row of keys or values.
    pub fn reference(row: &[f32], dtype: KvType) -> Vec<f32> {
        let stored = |&x: &f32| match dtype {
            KvType::F16 => half::f16::from_f32(x).to_f32(),
            KvType::F32 => x,
        };
        row.iter().map(stored).collect()
    }
}
