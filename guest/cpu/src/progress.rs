//! How work is dealt out among the threads of a step, and when they may go on.

use alloc::vec::Vec;
use core::mem::size_of;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

/// How far a step is. A phase ends when its pieces are done, whoever has done them: a thread that comes late, or has lost
/// its core while it holds no piece, is not waited for.
pub(crate) struct Progress {
    /// Pieces of the current phase that are done.
    done: Counter,
    /// The first phase that has not ended; phases without pieces have.
    current: Counter,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        Progress { done: Counter(AtomicUsize::new(0)), current: Counter(AtomicUsize::new(0)) }
    }

    /// What earlier phases have written may be read by who has asked.
    pub(crate) fn current(&self) -> usize {
        self.current.0.load(Ordering::Acquire)
    }

    /// So many of all pieces of a phase are done. Returns whether the phase has ended with them. Whoever calls holds them
    /// until now, so that the phase is the current one, or all between are without pieces.
    pub(crate) fn finish(&self, phase: usize, pieces: usize, all: usize) -> bool {
        if self.done.0.fetch_add(pieces, Ordering::AcqRel) + pieces < all {
            return false;
        }
        self.done.0.store(0, Ordering::Relaxed);
        self.current.0.store(phase + 1, Ordering::Release);
        true
    }
}

/// Counts the pieces of work that are dealt out, by phase and thread.
pub(crate) struct Dealer {
    threads: usize,
    counters: Vec<Counter>,
}

/// On a cache line of its own.
#[repr(align(64))]
struct Counter(AtomicUsize);

impl Dealer {
    pub(crate) fn new(phases: usize, threads: usize) -> Dealer {
        Dealer { threads, counters: (0..phases * threads).map(|_| Counter(AtomicUsize::new(0))).collect() }
    }

    /// Bytes of the counters.
    pub(crate) fn bytes(phases: usize, threads: usize) -> usize {
        phases.saturating_mul(threads).saturating_mul(size_of::<Counter>())
    }

    /// All work is to be dealt out again.
    pub(crate) fn reset(&mut self) {
        self.counters.iter_mut().for_each(|c| *c.0.get_mut() = 0);
    }

    /// The next of `n` pieces of a phase for `thread`: first those of its own share, which are consecutive, then
    /// whatever others have left. Each piece is dealt out once.
    pub(crate) fn next(&self, phase: usize, thread: usize, n: usize) -> Option<usize> {
        let share = n.div_ceil(self.threads);
        (0..self.threads).find_map(|i| {
            let of = (thread + i) % self.threads;
            let Range { start, end } = (of * share).min(n)..((of + 1) * share).min(n);
            let counter = &self.counters[phase * self.threads + of].0;
            if counter.load(Ordering::Relaxed) >= end - start {
                return None;
            }
            let piece = start + counter.fetch_add(1, Ordering::Relaxed);
            (piece < end).then_some(piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_dealt_once() {
        for (threads, n) in [(1, 5), (2, 0), (2, 7), (3, 7), (4, 2), (8, 100)] {
            let mut dealer = Dealer::new(2, threads);
            for _ in 0..2 {
                let mut seen = alloc::vec![0; n];
                for turn in 0..threads * (n + 1) {
                    if let Some(piece) = dealer.next(1, turn % threads, n) {
                        seen[piece] += 1;
                    }
                }
                assert!(seen.iter().all(|&s| s == 1), "{threads} threads, {n} pieces: {seen:?}");
                dealer.reset();
            }
        }
    }

    #[test]
    fn a_phase_ends_with_its_last_piece_and_not_with_its_last_thread() {
        let progress = Progress::new();
        assert!(!progress.finish(0, 2, 5) && !progress.finish(0, 2, 5));
        assert_eq!(progress.current(), 0);
        assert!(progress.finish(0, 1, 5));
        assert_eq!(progress.current(), 1);
        // Phase 1 has no pieces, and nobody ends it; phase 2 begins to count at zero.
        assert!(!progress.finish(2, 2, 3));
        assert_eq!(progress.current(), 1);
        assert!(progress.finish(2, 1, 3));
        assert_eq!(progress.current(), 3);
    }
}
