//! Mechanisms: a part of the spec becomes ops. One file each.

mod attention;
mod feed_forward;

use crate::record::Cx;
use crate::{Error, LayerSpec};
use chord_ops::ValueId;

/// One pre-norm transformer layer: attention and feed-forward, each added to the residual stream `x` `(tokens, d)`.
pub(crate) fn layer(cx: &mut Cx<'_>, i: usize, layer: &LayerSpec, x: ValueId) -> Result<ValueId, Error> {
    let h = cx.norm(&format!("blk.{i}.attn_norm"), x)?;
    let mut h = attention::attention(cx, i, layer, h)?;
    if layer.post_norms {
        h = cx.norm(&format!("blk.{i}.post_attention_norm"), h)?;
    }
    let x = cx.add(h, x);
    let h = cx.norm(&format!("blk.{i}.ffn_norm"), x)?;
    let mut h = feed_forward::feed_forward(cx, i, layer, h)?;
    if layer.post_norms {
        h = cx.norm(&format!("blk.{i}.post_ffw_norm"), h)?;
    }
    Ok(cx.add(h, x))
}
