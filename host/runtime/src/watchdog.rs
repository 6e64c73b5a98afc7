//! Cancels the kernels of a call that outlives its deadline: they run outside the epoch's reach.

use crate::alarm::{self, Watched};
use crate::cancel::Canceller;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// The watchdog of one instance.
pub(crate) enum Watchdog {
    /// On a thread of its own.
    Thread(Watcher),
    /// By the timer's signal, where no thread can be started.
    Alarm(&'static Watched),
}

/// A call being watched.
pub(crate) struct Watch<'a>(&'a Watchdog);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

impl Watchdog {
    /// Starts a thread, or a timer where the system refuses the thread.
    pub(crate) fn start(canceller: Canceller) -> std::io::Result<Watchdog> {
        match Watcher::start(canceller.clone()) {
            Ok(watcher) => Ok(Watchdog::Thread(watcher)),
            Err(_) => {
                alarm::start()?;
                Ok(Watchdog::Alarm(alarm::watch(canceller)))
            }
        }
    }

    /// Cancels at `deadline`, unless the result is dropped before.
    pub(crate) fn watch(&self, deadline: Instant) -> Watch<'_> {
        self.set(Some(deadline));
        Watch(self)
    }

    fn set(&self, deadline: Option<Instant>) {
        match self {
            Watchdog::Thread(watcher) => watcher.set(deadline),
            Watchdog::Alarm(watched) => watched.set(deadline),
        }
    }
}

/// A thread that waits for deadlines.
pub(crate) struct Watcher {
    shared: Arc<(Mutex<Option<Instant>>, Condvar)>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watcher {
    fn start(canceller: Canceller) -> std::io::Result<Watcher> {
        let shared = Arc::new((Mutex::new(None::<Instant>), Condvar::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared2, stop2) = (shared.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("chord-watchdog".into()).spawn(move || {
            let (deadline, changed) = &*shared2;
            let mut guard = deadline.lock().unwrap_or_else(|e| e.into_inner());
            while !stop2.load(Ordering::Acquire) {
                let now = Instant::now();
                // Calls come and go without a wake: a look every half second is near enough.
                let wait = match *guard {
                    Some(at) if at <= now => {
                        canceller.expire();
                        Duration::from_millis(500)
                    }
                    Some(at) => (at - now).min(Duration::from_millis(500)),
                    None => Duration::from_millis(500),
                };
                guard = changed.wait_timeout(guard, wait).unwrap_or_else(|e| e.into_inner()).0;
            }
        })?;
        Ok(Watcher { shared, stop, thread: Some(thread) })
    }

    fn set(&self, deadline: Option<Instant>) {
        *self.shared.0.lock().unwrap_or_else(|e| e.into_inner()) = deadline;
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // The lock, so that the thread is not between its look at `stop` and its wait, and would miss this.
        drop(self.shared.0.lock().unwrap_or_else(|e| e.into_inner()));
        self.shared.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // It holds nothing but its own state and does not panic.
            let _ = thread.join();
        }
    }
}
