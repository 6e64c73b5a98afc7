//! What the system lets this process do, asked before anything relies on it. Each question is asked by doing the thing
//! itself on a small scale: limits, SELinux, seccomp and containers refuse in different places, and all of them here.
#![expect(unsafe_code, reason = "address space is reserved and given back")]

use std::sync::{Arc, Barrier};

/// Address space that counts as plenty: wasmtime reserves 4 GiB and its guards for each linear memory.
const PLENTY: usize = 64 << 30;

/// Whether memory that was written can be made executable. It cannot under SELinux without `execmem`, systemd's
/// `MemoryDenyWriteExecute` and `prctl(PR_SET_MDWE)`.
pub(crate) fn can_make_executable() -> bool {
    memmap2::MmapMut::map_anon(1).and_then(memmap2::MmapMut::make_exec).is_ok()
}

/// Whether address space is there to be reserved and not used, as on most systems. It is not under `ulimit -v`.
pub(crate) fn has_address_space() -> bool {
    #[cfg(unix)]
    // SAFETY: a new mapping at an address of the system's choice, which nobody reads or writes before it is gone again.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE;
        let start = libc::mmap(std::ptr::null_mut(), PLENTY, libc::PROT_NONE, flags, -1, 0);
        start != libc::MAP_FAILED && libc::munmap(start, PLENTY) == 0
    }
    #[cfg(not(unix))]
    true
}

/// Whether this many threads can run beside this one, all at a time.
pub(crate) fn can_start_threads(count: usize) -> bool {
    let spawn = |barrier: &Arc<Barrier>| {
        let barrier = barrier.clone();
        std::thread::Builder::new().spawn(move || {
            barrier.wait();
        })
    };
    // One thread waits for the next; each meets its own partner, so that a refused one leaves none waiting.
    let started: Vec<_> = (0..count)
        .map_while(|_| {
            let barrier = Arc::new(Barrier::new(2));
            spawn(&barrier).ok().map(|thread| (barrier, thread))
        })
        .collect();
    let all = started.len() == count;
    for (barrier, thread) in started {
        barrier.wait();
        // It does nothing that could panic.
        let _ = thread.join();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_allows_what_tests_need() {
        assert!(can_start_threads(0) && can_start_threads(3));
        assert!(can_make_executable());
        assert!(has_address_space());
    }
}
