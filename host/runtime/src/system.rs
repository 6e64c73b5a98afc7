//! What the system lets this process do, asked before anything relies on it. Each question is asked by doing the thing
//! itself on a small scale: limits, SELinux, seccomp and containers refuse in different places, and all of them here.

use crate::Error;
use ask::{can_reserve, has_futexes, has_signals};
use std::sync::{Arc, Barrier};

/// Address space that counts as plenty: wasmtime reserves 4 GiB and its guards for each linear memory.
const PLENTY: usize = 64 << 30;

/// Address space that compiling the engine may take on one thread.
const COMPILING: usize = 512 << 20;

/// Asks for the calls without which wasmtime or the C library would end the process later.
pub(crate) fn check() -> Result<(), Error> {
    let refused = |what: &str| Err(Error::System(format!("{what}: {}", std::io::Error::last_os_error())));
    if !can_reserve(1) {
        return refused("memory cannot be mapped and given back (mmap, munmap)");
    }
    if !has_signals() {
        return refused("faults cannot be handled (sigaction, sigaltstack)");
    }
    if !has_futexes() {
        return refused("threads cannot wait for each other (futex)");
    }
    Ok(())
}

/// Whether memory that was written can be made executable. It cannot under SELinux without `execmem`, systemd's
/// `MemoryDenyWriteExecute` and `prctl(PR_SET_MDWE)`.
pub(crate) fn can_make_executable() -> bool {
    memmap2::MmapMut::map_anon(1).and_then(memmap2::MmapMut::make_exec).is_ok()
}

/// Whether address space is there to be reserved and not used, as on most systems. It is not under `ulimit -v`.
pub(crate) fn has_address_space() -> bool {
    can_reserve(PLENTY)
}

/// An error if compiling the engine would end for want of address space.
pub(crate) fn check_space_for_compiling() -> Result<(), Error> {
    if can_reserve(COMPILING) {
        return Ok(());
    }
    let needed = COMPILING >> 20;
    Err(Error::System(format!(
        "compiling it takes up to {needed} MiB of address space, and less is left; raise the limit (`ulimit -v`)"
    )))
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

#[cfg(unix)]
mod ask {
    #![expect(unsafe_code, reason = "system calls that only ask")]

    /// Whether this much address space can be had and given back.
    pub(super) fn can_reserve(bytes: usize) -> bool {
        // SAFETY: a new mapping at an address of the system's choice, which nobody reads or writes before it is gone.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE;
            let start = libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0);
            start != libc::MAP_FAILED && libc::munmap(start, bytes) == 0
        }
    }

    /// Whether the handlers that wasm needs can be installed.
    pub(super) fn has_signals() -> bool {
        // SAFETY: both calls only ask, and write into live locals, for which zeros are valid.
        unsafe {
            let mut stack: libc::stack_t = std::mem::zeroed();
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaltstack(std::ptr::null(), &mut stack) == 0
                && libc::sigaction(libc::SIGSEGV, std::ptr::null(), &mut action) == 0
        }
    }

    /// Whether threads can be woken.
    #[cfg(target_os = "linux")]
    pub(super) fn has_futexes() -> bool {
        let word = std::sync::atomic::AtomicU32::new(0);
        // SAFETY: wakes nobody: no thread waits for this local.
        unsafe {
            libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1) >= 0
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn has_futexes() -> bool {
        true
    }
}

/// Systems that are not asked.
#[cfg(not(unix))]
mod ask {
    pub(super) fn can_reserve(_: usize) -> bool {
        true
    }

    pub(super) fn has_signals() -> bool {
        true
    }

    pub(super) fn has_futexes() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_allows_what_tests_need() {
        assert!(can_start_threads(0) && can_start_threads(3));
        assert!(can_make_executable());
        check().unwrap();
        check_space_for_compiling().unwrap();
        assert!(has_address_space());
    }
}
