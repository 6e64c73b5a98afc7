//! From which op to which op each value of a plan is needed.

use crate::plan::{Plan, Shape};
use alloc::vec;
use alloc::vec::Vec;

/// The ops at which a value must be in memory, first and last included: a value is alive at the op that defines it
/// and at every op that reads it, so an output never shares memory with an input of the same op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    /// Index of the node that defines it.
    pub(crate) first: usize,
    /// Index of the last node that reads it; of the last node of all for the output; `first` if nothing reads it.
    pub(crate) last: usize,
}

/// Lives of all values by value id; `None` for values that no node defines. Values must be defined before they are read.
pub(crate) fn lives(plan: &Plan, n_values: usize) -> Vec<Option<Life>> {
    let mut lives: Vec<Option<Life>> = vec![None; n_values];
    for (i, node) in plan.nodes.iter().enumerate() {
        for out in &node.outs {
            lives[out.0 as usize] = Some(Life { first: i, last: i });
        }
        for input in node.op.inputs() {
            if let Some(life) = &mut lives[input.0 as usize] {
                life.last = i;
            }
        }
    }
    if let Some(life) = &mut lives[plan.output.0 as usize] {
        life.last = plan.nodes.len() - 1;
    }
    lives
}

/// Bytes of the values alive at the op where they are most, for the largest step. `None`: more than 64 bits can count.
pub(crate) fn peak_bytes(plan: &Plan, shapes: &[Shape]) -> Option<u64> {
    let rows = u64::from(plan.max_step_tokens) * 4;
    let bytes = |s: &Shape| rows.checked_mul(s.cols.into());
    shapes.iter().try_fold(0u64, |sum, s| sum.checked_add(bytes(s)?))?; // so that no sum below overflows
    let mut born = vec![0u64; plan.nodes.len()];
    let mut dies = vec![0u64; plan.nodes.len()];
    for (life, shape) in lives(plan, shapes.len()).into_iter().zip(shapes) {
        let Some(life) = life else { continue };
        born[life.first] += bytes(shape)?;
        dies[life.last] += bytes(shape)?;
    }
    let (mut alive, mut peak) = (0, 0);
    for (born, dies) in born.into_iter().zip(dies) {
        alive += born;
        peak = peak.max(alive);
        alive -= dies;
    }
    Some(peak)
}
