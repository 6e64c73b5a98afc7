//! Feed-forward networks.

use crate::record::Cx;
use crate::{Error, FeedForward, LayerSpec};
use chord_ops::ValueId;
use chord_ops::op::Glu;

/// In: normed residual stream `(tokens, d)`; out: `(tokens, d)`.
pub(crate) fn feed_forward(cx: &mut Cx<'_>, i: usize, l: &LayerSpec, x: ValueId) -> Result<ValueId, Error> {
    let d = cx.spec.embedding_length;
    match l.feed_forward {
        FeedForward::Gated { width, act } => {
            let gate = cx.linear(&format!("blk.{i}.ffn_gate"), x, d, width)?;
            let up = cx.linear(&format!("blk.{i}.ffn_up"), x, d, width)?;
            let h = cx.plan.op(Glu { gate, up, act });
            cx.linear(&format!("blk.{i}.ffn_down"), h, width, d)
        }
    }
}
