//! Some queries on one page of the KV cache. Loops run over slots or elements, so that compilers vectorise them without
//! reordering anything.

use super::vec::f16_to_f32;
use crate::kernels::{SLOTS, check_scores, check_weigh};
use core::ops::Range;

pub(super) fn scores_f16(q: &[f32], keys: &[u16], _: &[u16], scores: &mut [f32]) {
    scores_of(q, keys, scores, f16_to_f32);
}

pub(super) fn scores_f32(q: &[f32], keys: &[f32], _: &[f32], scores: &mut [f32]) {
    scores_of(q, keys, scores, |x| x);
}

pub(super) fn weigh_f16(w: &[f32], values: &[u16], _: &[u16], slots: Range<usize>, acc: &mut [f32]) {
    weigh(w, values, slots, acc, f16_to_f32);
}

pub(super) fn weigh_f32(w: &[f32], values: &[f32], _: &[f32], slots: Range<usize>, acc: &mut [f32]) {
    weigh(w, values, slots, acc, |x| x);
}

fn scores_of<E: Copy>(q: &[f32], keys: &[E], scores: &mut [f32], to_f32: impl Fn(E) -> f32) {
    let (_, dim) = check_scores(q, keys, scores);
    scores.fill(0.0);
    let mut row = [0.0; SLOTS];
    for d in 0..dim {
        row.iter_mut().zip(&keys[d * SLOTS..]).for_each(|(x, k)| *x = to_f32(*k));
        for (q, scores) in q.chunks_exact(dim).zip(scores.chunks_exact_mut(SLOTS)) {
            scores.iter_mut().zip(&row).for_each(|(s, k)| *s += q[d] * k);
        }
    }
}

fn weigh<E: Copy>(w: &[f32], values: &[E], slots: Range<usize>, acc: &mut [f32], to_f32: impl Fn(E) -> f32) {
    let (_, dim) = check_weigh(w, values, &slots, acc);
    for slot in slots {
        for (w, acc) in w.chunks_exact(SLOTS).zip(acc.chunks_exact_mut(dim)) {
            let values = &values[slot * dim..][..dim];
            acc.iter_mut().zip(values).for_each(|(y, v)| *y += w[slot] * to_f32(*v));
        }
    }
}
