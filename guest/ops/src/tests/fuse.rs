//! Each pattern: what it makes of its neighbours, and the plans one step away that it leaves alone.
//!
//! Every plan here also runs recorded and fused, with the same bits (see [`fused`]).

use super::sketch::{D, KV, Sketch, fused};
use crate::op::{Activation, Glu, Linear, Norm, NormKind, Scale};
use crate::plan::ValueId;

/// The embedding.
const X: ValueId = ValueId(0);

#[test]
fn linear_becomes_a_project() {
    let mut s = Sketch::new(&[]);
    let (weight, bias) = (s.tensor("w", D, D), Some(s.tensor("b", 1, D)));
    let y = s.op(Linear { x: X, weight, scale: None, bias });
    assert_eq!(fused(&s.wanted(y)), ["%1 = project %0 mats=[w1 F32 4x4 + b2]"]);
}

#[test]
fn what_nothing_reads_is_dropped_with_what_only_it_read() {
    let mut s = Sketch::new(&[]);
    let kept = s.norm(X, D);
    let dropped = s.linear(X, D, 6);
    let dropped = s.op(Scale { x: dropped, by: 2.0 });
    s.glu(dropped, dropped);
    // It reads what is needed anyway.
    s.mul(kept, X);
    assert_eq!(fused(&s.wanted(kept)), ["%1 = norm %0 rms(1e-5, n1) group=4"]);
}

#[test]
fn effects_and_the_output_are_not_unread() {
    let mut s = Sketch::new(&[KV]);
    let (k, v) = (s.linear(X, D, 8), s.linear(X, D, 6));
    s.append(k, v);
    let expected = ["%1, %2 = project %0 mats=[w1 F32 8x4, w2 F32 6x4]", "append k=%1 v=%2 layer=0"];
    assert_eq!(fused(&s.wanted(X)), expected);
}

#[test]
fn gate_and_up_become_one_project_where_the_later_was() {
    let mut s = Sketch::new(&[]);
    let gate = s.linear(X, D, 6);
    let between = s.norm(X, D);
    let up = s.linear(X, D, 6);
    let y = s.glu(gate, up);
    let y = s.linear(y, 6, D);
    let y = s.mul(y, between);
    let expected = [
        "%2 = norm %0 rms(1e-5, n2) group=4",
        "%4 = project %0 mats=[w1 F32 6x4, w3 F32 6x4] glu=silu",
        "%5 = project %4 mats=[w4 F32 4x6]",
        "%6 = mul %5 %2",
    ];
    assert_eq!(fused(&s.wanted(y)), expected);
}

#[test]
fn the_gate_is_the_first_matrix_whichever_came_first() {
    let mut s = Sketch::new(&[]);
    let (up, gate) = (s.linear(X, D, D), s.linear(X, D, D));
    let y = s.op(Glu { gate, up, act: Activation::Gelu });
    assert_eq!(fused(&s.wanted(y)), ["%3 = project %0 mats=[w2 F32 4x4, w1 F32 4x4] glu=gelu"]);
}

#[test]
fn gates_that_stay_apart() {
    // The two read different values.
    let mut s = Sketch::new(&[]);
    let other = s.op(Scale { x: X, by: 2.0 });
    let (gate, up) = (s.linear(X, D, D), s.linear(other, D, D));
    let y = s.glu(gate, up);
    let expected = [
        "%1 = scale %0 by=2",
        "%2 = project %0 mats=[w1 F32 4x4]",
        "%3 = project %1 mats=[w2 F32 4x4]",
        "%4 = glu %2 %3 act=silu",
    ];
    assert_eq!(fused(&s.wanted(y)), expected);

    // Something else reads one of them.
    for read_gate in [true, false] {
        let mut s = Sketch::new(&[]);
        let (gate, up) = (s.linear(X, D, D), s.linear(X, D, D));
        let y = s.glu(gate, up);
        let y = s.mul(y, if read_gate { gate } else { up });
        let last = if read_gate { "%4 = mul %3 %1" } else { "%4 = mul %3 %2" };
        let both = "%1, %2 = project %0 mats=[w1 F32 4x4, w2 F32 4x4]";
        assert_eq!(fused(&s.wanted(y)), [both, "%3 = glu %1 %2 act=silu", last]);
    }

    // Both halves are one value.
    let mut s = Sketch::new(&[]);
    let gate = s.linear(X, D, D);
    let y = s.glu(gate, gate);
    assert_eq!(fused(&s.wanted(y)), ["%1 = project %0 mats=[w1 F32 4x4]", "%2 = glu %1 %1 act=silu"]);

    // One half is no product.
    let mut s = Sketch::new(&[]);
    let gate = s.linear(X, D, D);
    let y = s.glu(gate, X);
    assert_eq!(fused(&s.wanted(y)), ["%1 = project %0 mats=[w1 F32 4x4]", "%2 = glu %1 %0 act=silu"]);
}

#[test]
fn a_project_adds_its_residual_on_either_side() {
    for product_first in [true, false] {
        let mut s = Sketch::new(&[]);
        let y = s.linear(X, D, D);
        let y = if product_first { s.add(y, X) } else { s.add(X, y) };
        assert_eq!(fused(&s.wanted(y)), ["%2 = project %0 mats=[w1 F32 4x4] add=%0"]);
    }
    // Of two products, the later one adds the earlier.
    let mut s = Sketch::new(&[]);
    let (a, b) = (s.linear(X, D, D), s.linear(X, D, D));
    let y = s.add(a, b);
    let expected = ["%1 = project %0 mats=[w1 F32 4x4]", "%3 = project %0 mats=[w2 F32 4x4] add=%1"];
    assert_eq!(fused(&s.wanted(y)), expected);
}

#[test]
fn residuals_that_stay_apart() {
    // The other operand is defined after the product.
    let mut s = Sketch::new(&[]);
    let y = s.linear(X, D, D);
    let later = s.op(Scale { x: X, by: 2.0 });
    let y = s.add(y, later);
    let expected = ["%1 = project %0 mats=[w1 F32 4x4]", "%2 = scale %0 by=2", "%3 = add %1 %2"];
    assert_eq!(fused(&s.wanted(y)), expected);

    // Something else reads the product.
    let mut s = Sketch::new(&[]);
    let a = s.linear(X, D, D);
    let y = s.add(a, X);
    let y = s.mul(y, a);
    let expected = ["%1 = project %0 mats=[w1 F32 4x4]", "%2 = add %1 %0", "%3 = mul %2 %1"];
    assert_eq!(fused(&s.wanted(y)), expected);

    // Both operands are the product.
    let mut s = Sketch::new(&[]);
    let y = s.linear(X, D, D);
    let y = s.add(y, y);
    assert_eq!(fused(&s.wanted(y)), ["%1 = project %0 mats=[w1 F32 4x4]", "%2 = add %1 %1"]);

    // The product is gated.
    let mut s = Sketch::new(&[]);
    let (gate, up) = (s.linear(X, D, D), s.linear(X, D, D));
    let y = s.glu(gate, up);
    let y = s.add(y, X);
    let expected = ["%3 = project %0 mats=[w1 F32 4x4, w2 F32 4x4] glu=silu", "%4 = add %3 %0"];
    assert_eq!(fused(&s.wanted(y)), expected);
}

/// The product of all values, so that each is read.
fn product(s: &mut Sketch, values: &[ValueId]) -> ValueId {
    values.iter().copied().reduce(|a, b| s.mul(a, b)).unwrap()
}

#[test]
fn products_of_one_value_in_a_row_share_a_project_of_at_most_eight() {
    let mut s = Sketch::new(&[]);
    let all: Vec<ValueId> = (0..9).map(|_| s.linear(X, D, D)).collect();
    let y = product(&mut s, &all);
    let found = fused(&s.wanted(y));
    let eight =
        "w1 F32 4x4, w2 F32 4x4, w3 F32 4x4, w4 F32 4x4, w5 F32 4x4, w6 F32 4x4, w7 F32 4x4, w8 F32 4x4";
    assert_eq!(found[0], format!("%1, %2, %3, %4, %5, %6, %7, %8 = project %0 mats=[{eight}]"));
    assert_eq!(found[1], "%9 = project %0 mats=[w9 F32 4x4]");
    assert_eq!(found[2], "%10 = mul %1 %2");
}

#[test]
fn products_that_stay_apart() {
    // Another op stands between them.
    let mut s = Sketch::new(&[]);
    let a = s.linear(X, D, D);
    let between = s.op(Scale { x: X, by: 2.0 });
    let b = s.linear(X, D, D);
    let y = product(&mut s, &[a, between, b]);
    let expected =
        ["%1 = project %0 mats=[w1 F32 4x4]", "%2 = scale %0 by=2", "%3 = project %0 mats=[w2 F32 4x4]"];
    assert_eq!(fused(&s.wanted(y))[..3], expected);

    // They read different values.
    let mut s = Sketch::new(&[]);
    let a = s.linear(X, D, D);
    let b = s.linear(a, D, D);
    let y = s.mul(a, b);
    let expected =
        ["%1 = project %0 mats=[w1 F32 4x4]", "%2 = project %1 mats=[w2 F32 4x4]", "%3 = mul %1 %2"];
    assert_eq!(fused(&s.wanted(y)), expected);

    // The second adds a residual.
    let mut s = Sketch::new(&[]);
    let (a, b) = (s.linear(X, D, D), s.linear(X, D, D));
    let b = s.add(b, X);
    let y = s.mul(a, b);
    let expected = ["%1 = project %0 mats=[w1 F32 4x4]", "%3 = project %0 mats=[w2 F32 4x4] add=%0"];
    assert_eq!(fused(&s.wanted(y))[..2], expected);
}

#[test]
fn a_norm_that_only_one_project_reads_is_its_prologue() {
    let mut s = Sketch::new(&[]);
    let (weight, bias) = (Some(s.tensor("n", 1, D)), Some(s.tensor("b", 1, D)));
    let h = s.op(Norm { x: X, kind: NormKind::Layer, weight, bias, eps: 0.25, group: D });
    let (a, b) = (s.linear(h, D, D), s.linear(h, D, D));
    let y = s.mul(a, b);
    let project = "%2, %3 = project %0 norm=layer(2.5e-1, n1, b2) mats=[w3 F32 4x4, w4 F32 4x4]";
    assert_eq!(fused(&s.wanted(y)), [project, "%4 = mul %2 %3"]);

    // With a residual that is what the norm reads.
    let mut s = Sketch::new(&[]);
    let h = s.norm(X, D);
    let y = s.linear(h, D, D);
    let y = s.add(X, y);
    assert_eq!(fused(&s.wanted(y)), ["%3 = project %0 norm=rms(1e-5, n1) mats=[w2 F32 4x4] add=%0"]);
}

#[test]
fn norms_that_stay_apart() {
    // Groups are smaller than the row.
    let mut s = Sketch::new(&[]);
    let h = s.norm(X, 2);
    let y = s.linear(h, D, D);
    let expected = ["%1 = norm %0 rms(1e-5, n1) group=2", "%2 = project %1 mats=[w2 F32 4x4]"];
    assert_eq!(fused(&s.wanted(y)), expected);

    // Something else reads it.
    let mut s = Sketch::new(&[]);
    let h = s.norm(X, D);
    let y = s.linear(h, D, D);
    let y = s.mul(y, h);
    let expected =
        ["%1 = norm %0 rms(1e-5, n1) group=4", "%2 = project %1 mats=[w2 F32 4x4]", "%3 = mul %2 %1"];
    assert_eq!(fused(&s.wanted(y)), expected);

    // The project adds it, too.
    let mut s = Sketch::new(&[]);
    let h = s.norm(X, D);
    let y = s.linear(h, D, D);
    let y = s.add(y, h);
    let expected = ["%1 = norm %0 rms(1e-5, n1) group=4", "%3 = project %1 mats=[w2 F32 4x4] add=%1"];
    assert_eq!(fused(&s.wanted(y)), expected);
}

/// Keys, values and an append, with a rope of the keys in heads of `head_dim`; `tail` may read the roped keys.
fn roped(head_dim: u32, tail: impl Fn(&mut Sketch, ValueId) -> ValueId) -> Vec<String> {
    let mut s = Sketch::new(&[KV]);
    let (k, v) = (s.linear(X, D, 8), s.linear(X, D, 6));
    let k = s.rope(k, head_dim);
    s.append(k, v);
    let y = tail(&mut s, k);
    fused(&s.wanted(y))
}

#[test]
fn a_rope_of_keys_joins_their_append() {
    let both = "%1, %2 = project %0 mats=[w1 F32 8x4, w2 F32 6x4]";
    let found = roped(4, |_, _| X);
    assert_eq!(found, [both, "rope-append k=%1 v=%2 layer=0 rope=halves(2/4, base=10000)"]);

    // Heads of the rope are not the layer's.
    let found = roped(2, |_, _| X);
    assert_eq!(found, [both, "%3 = rope %1 rope=halves(2/2, base=10000)", "append k=%3 v=%2 layer=0"]);

    // Something else reads the roped keys.
    let found = roped(4, |s, k| s.linear(k, 8, D));
    let expected = [
        both,
        "%3 = rope %1 rope=halves(2/4, base=10000)",
        "append k=%3 v=%2 layer=0",
        "%4 = project %3 mats=[w3 F32 4x8]",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_rope_of_values_or_of_both_stays() {
    let kv = crate::plan::LayerKv { v_dim: 4, ..KV };
    let mut s = Sketch::new(&[kv]);
    let (k, v) = (s.linear(X, D, 8), s.linear(X, D, 8));
    let v = s.rope(v, 4);
    s.append(k, v);
    assert_eq!(fused(&s.wanted(X))[2], "append k=%1 v=%3 layer=0");

    let mut s = Sketch::new(&[kv]);
    let k = s.linear(X, D, 8);
    let k = s.rope(k, 4);
    s.append(k, k);
    assert_eq!(fused(&s.wanted(X))[2], "append k=%2 v=%2 layer=0");
}
