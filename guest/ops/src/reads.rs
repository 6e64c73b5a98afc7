//! What a step reads of the weights.

use crate::op::{Experts, Op};
use crate::plan::{Plan, Shape, TensorDecl, TensorId};
use alloc::vec::Vec;

/// Bytes of weights that steps of a plan read, each tensor as often as an op reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeightReads {
    /// In every step.
    whole: u64,
    /// For each token: a row of each embedding table.
    rows: u64,
    /// Of the experts that the tokens meet.
    experts: Vec<ExpertReads>,
}

/// One op over the matrices of experts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ExpertReads {
    /// Of one expert.
    bytes: u64,
    /// Experts per token.
    used: u64,
    /// Experts there are.
    count: u64,
}

impl WeightReads {
    /// `shapes` are those of the plan's values.
    pub(crate) fn of(plan: &Plan, shapes: &[Shape]) -> WeightReads {
        let mut reads = WeightReads::default();
        plan.nodes.iter().for_each(|node| reads.add(&node.op, plan, shapes));
        reads
    }

    fn add(&mut self, op: &Op, plan: &Plan, shapes: &[Shape]) {
        let tensor = |id: TensorId| plan.tensors.get(id.0 as usize);
        match op {
            Op::Embed(o) => self.rows = self.rows.saturating_add(tensor(o.table).map_or(0, row)),
            Op::Experts(o) => self.experts.extend(tensor(o.weight).map(|t| experts(o, t, shapes))),
            op => {
                let all = op.tensors().filter_map(tensor).map(size);
                self.whole = all.fold(self.whole, u64::saturating_add);
            }
        }
    }

    /// Of a step of `tokens` tokens of which one is wanted. Which experts are met is not known: as many as there can be.
    pub fn of_step(&self, tokens: u64) -> u64 {
        let met = |e: &ExpertReads| e.bytes.saturating_mul(e.used.saturating_mul(tokens).min(e.count));
        let fixed = self.whole.saturating_add(self.rows.saturating_mul(tokens));
        self.experts.iter().map(met).fold(fixed, u64::saturating_add)
    }
}

fn experts(op: &Experts, weight: &TensorDecl, shapes: &[Shape]) -> ExpertReads {
    let count = u64::from(op.count.max(1));
    let route = shapes.get(op.route.0 as usize).map_or(0, |s| s.cols);
    ExpertReads { bytes: size(weight) / count, used: u64::from(route / 2), count }
}

/// Bytes of a row.
fn row(t: &TensorDecl) -> u64 {
    t.dtype.bytes_for(t.cols).unwrap_or(0)
}

/// Bytes of a tensor.
fn size(t: &TensorDecl) -> u64 {
    row(t).saturating_mul(t.rows)
}
