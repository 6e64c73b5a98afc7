//! Random plans and random steps, forks and cuts: the device gives what the reference gives.

use super::threads::device;
use chord_cpu::Kernels;
use chord_ops::testing::{compare, limits, random_plan};
use chord_ops::validate;
use std::ops::Range;

/// Steps compared.
fn check(kernels: Kernels, seed: u64) -> Result<usize, String> {
    let plan = validate(random_plan(seed), &limits()).unwrap();
    compare(&device(kernels, 1 + seed as usize % 3), &plan, seed)
        .map_err(|e| format!("seed {seed}: {e} in\n{plan}"))
}

/// Seeds are fixed: results are compared within a bound, and a plan that rounding can throw beyond it would otherwise
/// fail on somebody else's change. `CHORD_TEST_SEEDS=FROM..TO` hunts elsewhere.
#[test]
fn random_plans_match_the_reference() {
    for seed in seeds() {
        for isa in Kernels::isas() {
            check(Kernels::with_isa(isa).unwrap(), seed).unwrap_or_else(|e| panic!("{isa:?}: {e}"));
        }
    }
}

fn seeds() -> Range<u64> {
    let Ok(range) = std::env::var("CHORD_TEST_SEEDS") else { return 0..200 };
    let (from, to) = range.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

#[test]
fn most_random_steps_are_compared() {
    let steps: usize = (0..50).map(|seed| check(Kernels::portable(), seed).unwrap()).sum();
    assert!(steps > 200, "{steps} steps in 50 scripts");
}
