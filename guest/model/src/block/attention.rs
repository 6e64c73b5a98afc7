//! Multi-head attention with grouped keys and values, rotary positions and optional per-head norms.

use crate::record::Cx;
use crate::weights::Part;
use crate::{Error, LayerSpec};
use chord_ops::ValueId;
use chord_ops::op::{Append, Attention, Rope, RopeParams};

/// In: normed residual stream `(tokens, d)`; out: `(tokens, d)`.
pub(crate) fn attention(cx: &mut Cx<'_>, i: usize, l: &LayerSpec, x: ValueId) -> Result<ValueId, Error> {
    let d = cx.spec.embedding_length;
    let [mut q, mut k, v] = projections(cx, i, l, x)?;
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

/// Queries, keys and values, from matrices of their own or from one for all.
fn projections(cx: &mut Cx<'_>, i: usize, l: &LayerSpec, x: ValueId) -> Result<[ValueId; 3], Error> {
    let d = cx.spec.embedding_length;
    let (n_q, n_k, n_v) = (l.n_heads * l.k_dim, l.n_kv_heads * l.k_dim, l.n_kv_heads * l.v_dim);
    let fused = format!("blk.{i}.attn_qkv");
    if cx.has(&fused) {
        let of = n_q + n_k + n_v;
        let mut part = |start, rows| cx.linear_rows(&fused, x, d, Part { start, rows, of });
        return Ok([part(0, n_q)?, part(n_q, n_k)?, part(n_q + n_k, n_v)?]);
    }
    Ok([
        cx.linear(&format!("blk.{i}.attn_q"), x, d, n_q)?,
        cx.linear(&format!("blk.{i}.attn_k"), x, d, n_k)?,
        cx.linear(&format!("blk.{i}.attn_v"), x, d, n_v)?,
    ])
}
