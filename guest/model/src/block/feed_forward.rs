//! Feed-forward networks.

use crate::record::{Chosen, Cx};
use crate::weights::Part;
use crate::{Error, FeedForward, LayerSpec};
use chord_ops::ValueId;
use chord_ops::op::{Combine, Glu, Route};

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
        FeedForward::Experts { width, act, count, used } => {
            let logits = cx.linear(&format!("blk.{i}.ffn_gate_inp"), x, d, count)?;
            let route = cx.plan.op(Route { logits, used, normalise: true, scale: 1.0 });
            let name = |part| format!("blk.{i}.ffn_{part}_exps");
            let each = Chosen { route, count };
            let gate = cx.experts(&name("gate"), x, d, width, each)?;
            let up = cx.experts(&name("up"), x, d, width, each)?;
            let h = cx.plan.op(Glu { gate, up, act });
            let x = cx.experts(&name("down"), h, width, d, each)?;
            Ok(cx.plan.op(Combine { x, route }))
        }
    }
}
