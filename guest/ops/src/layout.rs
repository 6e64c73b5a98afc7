//! Scratch memory of a fused plan: one arena, reused as values die.

use crate::fuse::FusedPlan;
use crate::liveness::lives;
use crate::plan::Shape;
use alloc::vec;
use alloc::vec::Vec;

/// Elements to which offsets are aligned: 64 bytes of f32, a cache line and the widest vector register.
pub const ALIGN: usize = 16;

/// Where each value of a plan lies in one arena of f32.
///
/// Values that are needed at the same op never overlap, and an op's outputs never overlap its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// First element of each value by value id, a multiple of [`ALIGN`]; `usize::MAX` for values that no node defines.
    /// A value has room for `max_step_tokens` rows, wanted rows included.
    pub offsets: Vec<usize>,
    /// Elements of the arena; `usize::MAX` if more than this machine can address.
    pub total: usize,
}

/// Lays out the values of a plan, first fit in execution order.
pub fn layout(fused: &FusedPlan) -> Layout {
    layout_until(fused, || false).expect("nothing stops it")
}

/// As [`layout()`], with a look at `stop` for each op: time grows with the square of the number of values that are alive
/// together. `None`: it was stopped.
pub fn layout_until(fused: &FusedPlan, mut stop: impl FnMut() -> bool) -> Option<Layout> {
    let (plan, shapes) = (fused.plan(), fused.shapes());
    let lives = lives(plan, shapes.len());
    let size = |value: usize| aligned(u64::from(plan.max_step_tokens) * u64::from(shapes[value].cols));
    let mut arena = Arena::new();
    let mut offsets = vec![usize::MAX; shapes.len()];
    let mut deaths: Vec<Vec<(u64, u64)>> = vec![Vec::new(); plan.nodes.len()];
    for (at, node) in plan.nodes.iter().enumerate() {
        if stop() {
            return None;
        }
        for value in node.outs.iter().map(|v| v.0 as usize) {
            let Some(life) = lives[value] else { continue };
            let offset = arena.take(size(value));
            deaths[life.last].push((offset, size(value)));
            offsets[value] = usize::try_from(offset).unwrap_or(usize::MAX);
        }
        deaths[at].drain(..).for_each(|(offset, len)| arena.give(offset, len));
    }
    Some(Layout { offsets, total: usize::try_from(arena.total).unwrap_or(usize::MAX) })
}

impl Layout {
    /// Every value in memory of its own, for `rows` rows: what the reference runs recorded ops with.
    pub(crate) fn apart(shapes: &[Shape], rows: usize) -> Layout {
        let mut total = 0;
        let offset = |shape: &Shape| {
            let at = total;
            total += rows * shape.cols as usize;
            at
        };
        let offsets = shapes.iter().map(offset).collect();
        Layout { offsets, total }
    }
}

fn aligned(elements: u64) -> u64 {
    elements.next_multiple_of(ALIGN as u64)
}

/// The holes of an arena without an end, by offset; no two of them touch.
struct Arena {
    free: Vec<(u64, u64)>,
    total: u64,
}

impl Arena {
    fn new() -> Arena {
        Arena { free: vec![(0, u64::MAX)], total: 0 }
    }

    /// The first hole of `len` elements.
    fn take(&mut self, len: u64) -> u64 {
        // The last hole has no end, so one is always found.
        let i = self.free.iter().position(|hole| hole.1 >= len).unwrap_or(self.free.len() - 1);
        let hole = &mut self.free[i];
        let offset = hole.0;
        *hole = (offset + len, hole.1 - len);
        if hole.1 == 0 {
            self.free.remove(i);
        }
        self.total = self.total.max(offset + len);
        offset
    }

    /// Makes a hole of `len` elements at `offset`, joined with the holes that it touches.
    fn give(&mut self, offset: u64, len: u64) {
        let i = self.free.partition_point(|hole| hole.0 < offset);
        self.free.insert(i, (offset, len));
        if self.free.get(i + 1).is_some_and(|next| offset + len == next.0) {
            self.free[i].1 += self.free.remove(i + 1).1;
        }
        if i > 0 && self.free[i - 1].0 + self.free[i - 1].1 == offset {
            self.free[i - 1].1 += self.free.remove(i).1;
        }
    }
}
