//! The host's threads: a fixed group that runs one function together, spinning briefly and then sleeping between steps.
#![expect(unsafe_code, reason = "a borrowed function is shared with persistent threads")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, Thread};

/// Turns of spinning before a worker sleeps: long enough to bridge the sampling of a token.
const SPINS: u32 = 20_000;

/// Threads for the CPU device. Dropping it joins them.
pub struct ThreadPool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the caller of `run`: one job at a time.
    turn: Mutex<()>,
}

struct Shared {
    /// Counts jobs; workers wait for it to change.
    generation: AtomicUsize,
    /// The job in progress. Read by workers only between the change of `generation` and their decrement of `running`.
    job: Mutex<Option<Job>>,
    running: AtomicUsize,
    panicked: AtomicBool,
    stop: AtomicBool,
    /// Whom the last worker wakes.
    caller: Mutex<Option<Thread>>,
}

/// A borrowed function with its lifetime erased.
#[derive(Clone, Copy)]
struct Job(*const (dyn Fn(usize) + Sync));

// SAFETY: the function is `Sync`, and `ThreadPool::run` does not return before every worker has finished with it.
unsafe impl Send for Job {}

impl ThreadPool {
    /// A pool of `threads` threads, the caller's included. 0 counts as 1. Where the system refuses some of them, it has
    /// those that could be started.
    pub fn new(threads: usize) -> ThreadPool {
        let shared = Arc::new(Shared {
            generation: AtomicUsize::new(0),
            job: Mutex::new(None),
            running: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            caller: Mutex::new(None),
        });
        let spawn = |index| {
            let shared = shared.clone();
            let name = format!("chord-{index}");
            let thread = std::thread::Builder::new().name(name).spawn(move || shared.work(index));
            thread.map_err(|e| tracing::warn!("{index} of {threads} threads are used: {e}")).ok()
        };
        let workers = (1..threads.max(1)).map_while(spawn).collect();
        ThreadPool { shared, workers, turn: Mutex::new(()) }
    }

    /// Threads that this process may run at once, at most one for each physical core of the machine: two threads of a core
    /// share the units that kernels keep busy. At least 1.
    pub fn default_threads() -> usize {
        let allowed = std::thread::available_parallelism().map_or(1, |n| n.get());
        allowed.min(num_cpus::get_physical()).max(1)
    }
}

impl chord_cpu::Pool for ThreadPool {
    fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    fn run(&self, f: &(dyn Fn(usize) + Sync)) {
        if self.workers.is_empty() {
            return f(0);
        }
        let _turn = self.turn.lock().unwrap_or_else(|e| e.into_inner());
        let shared = &*self.shared;
        *lock(&shared.caller) = Some(std::thread::current());
        // SAFETY: only the lifetime changes; this function does not return before `running` is 0 again, and a worker
        // does not touch the job after it has decremented `running`.
        let job = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync)>(f)
        };
        *lock(&shared.job) = Some(Job(job));
        shared.running.store(self.workers.len(), Ordering::Relaxed);
        shared.generation.fetch_add(1, Ordering::Release);
        self.workers.iter().for_each(|w| w.thread().unpark());
        let own = catch_unwind(AssertUnwindSafe(|| f(0)));
        wait(|| shared.running.load(Ordering::Acquire) == 0);
        *lock(&shared.job) = None;
        if let Err(panic) = own {
            shared.panicked.store(false, Ordering::Relaxed);
            resume_unwind(panic);
        }
        assert!(!shared.panicked.swap(false, Ordering::Relaxed), "a worker thread panicked");
    }

    fn wait(&self, spins: u32) {
        // Beyond a few hundred microseconds the other thread has lost its core: give ours away.
        if spins < 50_000 { std::hint::spin_loop() } else { std::thread::yield_now() }
    }
}

impl Shared {
    fn work(&self, index: usize) {
        let mut seen = 0;
        loop {
            wait(|| self.generation.load(Ordering::Acquire) != seen || self.stop.load(Ordering::Acquire));
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            seen = self.generation.load(Ordering::Acquire);
            let job = *lock(&self.job);
            if let Some(Job(f)) = job {
                // SAFETY: see `ThreadPool::run`: the function outlives this job.
                let f = unsafe { &*f };
                if catch_unwind(AssertUnwindSafe(|| f(index))).is_err() {
                    self.panicked.store(true, Ordering::Relaxed);
                }
            }
            // Taken before the decrement: afterwards the caller may be gone.
            let caller = lock(&self.caller).clone();
            if self.running.fetch_sub(1, Ordering::AcqRel) == 1
                && let Some(caller) = caller
            {
                caller.unpark();
            }
        }
    }
}

/// Spins, then sleeps, until `ready`. Whoever makes it ready unparks this thread.
fn wait(ready: impl Fn() -> bool) {
    for _ in 0..SPINS {
        if ready() {
            return;
        }
        std::hint::spin_loop();
    }
    while !ready() {
        std::thread::park();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches the panics of its jobs, so it ends without one.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chord_cpu::Pool;

    #[test]
    fn every_thread_runs_each_job_once() {
        let pool = ThreadPool::new(3);
        let counts: [AtomicUsize; 3] = Default::default();
        for _ in 0..1000 {
            pool.run(&|i| {
                counts[i].fetch_add(1, Ordering::Relaxed);
            });
        }
        assert_eq!(counts.map(|c| c.into_inner()), [1000; 3]);
    }

    #[test]
    fn no_core_has_two_threads_by_default() {
        let (threads, cores) = (ThreadPool::default_threads(), num_cpus::get_physical());
        assert!((1..=cores.max(1)).contains(&threads), "{threads} threads on {cores} cores");
    }

    #[test]
    fn a_sleeping_pool_wakes() {
        let pool = ThreadPool::new(2);
        let count = AtomicUsize::new(0);
        for _ in 0..3 {
            std::thread::sleep(std::time::Duration::from_millis(20));
            pool.run(&|_| {
                count.fetch_add(1, Ordering::Relaxed);
            });
        }
        assert_eq!(count.into_inner(), 6);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let pool = ThreadPool::new(2);
        for bad in 0..2 {
            let result = catch_unwind(AssertUnwindSafe(|| pool.run(&|i| assert_ne!(i, bad))));
            assert!(result.is_err(), "thread {bad}");
        }
        let count = AtomicUsize::new(0);
        pool.run(&|_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 2);
    }
}
