//! Cancelled steps, panicking threads, foreign caches.

use super::invariants::{Bench, transformer};
use super::threads::{Scoped, device};
use chord_cpu::{CpuDevice, Kernels, Pool};
use chord_ops::{Device, DeviceError, KvType, Pick, Span, Step};
use chord_quant::DType;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Sets a flag when a thread has waited so many times.
struct CancelLater {
    inner: Scoped,
    flag: Arc<AtomicBool>,
    runs: AtomicUsize,
}

impl Pool for CancelLater {
    fn threads(&self) -> usize {
        self.inner.threads()
    }

    fn run(&self, f: &(dyn Fn(usize) + Sync)) {
        let late = self.runs.fetch_add(1, Ordering::Relaxed) == 1;
        let flag = self.flag.clone();
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(1));
            flag.store(late, Ordering::Relaxed);
        });
        self.inner.run(f);
        canceller.join().unwrap();
    }
}

fn step<'a>(spans: &'a [Span], tokens: &'a [u32], positions: &'a [u32]) -> Step<'a> {
    Step { tokens, positions, spans, wanted: &[], pick: Pick::All }
}

#[test]
fn a_cancelled_step_ends_at_once_and_appends_nothing() {
    let plan = transformer(DType::F32, KvType::F16, 512);
    for threads in [1, 4] {
        let flag = Arc::new(AtomicBool::new(false));
        let pool = CancelLater { inner: Scoped(threads), flag: flag.clone(), runs: AtomicUsize::new(0) };
        let mut bench = Bench::new(CpuDevice::new(Kernels::portable(), Arc::new(pool), flag.clone()), &plan);
        let seq = bench.open();
        let (tokens, positions): (Vec<u32>, Vec<u32>) = (vec![3; 512], (0..512).collect());
        let spans = [Span { seq, len: 10 }];
        bench
            .device
            .run(&mut bench.plan, &mut bench.cache, &step(&spans, &tokens[..10], &positions[..10]))
            .unwrap();
        let spans = [Span { seq, len: 512 }];
        let cancelled =
            bench.device.run(&mut bench.plan, &mut bench.cache, &step(&spans, &tokens, &positions));
        assert_eq!(cancelled, Err(DeviceError::Cancelled), "{threads} threads");
        assert_eq!(bench.device.len(&bench.cache, seq).unwrap(), 10);
        flag.store(false, Ordering::Relaxed);
        bench.device.run(&mut bench.plan, &mut bench.cache, &step(&spans, &tokens, &positions)).unwrap();
        assert_eq!(bench.device.len(&bench.cache, seq).unwrap(), 522);
    }
}

#[test]
fn a_cache_of_another_plan_is_refused() {
    let (a, b) = (transformer(DType::F32, KvType::F16, 8), transformer(DType::F32, KvType::F32, 8));
    let mut bench = Bench::new(device(Kernels::detect(), 1), &a);
    bench.cache = bench.device.new_cache(&b.plan().cache).unwrap();
    let seq = bench.open();
    let refused =
        bench.device.run(&mut bench.plan, &mut bench.cache, &step(&[Span { seq, len: 1 }], &[0], &[0]));
    let message = refused.unwrap_err().to_string();
    assert!(message.starts_with("step refused: the cache was made for another plan"), "{message}");
}

#[test]
fn tensors_must_be_those_of_the_plan_and_within_their_file() {
    let plan = transformer(DType::F32, KvType::F16, 8);
    let device = device(Kernels::detect(), 1);
    let decl = &plan.plan().tensors[0];
    let bytes = decl.rows * decl.cols * 4;
    let source: chord_cpu::WeightBytes = Arc::new(vec![0u8; bytes as usize]);
    assert!(device.bind(&source, 0, decl).is_ok());
    for offset in [1, bytes, u64::MAX] {
        let message = device.bind(&source, offset, decl).err().unwrap().to_string();
        assert!(message.contains("`table`") && message.contains("end beyond"), "{message}");
    }
    let message = device.upload(decl, &[0; 12]).err().unwrap().to_string();
    assert_eq!(message, format!("tensor refused: `table` has {bytes} bytes, 12 are given"));
    let table = device.bind(&source, 0, decl).unwrap();
    assert!(matches!(device.compile(&plan, &[&table]), Err(DeviceError::Tensor(_))));
}
