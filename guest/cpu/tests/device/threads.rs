//! A pool of threads that live for one run.

use chord_cpu::{CpuDevice, Kernels, Pool};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// So many threads.
pub struct Scoped(pub usize);

impl Pool for Scoped {
    fn threads(&self) -> usize {
        self.0
    }

    fn run(&self, f: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            for i in 1..self.0 {
                scope.spawn(move || f(i));
            }
            f(0);
        });
    }

    fn wait(&self, ready: &dyn Fn() -> bool) -> bool {
        while !ready() {
            std::thread::yield_now();
        }
        true
    }
}

/// A device of so many threads that is never cancelled.
pub fn device(kernels: Kernels, threads: usize) -> CpuDevice {
    CpuDevice::new(kernels, Arc::new(Scoped(threads)), Arc::new(AtomicBool::new(false)))
}
