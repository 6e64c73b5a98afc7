//! What each op of a plan does in its steps, and how long it takes where the device has a clock.
//!
//! Thread 0 reads the clock between ops, so the time of an op includes the wait for what other threads hold at its end, and
//! the times of a step's ops add up to the step without its overhead.

use crate::exec::{StepIndex, TokenAt};
use alloc::string::String;
use alloc::vec::Vec;
use chord_ops::op::{self, Op};
use chord_ops::{FusedPlan, Rows, Step, TensorDecl, TensorId};
use core::sync::atomic::{AtomicU64, Ordering};

/// Nanoseconds since any moment that stays the same.
pub type Clock = fn() -> u64;

/// An op of a compiled plan and its steps so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpProfile {
    /// Its name in printed plans; `angles` for the angles of rotations, which all layers share, and `pick` for what
    /// follows the last op: choosing the values that are returned.
    pub op: &'static str,
    /// Names of its matrices, its table or its norm's weight, in order. Names come from the model file.
    pub tensors: Vec<String>,
    /// Steps.
    pub runs: u64,
    /// Time of all steps.
    pub nanoseconds: u64,
    /// Bytes that all steps have to read at least once: tensors, and of attention the cache.
    pub bytes: u64,
    /// Multiplications and additions of all steps, of matrix products and attention only.
    pub operations: u64,
}

impl OpProfile {
    /// Adds the steps of the same op.
    pub fn add(&mut self, other: &OpProfile) {
        self.runs += other.runs;
        self.nanoseconds += other.nanoseconds;
        self.bytes += other.bytes;
        self.operations += other.operations;
    }

    fn reset(&mut self) {
        (self.runs, self.nanoseconds, self.bytes, self.operations) = (0, 0, 0, 0);
    }
}

/// The profile of a plan.
pub(crate) struct Profile {
    clock: Clock,
    ops: Vec<(Work, OpProfile)>,
    /// When the step in progress began, and when each of its ops had ended. Written by thread 0 only.
    marks: Vec<AtomicU64>,
}

/// What an op reads and computes in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Tensors read whole, if there is a row to meet them.
    Tensors { rows: Rows, bytes: u64, per_row: u64 },
    /// One row of a table per token.
    Table { row: u64 },
    /// Matrices of `used` of `count` experts per token: of each `bytes` and `per_row` operations.
    Experts { count: u64, used: u64, bytes: u64, per_row: u64 },
    /// Cached tokens that each token sees: bytes and operations of one.
    Attention { window: Option<u32>, bytes: u64, per_pair: u64 },
}

impl Profile {
    /// Of a plan with one stage per op, `stages` in all: what comes before the ops are angles.
    pub(crate) fn new(fused: &FusedPlan, stages: usize, clock: Clock) -> Profile {
        let named = |op, tensors| OpProfile { op, tensors, ..OpProfile::default() };
        let angles = stages.saturating_sub(fused.nodes().len());
        let nothing = Work::Tensors { rows: Rows::Tokens, bytes: 0, per_row: 0 };
        let mut ops: Vec<_> = (0..angles).map(|_| (nothing, named("angles", Vec::new()))).collect();
        ops.extend(
            fused.nodes().iter().map(|n| (Work::of(&n.op, fused), named(n.op.name(), names(&n.op, fused)))),
        );
        ops.push((nothing, named("pick", Vec::new())));
        let marks = (0..=ops.len()).map(|_| AtomicU64::new(0)).collect();
        Profile { clock, ops, marks }
    }

    /// So many stages are over on all threads; 0: the step begins. For thread 0.
    pub(crate) fn mark(&self, ended: usize) {
        self.marks[ended].store((self.clock)(), Ordering::Relaxed);
    }

    /// Counts a step that has ended now.
    pub(crate) fn count(&mut self, step: &Step<'_>, index: &StepIndex) {
        self.mark(self.ops.len());
        let mut start = *self.marks[0].get_mut();
        for ((work, profile), mark) in self.ops.iter_mut().zip(&mut self.marks[1..]) {
            let (bytes, operations) = work.of_step(step, &index.tokens);
            let nanoseconds = mark.get_mut().saturating_sub(start);
            profile.add(&OpProfile { runs: 1, nanoseconds, bytes, operations, ..OpProfile::default() });
            start = *mark.get_mut();
        }
    }

    pub(crate) fn ops(&self) -> Vec<OpProfile> {
        self.ops.iter().map(|(_, profile)| profile.clone()).collect()
    }

    pub(crate) fn reset(&mut self) {
        self.ops.iter_mut().for_each(|(_, profile)| profile.reset());
    }
}

impl Work {
    fn of(op: &Op, fused: &FusedPlan) -> Work {
        let decl = |id: TensorId| &fused.plan().tensors[id.0 as usize];
        let bytes = |id: TensorId| size(decl(id));
        match op {
            Op::Embed(o) => Work::Table { row: bytes(o.table) / decl(o.table).rows.max(1) },
            Op::Attention(o) => Work::attention(o, fused),
            Op::Experts(o) => {
                let (all, count) = (decl(o.weight), u64::from(o.count.max(1)));
                Work::Experts {
                    count,
                    used: u64::from(fused.shape(o.route).cols / 2),
                    bytes: size(all) / count,
                    per_row: products(all) / count,
                }
            }
            op => Work::Tensors {
                rows: op.inputs().next().map_or(Rows::Tokens, |x| fused.shape(x).rows),
                bytes: op.tensors().map(bytes).fold(0, u64::saturating_add),
                per_row: matrices(op).map(|id| products(decl(id))).fold(0, u64::saturating_add),
            },
        }
    }

    fn attention(o: &op::Attention, fused: &FusedPlan) -> Work {
        let cache = &fused.plan().cache;
        let kv = cache.layers[o.layer as usize];
        let dims = u64::from(kv.k_dim) + u64::from(kv.v_dim);
        let bytes = dims * u64::from(kv.n_kv_heads) * cache.dtype.bytes();
        Work::Attention { window: o.window, bytes, per_pair: 2 * dims * u64::from(o.n_heads) }
    }

    /// Bytes and operations.
    fn of_step(&self, step: &Step<'_>, tokens: &[TokenAt]) -> (u64, u64) {
        match *self {
            Work::Tensors { rows, bytes, per_row } => {
                let n = match rows {
                    Rows::Tokens => step.tokens.len(),
                    Rows::Wanted => step.wanted.len(),
                } as u64;
                (bytes * n.min(1), per_row * n)
            }
            Work::Table { row } => (row * step.tokens.len() as u64, 0),
            Work::Experts { count, used, bytes, per_row } => {
                let n = used * step.tokens.len() as u64;
                // Which experts are met is not known here: as many as there can be.
                (bytes * n.min(count), per_row * n)
            }
            Work::Attention { window, bytes, per_pair } => {
                let pairs: u64 = tokens.iter().map(|t| seen(t, window)).sum();
                (bytes * read(tokens, window), per_pair * pairs)
            }
        }
    }
}

/// Cached tokens that a token sees, itself included.
fn seen(token: &TokenAt, window: Option<u32>) -> u64 {
    let all = token.index as u64 + 1;
    window.map_or(all, |n| all.min(n.into()))
}

/// Cached tokens that any token of a step sees.
fn read(tokens: &[TokenAt], window: Option<u32>) -> u64 {
    let spans = tokens.chunk_by(|a, b| a.span == b.span);
    spans.map(|s| seen(&s[0], window) + s.len() as u64 - 1).sum()
}

/// The matrices that an op multiplies with.
fn matrices(op: &Op) -> impl Iterator<Item = TensorId> {
    let (mats, one): (&[op::Matrix], _) = match op {
        Op::Project(o) => (&o.mats, None),
        Op::Linear(o) => (&[], Some(o.weight)),
        Op::Experts(o) => (&[], Some(o.weight)),
        _ => (&[], None),
    };
    mats.iter().map(|m| m.weight).chain(one)
}

fn names(op: &Op, fused: &FusedPlan) -> Vec<String> {
    let other = match op {
        Op::Embed(o) => Some(o.table),
        Op::Norm(o) => o.weight,
        _ => None,
    };
    let name = |id: TensorId| fused.plan().tensors[id.0 as usize].name.clone();
    matrices(op).chain(other).map(|id| String::from(&*name(id))).collect()
}

/// Bytes of a tensor.
fn size(decl: &TensorDecl) -> u64 {
    decl.dtype.bytes_for(decl.cols).unwrap_or(0).saturating_mul(decl.rows)
}

/// Operations of a matrix with one row of activations.
fn products(decl: &TensorDecl) -> u64 {
    decl.rows.saturating_mul(decl.cols).saturating_mul(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chord_ops::{Pick, SeqId, Span};

    const TOKENS: [TokenAt; 4] = [
        TokenAt { span: 0, index: 9 },
        TokenAt { span: 0, index: 10 },
        TokenAt { span: 0, index: 11 },
        TokenAt { span: 1, index: 0 },
    ];

    fn counted(work: Work) -> (u64, u64) {
        let spans = [Span { seq: SeqId(0), len: 3 }, Span { seq: SeqId(1), len: 1 }];
        let (tokens, positions) = ([0; 4], [9, 10, 11, 0]);
        let step =
            Step { tokens: &tokens, positions: &positions, spans: &spans, wanted: &[3], pick: Pick::All };
        work.of_step(&step, &TOKENS)
    }

    #[test]
    fn matrices_are_read_once_and_meet_every_row() {
        let of = |rows| counted(Work::Tensors { rows, bytes: 100, per_row: 7 });
        assert_eq!(of(Rows::Tokens), (100, 28));
        assert_eq!(of(Rows::Wanted), (100, 7));
        assert_eq!(counted(Work::Table { row: 5 }), (20, 0));
    }

    #[test]
    fn experts_are_read_at_most_once_each() {
        assert_eq!(counted(Work::Experts { count: 64, used: 2, bytes: 10, per_row: 3 }), (80, 24));
        assert_eq!(counted(Work::Experts { count: 4, used: 2, bytes: 10, per_row: 3 }), (40, 24));
    }

    #[test]
    fn attention_reads_what_its_tokens_see() {
        let of = |window| counted(Work::Attention { window, bytes: 1, per_pair: 1 });
        assert_eq!(of(None), (12 + 1, 10 + 11 + 12 + 1));
        // The three tokens see 4 each: 6 to 11 together.
        assert_eq!(of(Some(4)), (6 + 1, 4 + 4 + 4 + 1));
    }
}
