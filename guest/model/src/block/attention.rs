//! Multi-head attention with grouped keys and values, rotary positions and optional per-head norms.

use crate::record::Cx;
use crate::{Error, LayerSpec};
use chord_ops::ValueId;
use chord_ops::op::{Append, Attention, Rope, RopeParams};

/// In: normed residual stream `(tokens, d)`; out: `(tokens, d)`.
pub(crate) fn attention(cx: &mut Cx<'_>, i: usize, l: &LayerSpec, x: ValueId) -> Result<ValueId, Error> {
    let d = cx.spec.embedding_length;
    let mut q = cx.linear(&format!("blk.{i}.attn_q"), x, d, l.n_heads * l.k_dim)?;
    let mut k = cx.linear(&format!("blk.{i}.attn_k"), x, d, l.n_kv_heads * l.k_dim)?;
    let v = cx.linear(&format!("blk.{i}.attn_v"), x, d, l.n_kv_heads * l.v_dim)?;
    if l.qk_norm {
        q = cx.head_norm(&format!("blk.{i}.attn_q_norm"), q, l.k_dim)?;
        k = cx.head_norm(&format!("blk.{i}.attn_k_norm"), k, l.k_dim)?;
    }
    if let Some(rope) = l.rope {
        let params = RopeParams { factors: cx.rope_factors, ..rope };
        q = cx.plan.op(Rope { x: q, params });
        k = cx.plan.op(Rope { x: k, params });
    }
    let layer = i as u32;
    cx.plan.effect(Append { k, v, layer });
    let x = cx.plan.op(Attention {
        q,
        layer,
        n_heads: l.n_heads,
        scale: l.attention_scale,
        window: l.window,
        softcap: l.attention_softcap,
    });
    cx.linear(&format!("blk.{i}.attn_output"), x, l.n_heads * l.v_dim, d)
}
