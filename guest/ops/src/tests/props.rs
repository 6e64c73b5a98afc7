//! Random plans, as they are and mutated: nothing panics, and what is accepted runs alike recorded and fused.

use crate::device::{DeviceError, Picked};
use crate::layout::layout;
use crate::op::{Epilogue, Op};
use crate::testing::{Rng, limits, mutate, play, random_plan};
use crate::{FusedPlan, PlanError, Reference, ValidPlan, fuse, validate};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Bits of the values, indices, k.
pub(super) type Bits = (Vec<u32>, Vec<u32>, u32);

pub(super) fn bits(results: &[Result<Picked, DeviceError>]) -> Vec<Result<Bits, DeviceError>> {
    let canonical = |v: &f32| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() };
    let one = |p: &Picked| (p.values.iter().map(canonical).collect(), p.indices.clone(), p.k);
    results.iter().map(|r| r.as_ref().map(one).map_err(Clone::clone)).collect()
}

/// A fused plan is legal: values are defined once and before use, effects keep their order, only devices' ops are left.
fn check_order(valid: &ValidPlan, fused: &FusedPlan) {
    let mut defined = vec![false; fused.shapes().len()];
    for node in fused.nodes() {
        assert!(!matches!(node.op, Op::Linear(_)), "{:?}", node.op);
        assert_eq!(node.op.n_outputs() as usize, node.outs.len());
        for input in node.op.inputs() {
            assert!(defined[input.0 as usize], "{input} is read before it is defined in\n{fused}");
        }
        for out in &node.outs {
            assert!(!std::mem::replace(&mut defined[out.0 as usize], true), "{out} is defined twice");
        }
    }
    assert!(defined[fused.plan().output.0 as usize]);
    // Attention that nothing reads may be gone; all else that touches the cache is there, in its order.
    let (recorded, fused_ops) = (cache_ops(valid.plan()), cache_ops(fused.plan()));
    let mut rest = recorded.iter();
    assert!(fused_ops.iter().all(|op| rest.any(|r| r == op)), "{valid}\n{fused}");
    let appends = |ops: &[(bool, u32)]| ops.iter().filter(|op| op.0).count();
    assert_eq!(appends(&recorded), appends(&fused_ops), "{valid}\n{fused}");
}

/// Which layers are written and read, in order.
fn cache_ops(plan: &crate::Plan) -> Vec<(bool, u32)> {
    let one = |op: &Op| match op {
        Op::Append(o) => Some((true, o.layer)),
        Op::RopeAppend(o) => Some((true, o.layer)),
        Op::Attention(o) => Some((false, o.layer)),
        _ => None,
    };
    plan.nodes.iter().filter_map(|n| one(&n.op)).collect()
}

/// Everything that is done with an accepted plan.
fn check_accepted(valid: &ValidPlan, seed: u64) -> usize {
    let fused = fuse(valid);
    check_order(valid, &fused);
    let alive = crate::liveness::peak_bytes(fused.plan(), fused.shapes()).unwrap();
    assert!(alive <= valid.scratch_bytes(), "fusing made more memory alive:\n{valid}\n{fused}");
    assert!(layout(&fused).total as u64 * 4 >= alive);
    assert!(!valid.to_string().is_empty() && !fused.to_string().is_empty());
    let recorded = play(&Reference::default(), valid, seed).unwrap();
    let arena = play(&Reference { fused: true, noise: None }, valid, seed).unwrap();
    assert_eq!(bits(&recorded), bits(&arena), "{valid}\n{fused}");
    recorded.iter().filter(|r| r.is_ok()).count()
}

fn mutant(seed: u64) -> Result<ValidPlan, PlanError> {
    let mut plan = random_plan(seed);
    let mut rng = Rng::new(seed ^ 0x5bd1_e995);
    mutate(&mut plan, &mut rng);
    let _ = plan.to_string(); // printing needs no validation
    validate(plan, &limits())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn random_plans_are_valid_and_fuse_to_the_same_results(seed: u64) {
        let valid = validate(random_plan(seed), &limits());
        prop_assert!(valid.is_ok(), "{:?}\n{}", valid, random_plan(seed));
        check_accepted(&valid.unwrap(), seed);
    }

    #[test]
    fn mutants_are_refused_or_run(seed: u64) {
        if let Ok(valid) = mutant(seed) {
            check_accepted(&valid, seed);
        }
    }
}

/// The name of a variant, with its outer variant.
fn kind(error: &PlanError) -> String {
    let text = match error {
        PlanError::Node { error, .. } => format!("node {error:?}"),
        PlanError::Tensor { error, .. } => format!("tensor {error:?}"),
        PlanError::Cache(error) => format!("cache {error:?}"),
        other => format!("{other:?}"),
    };
    text.split(['{', '(']).next().unwrap_or_default().trim().into()
}

/// What the property tests above are worth: mutants meet nearly every check, and some pass.
#[test]
fn mutants_are_refused_in_many_ways() {
    let outcomes: Vec<_> = (0..4000).map(mutant).collect();
    let kinds: BTreeSet<String> = outcomes.iter().filter_map(|o| o.as_ref().err()).map(kind).collect();
    assert!(kinds.len() >= 28, "{} kinds: {kinds:?}", kinds.len());
    assert!(outcomes.iter().filter(|o| o.is_ok()).count() > 100);
}

#[test]
fn random_plans_meet_every_fusion() {
    let mut met = BTreeSet::new();
    for seed in 0..500 {
        let fused = fuse(&validate(random_plan(seed), &limits()).unwrap());
        met.extend(fused.nodes().iter().map(|node| match &node.op {
            Op::Project(p) => {
                let epilogue = match p.epilogue {
                    Epilogue::Each => "each",
                    Epilogue::Glu(_) => "glu",
                    Epilogue::Add(_) => "add",
                };
                format!("{} {epilogue}", if p.norm.is_some() { "norm" } else { "plain" })
            }
            op => op.name().to_string(),
        }));
    }
    for expected in ["norm each", "norm glu", "plain each", "plain glu", "plain add", "rope-append"] {
        assert!(met.contains(expected), "{expected} is not among {met:?}");
    }
}
