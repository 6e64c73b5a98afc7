//! Where the threads of a step wait for each other, and how work is dealt out among them.

use crate::pool::Pool;
use alloc::vec::Vec;
use core::mem::size_of;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A reusable barrier that spins. It breaks when a thread panics, so that the others do not wait for it.
#[derive(Debug)]
pub(crate) struct Barrier {
    threads: usize,
    arrived: AtomicUsize,
    generation: AtomicUsize,
    broken: AtomicBool,
}

impl Barrier {
    pub(crate) fn new(threads: usize) -> Barrier {
        Barrier {
            threads,
            arrived: AtomicUsize::new(0),
            generation: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        }
    }

    /// Returns true when all threads are here; false if one never will be.
    pub(crate) fn wait(&self, pool: &dyn Pool) -> bool {
        if self.threads == 1 {
            return true;
        }
        let generation = self.generation.load(Ordering::Relaxed);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            self.arrived.store(0, Ordering::Relaxed);
            self.generation.fetch_add(1, Ordering::Release);
            return true;
        }
        let mut spins = 0u32;
        while self.generation.load(Ordering::Acquire) == generation {
            if self.broken.load(Ordering::Relaxed) {
                return false;
            }
            pool.wait(spins);
            spins = spins.saturating_add(1);
        }
        true
    }

    /// No thread waits here any more.
    pub(crate) fn break_up(&self) {
        self.broken.store(true, Ordering::Relaxed);
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
    fn a_broken_barrier_lets_go() {
        let barrier = Barrier::new(2);
        barrier.break_up();
        assert!(!barrier.wait(&crate::Serial));
    }
}
