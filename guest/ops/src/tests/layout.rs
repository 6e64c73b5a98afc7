//! Where values lie: apart from what is alive with them, aligned, in no more memory than they need.

use super::sketch::{D, KV, Sketch};
use crate::layout::{ALIGN, layout};
use crate::op::{Attention, Gather, Scale};
use crate::plan::ValueId;
use crate::testing::{limits, random_plan};
use crate::{FusedPlan, ValidPlan, fuse, validate};

const X: ValueId = ValueId(0);

/// Elements of a value for the largest step, rounded up to [`ALIGN`].
fn size(fused: &FusedPlan, value: usize) -> usize {
    let elements = fused.plan().max_step_tokens as usize * fused.shapes()[value].cols as usize;
    elements.div_ceil(ALIGN) * ALIGN
}

/// First and last op at which a value must be in memory, worked out op by op; `None` if no op defines it.
fn needed(fused: &FusedPlan, value: usize) -> Option<(usize, usize)> {
    let id = ValueId(value as u32);
    let nodes = fused.nodes();
    let first = nodes.iter().position(|n| n.outs.contains(&id))?;
    let last = nodes.iter().rposition(|n| n.op.inputs().any(|input| input == id));
    let last = if id == fused.plan().output { Some(nodes.len() - 1) } else { last };
    Some((first, last.unwrap_or(first)))
}

/// Pairs of values that are in memory together do not overlap; returns how many pairs there were.
fn check(fused: &FusedPlan) -> usize {
    let found = layout(fused);
    let place = |v: usize| found.offsets[v]..found.offsets[v] + size(fused, v);
    let mut defined = Vec::new();
    for v in 0..fused.shapes().len() {
        match needed(fused, v) {
            None => assert_eq!(found.offsets[v], usize::MAX, "%{v} is not defined in\n{fused}"),
            Some(life) => defined.push((v, life)),
        }
    }
    assert_eq!(defined.iter().map(|d| place(d.0).end).max(), Some(found.total), "{fused}");
    let mut pairs = 0;
    for (i, &(a, alive_a)) in defined.iter().enumerate() {
        assert_eq!(found.offsets[a] % ALIGN, 0, "%{a} in\n{fused}");
        for &(b, alive_b) in &defined[..i] {
            let together = alive_a.0 <= alive_b.1 && alive_b.0 <= alive_a.1;
            let apart = place(a).end <= place(b).start || place(b).end <= place(a).start;
            assert!(apart || !together, "%{a} {:?} and %{b} {:?} in\n{fused}", place(a), place(b));
            pairs += usize::from(together);
        }
    }
    pairs
}

/// Most elements needed at one op, and elements of all values.
fn bounds(fused: &FusedPlan) -> (usize, usize) {
    let alive_at = |at: usize| {
        let alive = |&v: &usize| needed(fused, v).is_some_and(|(first, last)| (first..=last).contains(&at));
        (0..fused.shapes().len()).filter(alive).map(|v| size(fused, v)).sum()
    };
    let defined = (0..fused.shapes().len()).filter(|&v| needed(fused, v).is_some());
    ((0..fused.nodes().len()).map(alive_at).max().unwrap_or(0), defined.map(|v| size(fused, v)).sum())
}

#[test]
fn values_alive_together_lie_apart_and_aligned() {
    let (mut pairs, mut reused, mut sums) = (0, 0, (0, 0));
    for seed in 0..300 {
        let fused = fuse(&validate(random_plan(seed), &limits()).unwrap());
        pairs += check(&fused);
        let (total, (least, most)) = (layout(&fused).total, bounds(&fused));
        assert!((least..=most).contains(&total), "{total}, expected {least} to {most} in\n{fused}");
        sums = (sums.0 + total, sums.1 + least);
        reused += usize::from(total < most);
    }
    assert!(pairs > 1000 && reused > 200, "{pairs} pairs, {reused} plans with reuse");
    // First fit leaves holes, but few.
    assert!(sums.0 * 10 <= sums.1 * 11, "{sums:?}");
}

fn of(valid: &ValidPlan) -> (Vec<usize>, usize) {
    let fused = fuse(valid);
    check(&fused);
    let found = layout(&fused);
    (found.offsets, found.total)
}

#[test]
fn a_chain_needs_room_for_two() {
    let mut s = Sketch::new(&[]);
    let x = (0..5).fold(X, |x, _| s.op(Scale { x, by: 2.0 }));
    // Four tokens of four elements each, and the wanted ones.
    assert_eq!(of(&s.wanted(x)), (vec![0, 16, 0, 16, 0, 16, 0], 32));
}

#[test]
fn odd_sizes_are_rounded_up() {
    let mut s = Sketch::new(&[]);
    let x = s.linear(X, D, 5); // 20 elements, 32 with their end
    let x = s.linear(x, 5, D);
    assert_eq!(of(&s.wanted(x)), (vec![0, 16, 0, 16], 48));
}

#[test]
fn holes_that_touch_are_joined() {
    let mut s = Sketch::new(&[]);
    let a = s.op(Scale { x: X, by: 2.0 });
    let b = s.op(Scale { x: X, by: 3.0 });
    let c = s.mul(a, b); // the last reader of both
    let c = s.mul(c, X);
    let wide = s.linear(c, D, 12);
    let x = s.linear(wide, 12, D);
    let x = s.add(x, c);
    // X, a, b, a * b in a row; c over a; wide, of 48, over b and a * b and beyond.
    assert_eq!(of(&s.wanted(x)), (vec![0, 16, 32, 48, 16, 32, usize::MAX, 0, 16], 80));
}

#[test]
fn a_hole_is_joined_with_those_on_both_sides() {
    let kv = crate::plan::LayerKv { n_kv_heads: 1, k_dim: 4, v_dim: 4 };
    let mut s = Sketch::new(&[kv; 3]);
    let [a, b, c, last] = [1.0, 2.0, 3.0, 4.0].map(|by| s.op(Scale { x: X, by }));
    // The one in the middle dies last.
    for (layer, x) in [(0, a), (1, c), (2, b)] {
        s.append_to(layer, x, x);
    }
    let wide = s.linear(X, D, 12);
    let x = s.linear(wide, 12, D);
    let x = s.mul(x, last);
    assert_eq!(of(&s.wanted(x)), (vec![0, 16, 32, 48, 64, 16, 0, 16, 0], 80));
}

#[test]
fn the_output_lives_to_the_end() {
    let mut s = Sketch::new(&[KV]);
    let output = s.op(Gather { x: X });
    let (k, v) = (s.linear(X, D, 8), s.linear(X, D, 6));
    s.append(k, v);
    assert_eq!(of(&s.finish(output)), (vec![0, 16, 32, 64], 96));
}

#[test]
fn an_op_that_makes_several_values() {
    let mut s = Sketch::new(&[KV]);
    let (k, v, q) = (s.linear(X, D, 8), s.linear(X, D, 6), s.linear(X, D, 8));
    s.append(k, v);
    let y = s.op(Attention { q, layer: 0, n_heads: 2, scale: 1.0, window: None, softcap: None });
    let y = s.linear(y, 6, D);
    // Keys, values and queries are made together: 32 elements each, then attention's over the keys' place.
    assert_eq!(of(&s.wanted(y)), (vec![0, 16, 48, 80, 0, 32, 0], 112));
}
