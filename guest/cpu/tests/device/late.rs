//! Threads that never come, come late, or leave after each phase change nothing.

use chord_cpu::{CpuDevice, Kernels, Pool, Serial, Turn};
use chord_ops::testing::{limits, play, random_plan};
use chord_ops::{DeviceError, validate};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Threads that come in any order, one phase at a time, before the caller does the rest; `visits` of 0: they never come.
/// All on one thread of the system, so that a failure comes again.
struct Late {
    threads: usize,
    visits: u64,
    random: AtomicU64,
    came: Arc<AtomicUsize>,
}

impl Late {
    fn below(&self, n: u64) -> u64 {
        let next = |s: u64| s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let old = self.random.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |s| Some(next(s))).unwrap();
        (old >> 33) % n
    }
}

impl Pool for Late {
    fn threads(&self) -> usize {
        self.threads
    }

    fn run(&self, _: &(dyn Fn(usize) + Sync)) {
        unreachable!("a step needs no thread but the caller's");
    }

    fn lend(&self, job: &(dyn Fn(usize) -> Turn + Sync)) {
        for _ in 0..if self.visits == 0 { 0 } else { self.below(self.visits) } {
            let thread = 1 + self.below(self.threads as u64 - 1) as usize;
            self.came.fetch_add(1, Ordering::Relaxed);
            if job(thread) == Turn::Over {
                break;
            }
        }
        assert_eq!(job(0), Turn::Over, "the caller ends the step alone");
        // Later than all: nothing is left.
        (1..self.threads).for_each(|thread| assert_eq!(job(thread), Turn::Over));
    }

    fn is_wanted(&self) -> bool {
        true
    }

    fn wait(&self, ready: &dyn Fn() -> bool) -> bool {
        ready()
    }
}

type Bits = Vec<Result<Vec<u32>, DeviceError>>;

fn bits(pool: impl Pool + 'static, seed: u64) -> Bits {
    let plan = validate(random_plan(seed), &limits()).unwrap();
    let device = CpuDevice::new(Kernels::detect(), Arc::new(pool), Arc::new(AtomicBool::new(false)));
    let results = play(&device, &plan, seed).unwrap();
    let values = |p: &chord_ops::Picked| p.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    results.iter().map(|r| r.as_ref().map(values).map_err(Clone::clone)).collect()
}

#[test]
fn threads_that_come_late_or_never_change_nothing() {
    let came = Arc::new(AtomicUsize::new(0));
    for seed in 0..100 {
        let expected = bits(Serial, seed);
        for (threads, visits) in [(8, 0), (2, 4), (5, 40)] {
            let pool = Late { threads, visits, random: AtomicU64::new(seed), came: came.clone() };
            assert!(bits(pool, seed) == expected, "seed {seed}, {threads} threads, up to {visits} visits");
        }
    }
    assert!(came.load(Ordering::Relaxed) > 0, "threads come");
}

/// A thread that leaves after each phase gets through all of a step: none keeps it where it is, without pieces or with.
#[test]
fn a_thread_that_leaves_after_each_phase_ends_the_step() {
    struct Helper;
    impl Pool for Helper {
        fn threads(&self) -> usize {
            2
        }

        fn run(&self, _: &(dyn Fn(usize) + Sync)) {
            unreachable!("a step needs no thread but the caller's");
        }

        fn lend(&self, job: &(dyn Fn(usize) -> Turn + Sync)) {
            let turns = (0..1000).take_while(|_| job(1) == Turn::More).count();
            assert!(turns < 1000, "the helper does not get on");
            assert_eq!(job(0), Turn::Over);
        }

        fn is_wanted(&self) -> bool {
            true
        }

        fn wait(&self, ready: &dyn Fn() -> bool) -> bool {
            ready()
        }
    }
    for seed in 0..50 {
        assert!(bits(Helper, seed) == bits(Serial, seed), "seed {seed}");
    }
}
