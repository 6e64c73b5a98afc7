//! Capacity of the cache, and that a refused step leaves it alone.

use super::invariants::{Bench, transformer};
use super::threads::device;
use chord_cpu::Kernels;
use chord_ops::{Device, DeviceError, KvType, Pick, Span, Step};
use chord_quant::DType;

fn fill(bench: &mut Bench, seq: chord_ops::SeqId, n: u32) -> Result<(), DeviceError> {
    let tokens = vec![1; n as usize];
    let held = bench.device.len(&bench.cache, seq)?;
    let positions: Vec<u32> = (held..held + n).collect();
    let step = Step {
        tokens: &tokens,
        positions: &positions,
        spans: &[Span { seq, len: n }],
        wanted: &[],
        pick: Pick::All,
    };
    bench.device.run(&mut bench.plan, &mut bench.cache, &step).map(|_| ())
}

#[test]
fn a_full_cache_says_so_and_stays_as_it_was() {
    let plan = transformer(DType::F32, KvType::F16, 200);
    let mut bench = Bench::new(device(Kernels::detect(), 1), &plan);
    let seq = bench.open();
    for _ in 0..5 {
        fill(&mut bench, seq, 200).unwrap();
    }
    let error = fill(&mut bench, seq, 25).unwrap_err();
    assert_eq!(error, DeviceError::CacheFull { used: 1024, max: 1024, wanted: 25 });
    assert_eq!(bench.device.len(&bench.cache, seq).unwrap(), 1000);
    fill(&mut bench, seq, 24).unwrap();
    bench.device.truncate(&mut bench.cache, seq, 500).unwrap();
    let other = bench.open();
    fill(&mut bench, other, 200).unwrap();
    bench.device.close(&mut bench.cache, seq).unwrap();
    for _ in 0..4 {
        fill(&mut bench, other, 200).unwrap();
    }
    assert_eq!(bench.device.len(&bench.cache, other).unwrap(), 1000);
}

#[test]
fn shared_tokens_take_room_once() {
    let plan = transformer(DType::F32, KvType::F16, 200);
    let mut bench = Bench::new(device(Kernels::detect(), 1), &plan);
    let seq = bench.open();
    for _ in 0..4 {
        fill(&mut bench, seq, 200).unwrap();
    }
    // 13 of 16 pages are taken: three forks fit, each with a copy of the page that is not full.
    let forks: Vec<_> = (0..4).map(|_| bench.device.fork(&mut bench.cache, seq, 800).unwrap()).collect();
    for &fork in &forks[..3] {
        fill(&mut bench, fork, 1).unwrap();
    }
    assert!(matches!(fill(&mut bench, forks[3], 1), Err(DeviceError::CacheFull { .. })));
    bench.device.close(&mut bench.cache, forks[0]).unwrap();
    fill(&mut bench, forks[3], 1).unwrap();
}

#[test]
fn closed_sequences_and_lengths_that_are_not_there_are_refused() {
    let plan = transformer(DType::F32, KvType::F16, 8);
    let mut bench = Bench::new(device(Kernels::detect(), 1), &plan);
    let (a, b) = (bench.open(), bench.open());
    fill(&mut bench, a, 3).unwrap();
    let message = |r: Result<u32, DeviceError>| r.unwrap_err().to_string();
    let fork = bench.device.fork(&mut bench.cache, a, 4).map(|s| s.0);
    assert_eq!(message(fork), "step refused: the first 4 tokens of sequence 0, which holds 3");
    bench.device.close(&mut bench.cache, b).unwrap();
    let closed = "step refused: sequence 1 is not open";
    assert_eq!(message(bench.device.len(&bench.cache, b)), closed);
    assert_eq!(message(bench.device.truncate(&mut bench.cache, b, 0).map(|()| 0)), closed);
    assert_eq!(message(fill(&mut bench, b, 1).map(|()| 0)), closed);
    assert_eq!(bench.open().0, 2, "ids are not used again");
}
