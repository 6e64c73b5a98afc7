//! The host's threads, which help whoever has a job.
//!
//! A job runs on its caller's own thread from the start, whatever other jobs there are, and workers help: they go from one
//! open job to the next, and leave one at the end of a phase if there are others. So no caller waits for a job of another
//! one; a caller waits only for threads that are in its own job, each with at most one piece of it.
//!
//! Who finds nothing to do spins briefly, which bridges the time that others need for their pieces and for the sampling of a
//! token, and then sleeps: on a busy machine the thread that it waits for may need this very core.
#![expect(unsafe_code, reason = "a borrowed function is shared with persistent threads")]

mod crew;

use chord_cpu::Turn;
use crew::{Crew, WITHIN, spin};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Threads for the CPU device. Dropping it joins them.
pub struct ThreadPool {
    crew: Arc<Crew>,
    workers: Vec<JoinHandle<()>>,
}

/// A borrowed function with its lifetime erased.
#[derive(Clone, Copy)]
struct Job(*const (dyn Fn(usize) -> Turn + Sync));

// SAFETY: the function is `Sync`, and `ThreadPool::lend` does not return before every worker has left it.
unsafe impl Send for Job {}

impl Job {
    /// Of a function that the caller of this keeps until the crew has closed the job.
    fn new(f: &(dyn Fn(usize) -> Turn + Sync)) -> Job {
        type Erased = *const (dyn Fn(usize) -> Turn + Sync);
        // SAFETY: only the lifetime of a pointer changes.
        Job(unsafe { std::mem::transmute::<*const (dyn Fn(usize) -> Turn + Sync + '_), Erased>(f) })
    }

    /// Called between `Crew::enter` and `Crew::leave` only.
    fn turn(self, thread: usize) -> Turn {
        // SAFETY: `ThreadPool::lend` has the function until `Crew::close` returns, which is after the thread has left.
        (unsafe { &*self.0 })(thread)
    }
}

impl ThreadPool {
    /// A pool of `threads` threads, the caller's included. 0 counts as 1. Where the system refuses a thread, the pool goes on
    /// with those that it has.
    pub fn new(threads: usize) -> ThreadPool {
        let crew = Arc::new(Crew::default());
        let spawn = |index| {
            let crew = crew.clone();
            let name = format!("chord-{index}");
            std::thread::Builder::new().name(name).spawn(move || crew.serve(index))
        };
        let mut workers = Vec::new();
        for index in 1..threads.max(1) {
            match spawn(index) {
                Ok(worker) => workers.push(worker),
                Err(e) => {
                    tracing::warn!(
                        "{threads} threads are asked for, the system refuses number {}: {e}",
                        index + 1
                    );
                    break;
                }
            }
        }
        ThreadPool { crew, workers }
    }

    /// Threads that this process may run at once, at most one for each physical core of the machine: two threads of a core
    /// share the units that kernels keep busy. At least 1.
    pub fn default_threads() -> usize {
        available().min(num_cpus::get_physical()).max(1)
    }

    /// `threads`, or as many as this process can run at once if these are fewer: more would only take cores from each other.
    pub fn useful_threads(threads: usize) -> usize {
        let available = available();
        if threads > available {
            tracing::info!(
                "{threads} threads are asked for, this process may run {available} at once: so many are used"
            );
        }
        threads.min(available)
    }
}

/// Processors that the process may use, by its affinity and by the quota of its control group. At least 1.
fn available() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

impl chord_cpu::Pool for ThreadPool {
    fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    fn run(&self, f: &(dyn Fn(usize) + Sync)) {
        let everyone = Everyone {
            f,
            came: (0..self.threads()).map(|_| AtomicBool::new(false)).collect(),
            left: AtomicUsize::new(self.threads()),
            crew: &self.crew,
        };
        self.lend(&|thread| everyone.turn(thread));
    }

    fn lend(&self, job: &(dyn Fn(usize) -> Turn + Sync)) {
        if self.workers.is_empty() {
            while job(0) != Turn::Over {}
            return;
        }
        let id = self.crew.open(Job::new(job));
        let own = catch_unwind(AssertUnwindSafe(|| self.crew.lead(job)));
        let panicked = self.crew.close(id);
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        assert!(!panicked, "a worker thread panicked");
    }

    fn notify(&self) {
        if !self.workers.is_empty() {
            self.crew.notify();
        }
    }

    fn is_wanted(&self) -> bool {
        self.crew.jobs() > 1
    }

    fn wait(&self, ready: &dyn Fn() -> bool) -> bool {
        spin(WITHIN, ready)
    }
}

/// A job that each thread does once.
struct Everyone<'a> {
    f: &'a (dyn Fn(usize) + Sync),
    came: Vec<AtomicBool>,
    /// Threads that have not done it.
    left: AtomicUsize,
    crew: &'a Crew,
}

/// Counts a thread that has done it, or panicked.
struct Done<'a>(&'a Everyone<'a>);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.left.fetch_sub(1, Ordering::AcqRel);
        self.0.crew.notify();
    }
}

impl Everyone<'_> {
    fn turn(&self, thread: usize) -> Turn {
        if !self.came[thread].swap(true, Ordering::Relaxed) {
            let _done = Done(self);
            (self.f)(thread);
        }
        if self.left.load(Ordering::Acquire) == 0 { Turn::Over } else { Turn::Waiting }
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.crew.stop();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of its jobs, so it ends without one.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests;
