//! Random plans and random steps, forks and cuts: the device gives what the reference gives.

use super::threads::device;
use chord_cpu::Kernels;
use chord_ops::testing::{compare, limits, play, random_plan};
use chord_ops::{Reference, validate};
use proptest::prelude::*;

/// Steps compared.
fn check(kernels: Kernels, seed: u64) -> Result<usize, TestCaseError> {
    let plan = validate(random_plan(seed), &limits()).unwrap();
    let expected = play(&Reference { fused: false }, &plan, seed).unwrap();
    let found = play(&device(kernels, 1 + seed as usize % 3), &plan, seed).unwrap();
    compare(&plan, &found, &expected).map_err(|e| TestCaseError::fail(format!("seed {seed}: {e} in\n{plan}")))
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
