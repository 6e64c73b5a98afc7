//! What workers and callers share: which jobs are open, and how threads sleep and wake.

use super::Job;
use chord_cpu::Turn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Time of spinning within a job: short, because a job does not end while a thread is in it.
pub(super) const WITHIN: Duration = Duration::from_micros(20);
/// Time of spinning before a thread sleeps while there are jobs.
const BRIEFLY: Duration = Duration::from_micros(100);
/// The same between jobs: long enough to bridge the sampling of a token.
const BETWEEN: Duration = Duration::from_micros(500);

#[derive(Default)]
pub(super) struct Crew {
    /// Counts what has happened that sleeping threads wait for: jobs that open, phases that end.
    news: AtomicUsize,
    /// Whether anyone sleeps, or will when it has seen that there is no news.
    asleep: AtomicBool,
    bed: Mutex<()>,
    wake: Condvar,
    jobs: Mutex<Vec<Open>>,
    /// Jobs so far.
    opened: AtomicUsize,
    /// Jobs that workers may enter.
    open: AtomicUsize,
    /// The last worker has left a job whose caller sleeps.
    left: Condvar,
    stop: AtomicBool,
}

/// A job that runs.
struct Open {
    id: usize,
    job: Job,
    /// Workers in it.
    inside: usize,
    /// No worker enters any more.
    is_closed: bool,
    caller_sleeps: bool,
    panicked: bool,
}

impl Crew {
    /// Opens a job to workers. Its number.
    pub(super) fn open(&self, job: Job) -> usize {
        let id = self.opened.fetch_add(1, Ordering::Relaxed);
        let open = Open { id, job, inside: 0, is_closed: false, caller_sleeps: false, panicked: false };
        lock(&self.jobs).push(open);
        self.open.fetch_add(1, Ordering::Relaxed);
        self.notify();
        id
    }

    /// Jobs that are open to workers.
    pub(super) fn jobs(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Sends the workers home.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.notify();
    }

    /// The caller's part of a job.
    pub(super) fn lead(&self, job: &(dyn Fn(usize) -> Turn + Sync)) {
        loop {
            let seen = self.news.load(Ordering::SeqCst);
            match job(0) {
                Turn::Over => return,
                Turn::More => {}
                Turn::Waiting => self.sleep(seen),
            }
        }
    }

    /// Ends a job when no worker is in it. Returns whether one has panicked there.
    pub(super) fn close(&self, id: usize) -> bool {
        self.open.fetch_sub(1, Ordering::Relaxed);
        let mut jobs = lock(&self.jobs);
        find(&mut jobs, id).is_closed = true;
        // Most times they are about to leave.
        let start = Instant::now();
        while find(&mut jobs, id).inside > 0 && start.elapsed() < WITHIN {
            drop(jobs);
            (0..32).for_each(|_| std::hint::spin_loop());
            jobs = lock(&self.jobs);
        }
        while find(&mut jobs, id).inside > 0 {
            find(&mut jobs, id).caller_sleeps = true;
            jobs = self.left.wait(jobs).unwrap_or_else(|e| e.into_inner());
        }
        let panicked = find(&mut jobs, id).panicked;
        jobs.retain(|open| open.id != id);
        panicked
    }

    /// A worker's life.
    pub(super) fn serve(&self, index: usize) {
        let mut turn = index;
        loop {
            let seen = self.news.load(Ordering::SeqCst);
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            let mut idle = true;
            for _ in 0..self.jobs() {
                let Some((id, job)) = self.enter(turn) else { break };
                let result = catch_unwind(AssertUnwindSafe(|| job.turn(index)));
                idle &= !matches!(result, Ok(Turn::More));
                self.leave(id, result.is_err());
                turn = turn.wrapping_add(1);
            }
            if idle {
                self.sleep(seen);
            }
        }
    }

    /// Enters the open job whose turn it is.
    fn enter(&self, turn: usize) -> Option<(usize, Job)> {
        let mut jobs = lock(&self.jobs);
        let n = jobs.len();
        let at = (0..n).map(|i| (turn % n + i) % n).find(|&i| !jobs[i].is_closed)?;
        jobs[at].inside += 1;
        Some((jobs[at].id, jobs[at].job))
    }

    fn leave(&self, id: usize, panicked: bool) {
        let mut jobs = lock(&self.jobs);
        let open = find(&mut jobs, id);
        open.inside -= 1;
        open.panicked |= panicked;
        if open.inside == 0 && open.caller_sleeps {
            self.left.notify_all();
        }
    }

    /// Spins, then sleeps, until there is news.
    fn sleep(&self, seen: usize) {
        let time = if self.jobs() > 0 { BRIEFLY } else { BETWEEN };
        if spin(time, &|| self.news.load(Ordering::Acquire) != seen) {
            return;
        }
        let mut bed = lock(&self.bed);
        loop {
            // In this order: who has news to tell looks in the other.
            self.asleep.store(true, Ordering::SeqCst);
            if self.news.load(Ordering::SeqCst) != seen {
                return;
            }
            bed = self.wake.wait(bed).unwrap_or_else(|e| e.into_inner());
        }
    }

    pub(super) fn notify(&self) {
        self.news.fetch_add(1, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            // Who has seen no news waits by now.
            drop(lock(&self.bed));
            self.wake.notify_all();
        }
    }
}

/// An open job.
fn find(jobs: &mut [Open], id: usize) -> &mut Open {
    jobs.iter_mut().find(|open| open.id == id).expect("a job is here until its caller has closed it")
}

/// Spins until `ready`, at most for some time; returns whether it is.
pub(super) fn spin(time: Duration, ready: &dyn Fn() -> bool) -> bool {
    let mut start = None;
    loop {
        for _ in 0..64 {
            if ready() {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.get_or_insert_with(Instant::now).elapsed() >= time {
            return ready();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}
