//! Stopping a call from outside: one flag that kernels poll and the epoch callback reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Stops the call in progress of one instance, from any thread or a signal handler. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Canceller {
    flag: Arc<AtomicBool>,
}

impl Canceller {
    /// Stops the call in progress, or the next one if none is.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// Whether a stop was asked for and has not been consumed.
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Forgets the request, so that later calls run.
    pub fn reset(&self) {
        self.flag.store(false, Ordering::Relaxed);
    }

    /// The flag itself, for kernels to poll.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.flag.clone()
    }
}
