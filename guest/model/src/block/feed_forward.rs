//! Feed-forward networks.

use crate::record::Cx;
use crate::weights::Part;
use crate::{Error, FeedForward, LayerSpec};
use chord_ops::ValueId;
use chord_ops::op::Glu;

/// In: normed residual stream `(tokens, d)`; out: `(tokens, d)`.
pub(crate) fn feed_forward(cx: &mut Cx<'_>, i: usize, l: &LayerSpec, x: ValueId) -> Result<ValueId, Error> {
    let d = cx.spec.embedding_length;
    match l.feed_forward {
        FeedForward::Gated { width, act } => {
            let (gate, up) = (format!("blk.{i}.ffn_gate"), format!("blk.{i}.ffn_up"));
            let (gate, up) = if cx.has(&gate) {
                (cx.linear(&gate, x, d, width)?, cx.linear(&up, x, d, width)?)
            } else {
                // Both in one matrix, the gate first.
                let mut half = |start| cx.linear_rows(&up, x, d, Part { start, rows: width, of: 2 * width });
                (half(0)?, half(width)?)
            };
            let h = cx.plan.op(Glu { gate, up, act });
            cx.linear(&format!("blk.{i}.ffn_down"), h, width, d)
        }
    }
}
