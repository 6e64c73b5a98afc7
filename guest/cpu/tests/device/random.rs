//! Random plans and random steps, forks and cuts: the device gives what the reference gives.

use super::threads::device;
use chord_cpu::Kernels;
use chord_ops::testing::{limits, play, random_plan};
use chord_ops::{DeviceError, Picked, Reference, ValidPlan, validate};
use proptest::prelude::*;

/// Squared error over squared norm, of all values.
fn nmse(found: &[f32], expected: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let error: f64 = found.iter().zip(expected).map(|(f, e)| square(f64::from(f - e))).sum();
    let norm: f64 = expected.iter().map(|&e| square(f64::from(e))).sum();
    error / norm.max(1e-6)
}

/// How far results of a plan may be from the reference: activations are quantised to 8 bits where weights are.
fn bound(plan: &ValidPlan) -> f64 {
    let quantised = plan.plan().tensors.iter().any(|t| t.dtype.is_quantised());
    if quantised { 2e-2 } else { 1e-6 }
}

/// Errors of the steps that both have run. Ends where one device has no room: pages are rounded up.
fn compare(
    found: &[Result<Picked, DeviceError>],
    expected: &[Result<Picked, DeviceError>],
) -> Result<Vec<f64>, TestCaseError> {
    let mut errors = Vec::new();
    for (found, expected) in found.iter().zip(expected) {
        match (found, expected) {
            (Ok(f), Ok(e)) => {
                prop_assert_eq!((f.k, f.values.len(), f.indices.len()), (e.k, e.values.len(), e.indices.len()));
                errors.push(nmse(&f.values, &e.values));
            }
            (Err(DeviceError::CacheFull { .. }), _) => break,
            (Err(f), Err(e)) => prop_assert_eq!(f, e),
            (f, e) => prop_assert!(false, "{f:?} instead of {e:?}"),
        }
    }
    Ok(errors)
}

fn check(kernels: Kernels, seed: u64) -> Result<usize, TestCaseError> {
    let plan = validate(random_plan(seed), &limits()).unwrap();
    let expected = play(&Reference { fused: false }, &plan, seed).unwrap();
    let found = play(&device(kernels, 1 + seed as usize % 3), &plan, seed).unwrap();
    let errors = compare(&found, &expected)?;
    for error in &errors {
        prop_assert!(*error <= bound(&plan), "seed {seed}: NMSE {error:e} in\n{plan}");
    }
    Ok(errors.len())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_plans_match_the_reference(seed: u64) {
        for isa in Kernels::isas() {
            check(Kernels::with_isa(isa).unwrap(), seed)?;
        }
    }
}

#[test]
fn most_random_steps_are_compared() {
    let steps: usize = (0..50).map(|seed| check(Kernels::portable(), seed).unwrap()).sum();
    assert!(steps > 200, "{steps} steps in 50 scripts");
}
