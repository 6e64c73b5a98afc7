//! Mixtures of experts: references against values worked out by hand, and what validation refuses.

use crate::op::{Combine, Embed, Experts, Gather, Linear, Route};
use crate::plan::{CacheSpec, KvType, Plan, Recorder, TensorDecl, TensorId, ValueId};
use crate::tensor::TensorView;
use crate::testing::limits;
use crate::validate;
use alloc::string::ToString;
use alloc::vec::Vec;
use chord_quant::DType;

const X: ValueId = ValueId(0);

fn close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6;
    assert!(found.iter().zip(expected).all(near), "found {found:?}, expected {expected:?}");
}

fn route(used: u32, normalise: bool, scale: f32) -> Route {
    Route { logits: X, used, normalise, scale }
}

#[test]
fn routes() {
    // Softmax of ln(1..4) is 0.1, 0.2, 0.3, 0.4.
    let logits = [1f32, 4.0, 3.0, 2.0].map(f32::ln);
    close(&route(2, false, 1.0).reference(&logits, 4), &[1.0, 2.0, 0.4, 0.3]);
    close(&route(2, true, 1.0).reference(&logits, 4), &[1.0, 2.0, 4.0 / 7.0, 3.0 / 7.0]);
    close(&route(1, true, 2.5).reference(&logits, 4), &[1.0, 2.5]);
    // Ties go to the lower number; rows are on their own.
    close(
        &route(2, true, 1.0).reference(&[0.0, 0.0, 0.0, 9.0, 0.0, 9.0], 3),
        &[0.0, 1.0, 0.5, 0.5, 0.0, 2.0, 0.5, 0.5],
    );
    close(&route(2, true, 1.0).reference(&[f32::NEG_INFINITY, 1.0], 2), &[1.0, 0.0, 1.0, 0.0]);
    // NaN is chosen last and spoils all weights, so that it is noticed.
    let spoilt = route(2, true, 1.0).reference(&[f32::NAN, 1.0, 2.0], 3);
    assert_eq!(spoilt[..2], [2.0, 1.0]);
    assert!(spoilt[2..].iter().all(|w| w.is_nan()));
}

#[test]
fn numbers_of_no_expert() {
    let found = [-3.0, f32::NAN, 1.7, 3.0, 1e30].map(|n| Route::expert(n, 4));
    assert_eq!(found, [0, 0, 1, 3, 3]);
}

#[test]
fn products_and_sums() {
    // Two experts of two rows: (1, 0), (0, 1) and (1, 1), (2, -1).
    let weight: Vec<u8> =
        [1f32, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, -1.0].iter().flat_map(|w| w.to_le_bytes()).collect();
    let decl = TensorDecl { name: "w".into(), dtype: DType::F32, cols: 2, rows: 4 };
    let view = || TensorView::new(&decl, &weight).unwrap();
    let op = Experts { x: X, route: X, weight: TensorId(0), count: 2, scale: None };
    // One input for both experts, the second one first.
    let route = [1.0, 0.0, 0.75, 0.25];
    close(&op.reference(&[3.0, 5.0], &route, 2, view(), None), &[8.0, 1.0, 3.0, 5.0]);
    // An input for each.
    close(&op.reference(&[3.0, 5.0, 7.0, 11.0], &route, 2, view(), None), &[8.0, 1.0, 7.0, 11.0]);
    close(&op.reference(&[3.0, 5.0], &route, 2, view(), Some(&[2.0, 10.0])), &[80.0, 10.0, 6.0, 10.0]);
    close(&Combine::reference(&[8.0, 1.0, 3.0, 5.0], &route, 2), &[6.75, 2.0]);
}

/// Router, experts of 4 to 6, back to 4, sum.
fn plan() -> Plan {
    let mut r = Recorder::new(CacheSpec { layers: Vec::new(), dtype: KvType::F16, max_tokens: 64 }, 4);
    let sizes = [("embd", 10, 4), ("router", 3, 4), ("up", 18, 4), ("down", 12, 6)];
    let t: Vec<TensorId> = sizes
        .map(|(name, rows, cols)| r.tensor(TensorDecl { name: name.into(), dtype: DType::F32, cols, rows }))
        .to_vec();
    let x = r.op(Embed { table: t[0] });
    let logits = r.op(Linear { x, weight: t[1], scale: None, bias: None });
    let route = r.op(Route { logits, used: 2, normalise: true, scale: 1.0 }); // 2
    let h = r.op(Experts { x, route, weight: t[2], count: 3, scale: None }); // 3
    let h = r.op(Experts { x: h, route, weight: t[3], count: 3, scale: None }); // 4
    let x = r.op(Combine { x: h, route }); // 5
    let x = r.op(Gather { x });
    r.finish(x)
}

#[test]
fn the_plan_is_valid() {
    let valid = validate(plan(), &limits()).unwrap();
    let cols: Vec<u32> = valid.shapes().iter().map(|s| s.cols).collect();
    assert_eq!(cols, [4, 3, 4, 12, 8, 4, 4]);
    let text = valid.to_string();
    for part in [
        "route %1 used=2 normalised scale=1",
        "experts %0 route=%2 up F32 18x4 count=3",
        "combine %4 route=%2",
    ] {
        assert!(text.contains(part), "`{part}` in {text}");
    }
}

/// Rows of 4 floats of the embedding for each token, the router once, and 96 bytes of each expert that is met, twice.
#[test]
fn a_step_reads_the_experts_that_it_meets() {
    let valid = validate(plan(), &limits()).unwrap();
    let bytes = |tokens: u64, met: u64| 16 * tokens + 48 + 2 * 96 * met;
    for reads in [valid.weight_reads(), crate::fuse(&valid).weight_reads()] {
        let found = [0, 1, 2, 100, u64::MAX].map(|tokens| reads.of_step(tokens));
        assert_eq!(found, [bytes(0, 0), bytes(1, 2), bytes(2, 3), bytes(100, 3), u64::MAX]);
    }
    let text = valid.to_string();
    assert!(text.contains("weights read per token: 448 B"), "{text}");
}

#[test]
fn what_is_refused() {
    let refused = |change: fn(&mut Plan), part: &str| {
        let mut plan = plan();
        change(&mut plan);
        let error = validate(plan, &limits()).unwrap_err().to_string();
        assert!(error.contains(part), "`{part}` in {error}");
    };
    macro_rules! change {
        ($at:expr, $op:ident { $($field:ident: $value:expr),* }) => {
            |p| match &mut p.nodes[$at].op {
                crate::Op::$op(o) => { $(o.$field = $value;)* }
                other => panic!("{other:?}"),
            }
        };
    }
    refused(change!(2, Route { used: 0 }), "used");
    refused(change!(2, Route { used: 4 }), "used");
    refused(change!(2, Route { scale: f32::NAN }), "scale");
    refused(change!(3, Experts { count: 0 }), "count");
    refused(change!(3, Experts { count: 4 }), "count");
    refused(change!(3, Experts { count: 5000 }), "count");
    // Logits are no route: three columns.
    refused(change!(3, Experts { route: ValueId(1) }), "route");
    refused(change!(3, Experts { weight: TensorId(3) }), "down");
    refused(change!(3, Experts { weight: TensorId(9) }), "9");
    refused(change!(3, Experts { x: ValueId(3) }), "3");
    refused(change!(5, Combine { route: ValueId(1) }), "route");
    refused(change!(5, Combine { x: ValueId(1) }), "parts");
    refused(|p| p.tensors[2].rows = 3 << 40, "bytes");
}
