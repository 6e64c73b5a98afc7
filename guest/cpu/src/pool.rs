//! Threads lent from outside.

/// What a job leaves to a thread that comes back from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing, now and later.
    Over,
    /// Nothing until a thread of the job calls [`Pool::notify`].
    Waiting,
    /// There may be more: the thread came back because other jobs want it.
    More,
}

/// A group of threads.
pub trait Pool: Send + Sync {
    /// Number of threads, the caller's included; at least 1.
    fn threads(&self) -> usize;

    /// Calls `f(0) .. f(threads - 1)`, each once and on its own thread, and returns when all have returned.
    /// `f(0)` runs on the calling thread. A panic in any of them is passed on to the caller.
    fn run(&self, f: &(dyn Fn(usize) + Sync));

    /// Calls `job(0)` on the calling thread until that is [`Turn::Over`], and lends the other threads to it meanwhile: thread
    /// `i` calls `job(i)` as often as it likes, late, or never, so a job waits for none to come. Returns when no thread is in
    /// the job. A panic in any of them is passed on to the caller.
    fn lend(&self, job: &(dyn Fn(usize) -> Turn + Sync)) {
        self.run(&|thread| while job(thread) != Turn::Over {});
    }

    /// Calls the threads back whose turn was [`Turn::Waiting`].
    fn notify(&self) {}

    /// Whether another job wants threads. One that is lent should come back then, with [`Turn::More`].
    fn is_wanted(&self) -> bool {
        false
    }

    /// Waits within a job until `ready`, but not for long: false if it is not, and the turn is [`Turn::Waiting`].
    fn wait(&self, ready: &dyn Fn() -> bool) -> bool {
        while !ready() {
            core::hint::spin_loop();
        }
        true
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
