//! A step works in memory that is there already.
#![expect(unsafe_code, reason = "an allocator that counts")]

use super::invariants::{Bench, transformer};
use chord_cpu::{CpuDevice, Kernels, Serial};
use chord_ops::{Device, KvType, Pick, SeqId, Span, Step};
use chord_quant::DType;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The system's memory; each thread counts what it asks for.
struct Counting;

std::thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all is left to the system's allocator; the counter needs no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(start, layout) }
    }
}

/// Allocations of a step.
fn count(bench: &mut Bench, seq: SeqId, tokens: &[u32], wanted: &[u32], pick: Pick) -> usize {
    let held = bench.device.len(&bench.cache, seq).unwrap();
    let positions: Vec<u32> = (held..held + tokens.len() as u32).collect();
    let spans = [Span { seq, len: tokens.len() as u32 }];
    let step = Step { tokens, positions: &positions, spans: &spans, wanted, pick };
    let before = ALLOCATIONS.get();
    let picked = bench.device.run(&mut bench.plan, &mut bench.cache, &step).unwrap();
    let after = ALLOCATIONS.get();
    assert_eq!(picked.values.len(), wanted.len() * picked.k as usize);
    after - before
}

#[test]
fn a_step_allocates_what_it_returns_and_nothing_else() {
    for dtype in [DType::F16, DType::Q8_0, DType::Q4_K] {
        let device = CpuDevice::new(Kernels::detect(), Arc::new(Serial), Arc::new(AtomicBool::new(false)));
        let mut bench = Bench::new(device, &transformer(dtype, KvType::F16, 64));
        let seq = bench.open();
        // The first tokens take a page of the cache, and buffers grow to the size of the step.
        assert!(count(&mut bench, seq, &[1; 16], &[], Pick::All) > 0, "what is counted counts");
        for _ in 0..3 {
            assert_eq!(count(&mut bench, seq, &[2; 8], &[], Pick::All), 0, "{dtype}: a part of a prompt");
            assert_eq!(count(&mut bench, seq, &[3], &[0], Pick::All), 1, "{dtype}: all logits");
            // Values, columns, and the columns that are still candidates.
            let top = count(&mut bench, seq, &[4], &[0], Pick::Top(4));
            assert!((2..=4).contains(&top), "{dtype}: {top} allocations for the largest logits");
        }
    }
}
