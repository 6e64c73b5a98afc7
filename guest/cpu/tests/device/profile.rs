//! What a device with a clock tells of its ops.

use super::invariants::{Bench, transformer};
use super::threads::device;
use chord_cpu::{Kernels, OpProfile};
use chord_ops::{KvType, ValidPlan, fuse};
use chord_quant::DType;
use std::sync::atomic::{AtomicU64, Ordering};

/// A clock that is a microsecond later at each look.
fn ticks() -> u64 {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    TICKS.fetch_add(1000, Ordering::Relaxed)
}

fn plan() -> ValidPlan {
    transformer(DType::Q8_0, KvType::F16, 64)
}

fn sum(ops: &[OpProfile], f: impl Fn(&OpProfile) -> u64) -> u64 {
    ops.iter().map(f).sum()
}

#[test]
fn every_op_is_timed_once_a_step() {
    for threads in [1, 3] {
        let mut bench = Bench::new(device(Kernels::detect(), threads).with_clock(ticks), &plan());
        let seq = bench.open();
        bench.step(&[(seq, &[1, 2, 3])]);
        bench.step(&[(seq, &[4])]);
        let ops = bench.plan.profile();
        assert_eq!((ops[0].op, ops[ops.len() - 1].op), ("angles", "pick"));
        assert_eq!(ops.len(), fuse(&plan()).nodes().len() + 2);
        assert!(ops.iter().all(|o| o.runs == 2 && o.nanoseconds >= 2000), "{threads} threads: {ops:?}");
        bench.plan.reset_profile();
        assert_eq!(sum(&bench.plan.profile(), |o| o.runs + o.nanoseconds + o.bytes + o.operations), 0);
        assert_eq!(bench.plan.profile().len(), ops.len());
    }
}

#[test]
fn bytes_and_operations_are_those_of_the_plan() {
    let mut bench = Bench::new(device(Kernels::detect(), 1).with_clock(ticks), &plan());
    let seq = bench.open();
    bench.step(&[(seq, &[1])]);
    let (attention, others): (Vec<_>, Vec<_>) =
        bench.plan.profile().into_iter().partition(|o| o.op == "attention");
    assert_eq!(sum(&others, |o| o.bytes), fuse(&plan()).weight_reads().of_step(1));
    let layer = 256 * (256 + 2 * 128) + 256 * 256 + 3 * 256 * 512;
    assert_eq!(sum(&others, |o| o.operations), 2 * (2 * layer + 50 * 256));
    // One token that sees itself: keys and values of two heads of 64 in f16; four query heads.
    assert!(
        attention.iter().all(|o| o.bytes == 2 * 2 * 64 * 2 && o.operations == 2 * 4 * 2 * 64),
        "{attention:?}"
    );
    let gate = others.iter().find(|o| o.tensors == ["matrix", "matrix"]).expect("gate and up are one op");
    assert_eq!((gate.op, gate.operations), ("project", 2 * 2 * 512 * 256));
}

#[test]
fn a_device_without_a_clock_tells_nothing() {
    let mut bench = Bench::new(device(Kernels::detect(), 1), &plan());
    let seq = bench.open();
    bench.step(&[(seq, &[1])]);
    assert_eq!(bench.plan.profile(), []);
}
