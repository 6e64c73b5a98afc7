//! Cancelled steps, panicking threads, foreign caches.

use super::invariants::{Bench, transformer};
use super::threads::{Scoped, device};
use chord_cpu::{CpuDevice, Kernels, Pool};
use chord_ops::{Device, DeviceError, KvType, Pick, Picked, Span, Step, ValidPlan};
use chord_quant::DType;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

thread_local! {
    /// When a clock on this thread acts, and what it does: it counts down at each reading.
    static ALARM: Cell<(u32, fn())> = const { Cell::new((u32::MAX, || {})) };
    /// The flag that [`cancel`] sets.
    static FLAG: RefCell<Arc<AtomicBool>> = RefCell::default();
}

/// A clock that acts at one of its readings. The first thread of a step reads it before the first op and after each.
fn clock() -> u64 {
    let (left, act) = ALARM.get();
    ALARM.set((left.wrapping_sub(1), act));
    if left == 0 {
        act();
    }
    0
}

fn cancel() {
    FLAG.with_borrow(|flag| flag.store(true, Ordering::Relaxed));
}

/// How often the clock was read since it acted.
fn readings_since() -> u32 {
    u32::MAX - ALARM.get().0
}

fn step<'a>(spans: &'a [Span], tokens: &'a [u32], positions: &'a [u32]) -> Step<'a> {
    Step { tokens, positions, spans, wanted: &[], pick: Pick::All }
}

/// A sequence that holds 10 tokens, and its spans for 40 more.
fn held_ten(bench: &mut Bench) -> [Span; 1] {
    let seq = bench.open();
    bench.step(&[(seq, &[3; 10])]);
    [Span { seq, len: 40 }]
}

fn run_forty(bench: &mut Bench, spans: &[Span]) -> Result<Picked, DeviceError> {
    let (tokens, positions): (Vec<u32>, Vec<u32>) = (vec![5; 40], (10..50).collect());
    let step = Step { wanted: &[39], ..step(spans, &tokens, &positions) };
    bench.device.run(&mut bench.plan, &mut bench.cache, &step)
}

/// What 40 tokens after 10 give when nothing happens in between.
fn undisturbed(plan: &ValidPlan) -> Picked {
    let mut bench = Bench::new(device(Kernels::portable(), 1), plan);
    let spans = held_ten(&mut bench);
    run_forty(&mut bench, &spans).unwrap()
}

/// Stopped after any of its ops, a step ends at the next one, and the cache is as it was.
#[test]
fn a_cancelled_step_ends_at_once_and_appends_nothing() {
    let plan = transformer(DType::F32, KvType::F16, 64);
    let expected = undisturbed(&plan);
    for threads in [1, 4] {
        let flag = FLAG.with_borrow(Arc::clone);
        let pool = Arc::new(Scoped(threads));
        let device = CpuDevice::new(Kernels::portable(), pool, flag.clone()).with_clock(clock);
        let mut bench = Bench::new(device, &plan);
        let spans = held_ten(&mut bench);
        let n_ops = bench.plan.profile().len() as u32;
        // Nobody waits before the last two ops: other threads may have ended them already.
        let last = if threads == 1 { 1 } else { 3 };
        for at in 0..n_ops - last {
            ALARM.set((at, cancel));
            let cancelled = run_forty(&mut bench, &spans);
            assert_eq!(cancelled, Err(DeviceError::Cancelled), "{threads} threads, op {at} of {n_ops}");
            // With several threads, others may have ended ops whose ends the first one reads afterwards.
            assert!(threads > 1 || readings_since() <= 1, "{} more ops after op {at}", readings_since());
            assert_eq!(bench.device.len(&bench.cache, spans[0].seq).unwrap(), 10);
            flag.store(false, Ordering::Relaxed);
        }
        ALARM.set((u32::MAX, || {}));
        assert_eq!(run_forty(&mut bench, &spans).as_ref(), Ok(&expected), "{threads} threads");
        assert_eq!(bench.device.len(&bench.cache, spans[0].seq).unwrap(), 50);
    }
}

/// Panics on one of its threads when that has ended a number of phases; the others come to the step afterwards.
struct Panicking {
    threads: usize,
    /// Which thread, and after how many phases; 0 for never.
    bad: (AtomicUsize, AtomicUsize),
    /// The bad thread is gone.
    is_gone: AtomicBool,
}

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(0) };
}

impl Panicking {
    fn new(threads: usize) -> Panicking {
        Panicking { threads, bad: Default::default(), is_gone: AtomicBool::new(true) }
    }

    fn arm(&self, thread: usize, phases: usize) {
        self.bad.0.store(thread, Ordering::Relaxed);
        self.bad.1.store(phases, Ordering::Relaxed);
        self.is_gone.store(false, Ordering::Release);
    }
}

impl Pool for Panicking {
    fn threads(&self) -> usize {
        self.threads
    }

    fn run(&self, f: &(dyn Fn(usize) + Sync)) {
        Scoped(self.threads).run(&|thread| {
            NUMBER.set(thread);
            let is_bad = thread == self.bad.0.load(Ordering::Relaxed);
            while !is_bad && !self.is_gone.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            let result = catch_unwind(AssertUnwindSafe(|| f(thread)));
            if is_bad {
                self.is_gone.store(true, Ordering::Release);
            }
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
    }

    fn notify(&self) {
        let (bad, phases) = &self.bad;
        if NUMBER.get() == bad.load(Ordering::Relaxed) && phases.load(Ordering::Relaxed) > 0 {
            assert!(phases.fetch_sub(1, Ordering::Relaxed) > 1, "the panic of this test");
        }
    }

    fn wait(&self, ready: &dyn Fn() -> bool) -> bool {
        let mut waits = 0;
        while !ready() {
            // Without an end, a phase that nobody ends would be a test that hangs.
            assert!(waits < 10_000_000, "a thread waits for one that is gone");
            std::thread::yield_now();
            waits += 1;
        }
        true
    }
}

/// A panic on any thread reaches the caller, the others do not wait for that thread, and the cache is as it was.
#[test]
fn a_panicking_thread_ends_the_step_and_appends_nothing() {
    let plan = transformer(DType::F32, KvType::F16, 64);
    let expected = undisturbed(&plan);
    let pool = Arc::new(Panicking::new(3));
    let device = CpuDevice::new(Kernels::portable(), pool.clone(), Arc::default());
    let mut bench = Bench::new(device, &plan);
    let spans = held_ten(&mut bench);
    for bad in 0..3 {
        pool.arm(bad, 2);
        let result = catch_unwind(AssertUnwindSafe(|| run_forty(&mut bench, &spans)));
        assert!(result.is_err(), "thread {bad}: {result:?}");
        assert_eq!(pool.bad.1.load(Ordering::Relaxed), 0, "thread {bad} has ended two phases");
        assert_eq!(bench.device.len(&bench.cache, spans[0].seq).unwrap(), 10, "thread {bad}");
    }
    assert_eq!(run_forty(&mut bench, &spans), Ok(expected));
    assert_eq!(bench.device.len(&bench.cache, spans[0].seq).unwrap(), 50);
}

/// The same for a panic outside of waits: the first thread's clock.
#[test]
fn a_panic_within_a_step_ends_it() {
    let plan = transformer(DType::F32, KvType::F16, 64);
    let expected = undisturbed(&plan);
    let pool = Arc::new(Panicking::new(3));
    let device = CpuDevice::new(Kernels::portable(), pool, Arc::default()).with_clock(clock);
    let mut bench = Bench::new(device, &plan);
    let spans = held_ten(&mut bench);
    for at in [0, 1, 7] {
        ALARM.set((at, || panic!("the panic of this test")));
        let result = catch_unwind(AssertUnwindSafe(|| run_forty(&mut bench, &spans)));
        let text = result.map(|_| ()).unwrap_err().downcast::<&str>().unwrap();
        assert_eq!(*text, "the panic of this test", "op {at}");
        assert_eq!(bench.device.len(&bench.cache, spans[0].seq).unwrap(), 10, "op {at}");
    }
    ALARM.set((u32::MAX, || {}));
    assert_eq!(run_forty(&mut bench, &spans), Ok(expected));
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
