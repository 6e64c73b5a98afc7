//! Scalar references against values worked out by hand.

use crate::op::{Activation, Attention, Glu, Norm, NormKind, Rope, RopeParams, RopeStyle, Softcap};
use crate::plan::{LayerKv, ValueId};

const X: ValueId = ValueId(0);

fn close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
    assert!(found.iter().zip(expected).all(near), "found {found:?}, expected {expected:?}");
}

fn norm(kind: NormKind, group: u32) -> Norm {
    Norm { x: X, kind, weight: None, bias: None, eps: 0.0, group }
}

#[test]
fn norms() {
    // Mean of squares (9 + 16) / 2 = 12.5; then 25.
    let root = 12.5f32.sqrt();
    close(
        &norm(NormKind::Rms, 2).reference(&[3.0, 4.0, 5.0, 5.0], None, None),
        &[3.0 / root, 4.0 / root, 1.0, 1.0],
    );
    // Mean 3, deviation 1.
    close(&norm(NormKind::Layer, 2).reference(&[2.0, 4.0], None, None), &[-1.0, 1.0]);
    close(
        &norm(NormKind::Layer, 2).reference(&[2.0, 4.0], Some(&[2.0, 3.0]), Some(&[10.0, 0.5])),
        &[8.0, 3.5],
    );
    let eps = Norm { eps: 3.0, ..norm(NormKind::Rms, 1) };
    close(&eps.reference(&[1.0], None, None), &[0.5]);
}

#[test]
fn activations() {
    let silu = |x| Activation::Silu.reference(x);
    close(&[silu(0.0), silu(1.0), silu(-1.0), silu(100.0)], &[0.0, 0.731_058_6, -0.268_941_43, 100.0]);
    let gelu = |x| Activation::Gelu.reference(x);
    close(&[gelu(0.0), gelu(1.0), gelu(-1.0), gelu(10.0)], &[0.0, 0.841_192, -0.158_808, 10.0]);
    assert_eq!([-1.0, 0.0, 2.0].map(|x| Activation::Relu.reference(x)), [0.0, 0.0, 2.0]);
    assert!(Activation::Relu.reference(f32::NAN).is_nan());
    assert_eq!(Glu::reference(Activation::Relu, &[2.0, -2.0], &[3.0, 3.0]), [6.0, 0.0]);
}

#[test]
fn soft_caps() {
    let cap = Softcap { x: X, cap: 30.0 };
    close(&cap.reference(&[0.0, 30.0, -30.0, 1e9]), &[0.0, 22.847_825, -22.847_825, 30.0]);
}

#[test]
fn rotations() {
    let params = |style| RopeParams {
        style,
        head_dim: 4,
        rot_dims: 4,
        base: 10_000.0,
        freq_scale: 1.0,
        factors: None,
        yarn: None,
    };
    // Pair 0 turns by 1 radian per position, pair 1 by 0.01.
    let (c, s) = (1f32.cos(), 1f32.sin());
    let (c2, s2) = (0.01f32.cos(), 0.01f32.sin());
    let x = [1.0, 0.0, 0.0, 1.0];
    close(&Rope::reference(&params(RopeStyle::Interleaved), &x, &[1], None), &[c, s, -s2, c2]);
    let x = [1.0, 0.0, 0.0, 1.0];
    close(&Rope::reference(&params(RopeStyle::Halves), &x, &[1], None), &[c, -s2, s, c2]);
    close(&Rope::reference(&params(RopeStyle::Halves), &x, &[0], None), &x);
    // A factor of 2 halves the frequency: position 2 is where position 1 was.
    let half = Rope::reference(&params(RopeStyle::Interleaved), &x, &[2], Some(&[2.0, 2.0]));
    close(&half, &[c, s, -s2, c2]);
}

#[test]
fn attention_weighs_values_by_softmax() {
    let kv = LayerKv { n_kv_heads: 1, k_dim: 1, v_dim: 2 };
    let op = Attention { q: X, layer: 0, n_heads: 2, scale: 1.0, window: None, softcap: None };
    let (keys, values): ([&[f32]; 2], [&[f32]; 2]) = ([&[0.0], &[1.0]], [&[1.0, 0.0], &[0.0, 1.0]]);
    // Head 0 asks with ln 3: weights 1/4 and 3/4. Head 1 asks with 0: equal weights.
    let q = [3f32.ln(), 0.0];
    close(&op.reference(kv, &q, &keys, &values), &[0.25, 0.75, 0.5, 0.5]);
    let last = Attention { window: Some(1), ..op };
    close(&last.reference(kv, &q, &keys, &values), &[0.0, 1.0, 0.0, 1.0]);
    // A score of 1000 is capped to 1: e : 1.
    let capped = Attention { softcap: Some(1.0), n_heads: 1, ..op };
    let e = std::f32::consts::E;
    close(&capped.reference(kv, &[1000.0], &keys, &values), &[1.0 / (1.0 + e), e / (1.0 + e)]);
}
