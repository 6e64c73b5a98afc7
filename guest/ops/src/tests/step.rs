//! What a step hands back, and what is wrong with one.

use crate::device::{DeviceError, Pick, Picked, SeqId, Span, Step};
use crate::step::StepLimits;
use alloc::string::ToString;
use alloc::vec::Vec;
use proptest::prelude::*;

/// The definition: all columns in order, NaN first, then from the largest value down, earlier columns first.
fn sorted(row: &[f32], k: usize) -> Vec<u32> {
    let mut columns: Vec<u32> = (0..row.len() as u32).collect();
    let key = |c: u32| (row[c as usize].is_nan(), row[c as usize]);
    columns.sort_by(|&a, &b| {
        let ((a_nan, a), (b_nan, b)) = (key(a), key(b));
        b_nan.cmp(&a_nan).then(b.partial_cmp(&a).unwrap_or(core::cmp::Ordering::Equal))
    });
    columns.truncate(k);
    columns
}

/// Few different values, so that there are ties, and all that floats can be.
fn value() -> impl Strategy<Value = f32> {
    const ODD: &[f32] = &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1.0, -1.0];
    let few = (0u8..20).prop_map(f32::from);
    prop_oneof![4 => -1000.0f32..1000.0, 2 => few, 1 => proptest::sample::select(ODD)]
}

fn check(row: &[f32], k: u32) {
    let Picked { values, indices, k: kept } = Pick::Top(k).of_rows(row, row.len() as u32);
    assert_eq!(kept as usize, row.len().min(k as usize));
    assert_eq!(indices, sorted(row, k as usize), "the top {k} of {row:?}");
    for (value, &column) in values.iter().zip(&indices) {
        assert_eq!(value.to_bits(), row[column as usize].to_bits());
    }
}

proptest! {
    #[test]
    fn the_top_elements_are_those_that_sorting_finds(
        row in proptest::collection::vec(value(), 1..700),
        k in prop_oneof![1u32..5, 1u32..900],
    ) {
        check(&row, k);
    }
}

#[test]
fn the_top_elements_of_rows_in_every_order() {
    let n = 3000;
    let rows: [fn(usize) -> f32; 6] = [
        |i| i as f32,
        |i| -(i as f32),
        |_| 7.0,
        |_| f32::NAN,
        |_| f32::NEG_INFINITY,
        |i| if i % 500 == 499 { f32::NAN } else { (i * 7919 % 3001) as f32 },
    ];
    for row in rows {
        let row: Vec<f32> = (0..n).map(row).collect();
        for k in [1, 2, 40, 63, 64, 65, 1499, 1500, 1501, 2999, 3000, 4000] {
            check(&row, k);
        }
    }
}

#[test]
fn each_row_is_picked_from_alone() {
    let picked = Pick::Top(2).of_rows(&[1.0, 3.0, 2.0, 9.0, 8.0, 7.0], 3);
    assert_eq!(
        (picked.values, picked.indices, picked.k),
        ([3.0, 2.0, 9.0, 8.0].into(), [1, 2, 0, 1].into(), 2)
    );
    let all = Pick::All.of_rows(&[1.0, 3.0, 2.0, 9.0], 2);
    assert_eq!((all.values, all.indices, all.k), ([1.0, 3.0, 2.0, 9.0].into(), [].into(), 2));
}

#[test]
fn steps_are_refused_for_what_is_wrong_with_them() {
    let limits = StepLimits { tokens: 4, vocabulary: 10, cols: 10 };
    let span = |seq, len| Span { seq: SeqId(seq), len };
    let check = |tokens: &[u32], positions: &[u32], spans: &[Span], wanted: &[u32], pick| {
        let step = Step { tokens, positions, spans, wanted, pick };
        step.check(&limits, |seq| seq.0 < 2).map_err(|e| match e {
            DeviceError::Step(what) => what.to_string(),
            other => panic!("{other}"),
        })
    };
    let two = [span(0, 1), span(1, 1)];
    assert_eq!(check(&[1, 2], &[0, 0], &two, &[0, 1], Pick::Top(1)), Ok(()));
    assert_eq!(check(&[1, 2], &[0, 1], &[span(0, 2)], &[], Pick::All), Ok(()));
    let refused: [(Result<(), _>, &str); 9] = [
        (check(&[], &[], &[], &[], Pick::All), "0 tokens, expected 1 to 4"),
        (check(&[1; 5], &[0; 5], &[span(0, 5)], &[], Pick::All), "5 tokens, expected 1 to 4"),
        (check(&[1, 2], &[0], &two, &[], Pick::All), "1 positions for 2 tokens"),
        (check(&[1, 10], &[0, 0], &two, &[], Pick::All), "token 10, expected one below 10"),
        (check(&[1], &[0], &[span(0, 1)], &[], Pick::Top(0)), "the top 0 elements, expected at least 1"),
        (check(&[1, 2], &[0, 1], &[span(0, 1)], &[], Pick::All), "spans of 1 tokens in all for 2 tokens"),
        (check(&[1], &[0], &[span(2, 1)], &[], Pick::All), "sequence 2 is not open"),
        (check(&[1, 2], &[0, 1], &[span(0, 1); 2], &[], Pick::All), "sequence 0 has more than one span"),
        (check(&[1], &[0], &[span(0, 1)], &[1], Pick::All), "token 1 is wanted, the step has 1"),
    ];
    for (found, expected) in refused {
        assert_eq!(found, Err(expected.to_string()));
    }
}
