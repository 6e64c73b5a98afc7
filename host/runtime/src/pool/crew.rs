//! What workers and callers share: which jobs are open, and how threads sleep and wake.

use super::Job;
use chord_cpu::Turn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Time of spinning within a job: short, because a job does not end while a thread is in it.
pub(super) const WITHIN: Duration = Duration::from_micros(20);
/// Time of spinning before a thread sleeps while there are jobs: at least, and at most where waits have been worth it.
const BRIEFLY: Duration = Duration::from_micros(100);
const PATIENTLY: Duration = Duration::from_micros(1000);
/// The same between jobs: long enough to bridge the sampling of a token.
const BETWEEN: Duration = Duration::from_micros(500);

#[derive(Default)]
pub(super) struct Crew {
    patience: Patience,
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
        let start = Instant::now();
        let within = self.jobs() > 0;
        let time = if within { self.patience.time() } else { BETWEEN };
        if !spin(time, &|| self.news.load(Ordering::Acquire) != seen) {
            self.lie_down(seen);
        }
        if within {
            self.patience.learn(start.elapsed());
        }
    }

    /// Sleeps until there is news.
    fn lie_down(&self, seen: usize) {
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

/// How long to spin before sleeping, learnt from how long recent waits were. Where each thread has a core, they last as
/// long as a piece of work, and sleeping would cost more than spinning; where other programs have the cores, they last
/// a time slice, and spinning takes a core from the thread that is waited for. On a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Patience {
    /// Nanoseconds beyond [`BRIEFLY`].
    more: AtomicU64,
}

impl Patience {
    fn time(&self) -> Duration {
        BRIEFLY + Duration::from_nanos(self.more.load(Ordering::Relaxed))
    }

    /// A wait took so long. One eighth of the way to twice that, or back to [`BRIEFLY`] after a wait that no spinning
    /// would have bridged. Threads may overwrite what others have learnt: it is a guess.
    fn learn(&self, wait: Duration) {
        let goal = if wait > PATIENTLY { BRIEFLY } else { (2 * wait).clamp(BRIEFLY, PATIENTLY) };
        let (goal, more) = ((goal - BRIEFLY).as_nanos() as u64, self.more.load(Ordering::Relaxed));
        let next = (7 * more + goal) / 8;
        // The line stays shared while there is nothing to learn.
        if next != more {
            self.more.store(next, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(waits: impl IntoIterator<Item = u64>) -> Duration {
        let patience = Patience::default();
        waits.into_iter().for_each(|us| patience.learn(Duration::from_micros(us)));
        patience.time()
    }

    #[test]
    fn patience_follows_waits_that_spinning_bridges() {
        assert_eq!(learned([]), BRIEFLY);
        assert_eq!(learned([10; 100]), BRIEFLY);
        let near =
            |time: Duration, us: u64| time.abs_diff(Duration::from_micros(us)) < Duration::from_micros(1);
        assert!(near(learned([300; 100]), 600), "{:?}", learned([300; 100]));
        assert!(near(learned([900; 100]), 1000), "{:?}", learned([900; 100]));
    }

    #[test]
    fn patience_ends_with_waits_of_a_time_slice() {
        let waits = |slices| std::iter::repeat_n(900, 100).chain(std::iter::repeat_n(4000, slices));
        assert!(learned(waits(1)) < learned(waits(0)));
        assert_eq!(learned(waits(200)), BRIEFLY);
        // One in ten, as on a machine that does something else now and then.
        let mixed = (0..1000).map(|i| if i % 10 == 0 { 4000 } else { 400 });
        assert!(learned(mixed) > Duration::from_micros(600));
    }
}
