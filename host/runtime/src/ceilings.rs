//! What this machine can do at most, measured on the threads that steps run on: reading memory, and multiplying.
//!
//! A decoder that reads all weights for each token cannot be faster than memory; a prompt not faster than the
//! instructions that its kernels multiply with. Each figure is the best of a few runs: other programs only slow it.

use crate::Runtime;
use crate::mapping::Mapping;
use chord_cpu::Pool;
use chord_cpu::arch::{Probe, probes, read};
use memmap2::{MmapMut, MmapOptions};
use std::fs::File;
use std::hint::black_box;
use std::io;
use std::sync::Mutex;
use std::time::Instant;

/// Measurements of one kind; the best counts.
const RUNS: usize = 5;
/// Most bytes of a file that are read.
const MOST: usize = 2 << 30;
/// Streams that a thread reads side by side.
const STREAMS: [usize; 2] = [1, 16];
/// Shortest time of a run of a probe, seconds: frequencies settle in less.
const SHORTEST: f64 = 0.02;

/// Bounds on the speed of steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceilings {
    /// Threads that were measured together.
    pub threads: usize,
    /// Bytes read in each run.
    pub bytes: u64,
    /// GB/s from a mapped file, as weights are read.
    pub mapping: Rates,
    /// GB/s from anonymous memory of pages of the ordinary size.
    pub small_pages: Rates,
    /// GB/s from anonymous memory of huge pages. `None` where the system has none to give on request.
    pub huge_pages: Option<Rates>,
    /// Speed of the instructions that the kernels in use multiply with; none for the portable ones.
    pub multiply: Vec<Peak>,
}

/// A speed by number of threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Of one thread.
    pub one: f64,
    /// Of all threads together.
    pub all: f64,
}

/// The speed of an instruction on registers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// What is multiplied: `int8`, `int8 tiles`, `bf16`, `bf16 tiles`, `f32`.
    pub name: &'static str,
    /// The instructions.
    pub instruction: &'static str,
    /// Multiplications and additions, 10⁹ per second.
    pub rates: Rates,
}

impl Runtime {
    /// Measures this machine on the runtime's threads: seconds. `file` is mapped and read, up to 2 GiB; other memory is
    /// as large. It should be larger than the caches.
    pub fn ceilings(&self, file: &File) -> io::Result<Ceilings> {
        let pool = self.pool();
        let mapping = Mapping::new(file)?;
        let bytes = &mapping.bytes()[..mapping.bytes().len().min(MOST)];
        Ok(Ceilings {
            threads: pool.threads(),
            bytes: bytes.len() as u64,
            mapping: bandwidth(pool, bytes),
            small_pages: bandwidth(pool, &memory(pool, bytes.len(), false)?),
            huge_pages: match has_huge_pages() {
                true => Some(bandwidth(pool, &memory(pool, bytes.len(), true)?)),
                false => None,
            },
            multiply: probes(self.isa()).iter().map(|probe| peak(pool, probe)).collect(),
        })
    }
}

/// GB/s of reading `bytes`, each thread its part, in the faster of two ways: from one end to the other, which suits huge
/// pages, or as several streams, which suits small ones.
fn bandwidth(pool: &dyn Pool, bytes: &[u8]) -> Rates {
    let share = bytes.len().div_ceil(pool.threads()).next_multiple_of(64);
    let part = |thread: usize| {
        let at = |i: usize| (i * share).min(bytes.len());
        &bytes[at(thread)..at(thread + 1)]
    };
    let gb = bytes.len() as f64 / 1e9;
    let [a, b] = STREAMS.map(|streams| {
        let all = gb / best(|| pool.run(&|thread| read(part(thread), streams)));
        Rates { one: gb / best(|| read(bytes, streams)), all }
    });
    Rates { one: a.one.max(b.one), all: a.all.max(b.all) }
}

/// Memory whose every page has been written to, by the thread that will read it.
fn memory(pool: &dyn Pool, len: usize, huge: bool) -> io::Result<MmapMut> {
    let mut map = MmapOptions::new().len(len).map_anon()?;
    #[cfg(target_os = "linux")]
    map.advise(if huge { memmap2::Advice::HugePage } else { memmap2::Advice::NoHugePage })?;
    #[cfg(not(target_os = "linux"))]
    let _ = huge;
    let share = len.div_ceil(pool.threads()).next_multiple_of(64);
    let parts: Vec<Mutex<&mut [u8]>> = map.chunks_mut(share.max(1)).map(Mutex::new).collect();
    pool.run(&|thread| {
        if let Some(part) = parts.get(thread) {
            part.lock().unwrap_or_else(|e| e.into_inner()).fill(1);
        }
    });
    drop(parts);
    Ok(map)
}

/// Whether the system gives huge pages to who asks.
fn has_huge_pages() -> bool {
    let setting = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    cfg!(target_os = "linux") && setting.is_ok_and(|s| !s.contains("[never]"))
}

fn peak(pool: &dyn Pool, probe: &Probe) -> Peak {
    let run = |turns| {
        black_box(probe.run(turns));
    };
    let mut turns = 1 << 10;
    while seconds(|| run(turns)) < SHORTEST {
        turns *= 2;
    }
    let gop = probe.run(1) as f64 * turns as f64 / 1e9;
    let all = gop * pool.threads() as f64 / best(|| pool.run(&|_| run(turns)));
    Peak {
        name: probe.name,
        instruction: probe.instruction,
        rates: Rates { one: gop / best(|| run(turns)), all },
    }
}

/// Seconds of the fastest of some runs, after one that warms up.
fn best(mut f: impl FnMut()) -> f64 {
    f();
    (0..RUNS).map(|_| seconds(&mut f)).fold(f64::INFINITY, f64::min)
}

fn seconds(f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn rates_are_positive_even_of_a_small_file() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[3; 100_001]).unwrap();
        let runtime = Runtime::builder().threads(3).build().unwrap();
        let found = runtime.ceilings(&file).unwrap();
        assert_eq!((found.threads, found.bytes), (crate::ThreadPool::useful_threads(3), 100_001));
        let rates = [Some(found.mapping), Some(found.small_pages), found.huge_pages];
        let rates = rates.into_iter().flatten().chain(found.multiply.iter().map(|p| p.rates));
        for Rates { one, all } in rates {
            assert!(one > 0.0 && one.is_finite() && all > 0.0 && all.is_finite(), "{found:?}");
        }
    }
}
