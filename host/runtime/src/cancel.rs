//! Stopping a call: one flag that kernels poll and the epoch callback reads, set from outside or by the watchdog.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Stops the call in progress of one instance, from any thread or a signal handler. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Canceller {
    /// A stop was asked for from outside and has not ended a call yet.
    asked: Arc<AtomicBool>,
    /// What is polled: the same, or the deadline has passed.
    stop: Arc<AtomicBool>,
}

impl Canceller {
    /// Stops the call in progress, or the next one if none is. Calls after that run again.
    pub fn cancel(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Whether a stop was asked for and has not ended a call yet.
    pub fn is_cancelled(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Forgets the request, so that later calls run.
    pub fn reset(&self) {
        self.asked.store(false, Ordering::SeqCst);
        self.stop.store(false, Ordering::SeqCst);
    }

    /// The flag itself, for kernels to poll.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// Whether the call in progress is to end, for whatever reason.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether a call that has to end at `deadline` is to end now: it is stopped, or late.
    pub(crate) fn ends(&self, deadline: Option<Instant>) -> bool {
        self.is_stopped() || deadline.is_some_and(|at| Instant::now() >= at)
    }

    /// The deadline of the call in progress has passed.
    pub(crate) fn expire(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// A call begins.
    pub(crate) fn begin(&self) {
        self.stop.store(self.is_cancelled(), Ordering::SeqCst);
    }

    /// A call has ended. One that was stopped has used up the request; what the watchdog set is forgotten in any case.
    pub(crate) fn end(&self, stopped: bool) {
        if stopped {
            self.asked.store(false, Ordering::SeqCst);
        }
        self.begin();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_one_call() {
        let canceller = Canceller::default();
        canceller.cancel();
        canceller.begin();
        assert!(canceller.is_stopped(), "asked for before the call");
        canceller.end(true);
        assert!(!canceller.is_stopped() && !canceller.is_cancelled());
        // It came too late for this call, so it is for the next.
        canceller.begin();
        canceller.cancel();
        canceller.end(false);
        canceller.begin();
        assert!(canceller.is_stopped());
    }

    #[test]
    fn a_deadline_does_not_outlive_its_call() {
        let canceller = Canceller::default();
        canceller.begin();
        canceller.expire();
        assert!(canceller.is_stopped() && !canceller.is_cancelled());
        canceller.end(false);
        assert!(!canceller.is_stopped());
    }
}
