//! Threads lent from outside.

/// A group of threads that run one function together.
pub trait Pool: Send + Sync {
    /// Number of threads, the caller's included; at least 1.
    fn threads(&self) -> usize;

    /// Calls `f(0) .. f(threads - 1)` at once, each on its own thread, and returns when all have returned.
    /// `f(0)` runs on the calling thread. A panic in any of them is passed on to the caller.
    fn run(&self, f: &(dyn Fn(usize) + Sync));

    /// Called while a thread waits for the others within a step; `spins` counts the calls of this wait.
    fn wait(&self, spins: u32) {
        let _ = spins;
        core::hint::spin_loop();
    }
}

/// The calling thread alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl Pool for Serial {
    fn threads(&self) -> usize {
        1
    }

    fn run(&self, f: &(dyn Fn(usize) + Sync)) {
        f(0);
    }
}
