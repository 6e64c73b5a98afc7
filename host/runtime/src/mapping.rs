//! Read-only mappings of model files that survive the file being truncated.
//!
//! Touching a mapped page beyond the end of its file raises SIGBUS, which would kill the process. The handler here
//! looks the address up among the live mappings, replaces the page by zeros, marks the mapping as lost and returns; the
//! step that was reading ends with an error for that model. Addresses outside go to the handler that was there before.
#![expect(unsafe_code, reason = "memory mappings and a signal handler")]

use memmap2::Mmap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, Once};

/// A file mapped read-only.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: Mmap,
    slot: Option<&'static Slot>,
}

impl Mapping {
    /// Maps the whole of `file`. An empty file gives an empty mapping.
    pub(crate) fn new(file: &File) -> io::Result<Mapping> {
        // SAFETY: the mapping is read only. Others may change the file under it: readers treat its bytes as untrusted
        // plain data (no invariant of the type system rests on them), and truncation is handled by the SIGBUS handler.
        let map = unsafe { Mmap::map(file)? };
        // A hint: where the file is not in the page cache yet, it gets there in huge pages, which are faster to read.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        let slot = guard(&map)?;
        Ok(Mapping { map, slot })
    }

    /// Its bytes. Zeros where the file no longer is.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Whether a part of the file was found missing.
    pub(crate) fn is_lost(&self) -> bool {
        self.slot.is_some_and(|s| s.lost.load(Ordering::Acquire))
    }

    /// Asks the kernel to read a range ahead.
    pub(crate) fn prefetch(&self, offset: usize, len: usize) {
        // A hint: a kernel that cannot follow it loses nothing.
        #[cfg(unix)]
        let _ = self.map.advise_range(memmap2::Advice::WillNeed, offset, len);
        #[cfg(not(unix))]
        let _ = (offset, len);
    }
}

/// Asks for huge pages for memory that was allocated and not touched yet.
pub(crate) fn advise_huge(start: *mut u8, bytes: usize) {
    // A hint as well.
    #[cfg(target_os = "linux")]
    // SAFETY: MADV_HUGEPAGE changes what backs the pages of a range, not what is in them; a bad range is an error.
    let _ = unsafe { libc::madvise(start.cast(), bytes, libc::MADV_HUGEPAGE) };
    #[cfg(not(target_os = "linux"))]
    let _ = (start, bytes);
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            slot.len.store(0, Ordering::Release);
            slot.start.store(0, Ordering::Release);
        }
    }
}

/// One live mapping, as the signal handler sees it. Slots are never freed, only reused.
#[derive(Debug)]
struct Slot {
    start: AtomicUsize,
    len: AtomicUsize,
    lost: AtomicBool,
    next: AtomicPtr<Slot>,
}

/// Head of the list of slots.
static SLOTS: AtomicPtr<Slot> = AtomicPtr::new(std::ptr::null_mut());
/// Held while slots are handed out.
static CLAIM: Mutex<()> = Mutex::new(());

/// Walks the slots. Async-signal-safe.
fn find(accept: impl Fn(&Slot) -> bool) -> Option<&'static Slot> {
    let mut at = SLOTS.load(Ordering::Acquire);
    while !at.is_null() {
        // SAFETY: slots are leaked boxes, so every pointer in the list stays valid and shared.
        let slot: &'static Slot = unsafe { &*at };
        if accept(slot) {
            return Some(slot);
        }
        at = slot.next.load(Ordering::Acquire);
    }
    None
}

#[cfg(unix)]
fn guard(map: &Mmap) -> io::Result<Option<&'static Slot>> {
    if map.is_empty() {
        return Ok(None);
    }
    install()?;
    let _claim = CLAIM.lock().unwrap_or_else(|e| e.into_inner());
    let slot = find(|s| s.start.load(Ordering::Acquire) == 0).unwrap_or_else(new_slot);
    slot.lost.store(false, Ordering::Release);
    slot.len.store(map.len(), Ordering::Release);
    slot.start.store(map.as_ptr() as usize, Ordering::Release);
    Ok(Some(slot))
}

#[cfg(not(unix))]
fn guard(_map: &Mmap) -> io::Result<Option<&'static Slot>> {
    Ok(None)
}

#[cfg(unix)]
fn new_slot() -> &'static Slot {
    let slot = Box::leak(Box::new(Slot {
        start: AtomicUsize::new(0),
        len: AtomicUsize::new(0),
        lost: AtomicBool::new(false),
        next: AtomicPtr::new(SLOTS.load(Ordering::Acquire)),
    }));
    SLOTS.store(slot, Ordering::Release);
    slot
}

/// The handler that was installed before ours.
#[cfg(unix)]
static PREVIOUS: Mutex<Option<libc::sigaction>> = Mutex::new(None);

#[cfg(unix)]
fn install() -> io::Result<()> {
    static ONCE: Once = Once::new();
    let mut result = Ok(());
    ONCE.call_once(|| {
        // SAFETY: a zeroed sigaction is a valid one to fill in, and all pointers are to live locals.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let mut previous: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_sigbus as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            libc::sigemptyset(&mut action.sa_mask);
            if libc::sigaction(libc::SIGBUS, &action, &mut previous) != 0 {
                result = Err(io::Error::last_os_error());
                return;
            }
            *PREVIOUS.lock().unwrap_or_else(|e| e.into_inner()) = Some(previous);
        }
    });
    result
}

/// Replaces the page of a lost mapping by zeros; passes every other fault on.
#[cfg(unix)]
extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo to an SA_SIGINFO handler.
    let address = unsafe { (*info).si_addr() } as usize;
    let inside = |s: &Slot| {
        let start = s.start.load(Ordering::Acquire);
        start != 0 && address.wrapping_sub(start) < s.len.load(Ordering::Acquire).next_multiple_of(4096)
    };
    match find(inside) {
        Some(slot) if replace_page(address) => slot.lost.store(true, Ordering::Release),
        _ => pass_on(signal, info, context),
    }
}

#[cfg(unix)]
fn replace_page(address: usize) -> bool {
    // SAFETY: sysconf and mmap are async-signal-safe on the platforms we run on; the page belongs to a mapping of ours
    // that is only ever read as plain bytes, so zeros are as good as what was there.
    unsafe {
        let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
        let at = (address & !(page - 1)) as *mut libc::c_void;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        libc::mmap(at, page, libc::PROT_READ, flags, -1, 0) == at
    }
}

#[cfg(unix)]
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let previous = PREVIOUS.try_lock().ok().and_then(|p| *p);
    // SAFETY: either calls a handler that was installed for this signal with the arguments the kernel gave us, or
    // restores the default action, under which the fault is raised again on return.
    unsafe {
        match previous {
            Some(p) if p.sa_sigaction > libc::SIG_IGN && p.sa_flags & libc::SA_SIGINFO != 0 => {
                let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                    std::mem::transmute(p.sa_sigaction);
                handler(signal, info, context);
            }
            Some(p) if p.sa_sigaction > libc::SIG_IGN => {
                let handler: extern "C" fn(libc::c_int) = std::mem::transmute(p.sa_sigaction);
                handler(signal);
            }
            _ => {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_truncated_file_reads_as_zeros_and_is_marked_lost() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7u8; 3 * 4096]).unwrap();
        let (whole, other) = (Mapping::new(&file).unwrap(), Mapping::new(&file).unwrap());
        assert_eq!(whole.bytes()[2 * 4096], 7);
        file.set_len(4096).unwrap();
        assert_eq!(whole.bytes()[4095], 7, "what is left of the file can be read");
        assert!(!whole.is_lost());
        assert_eq!(whole.bytes()[2 * 4096], 0);
        assert!(whole.is_lost());
        assert!(!other.is_lost(), "only the mapping that was read is marked");
    }

    #[test]
    fn a_slot_is_reused_after_its_mapping_is_gone() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1u8; 4096]).unwrap();
        drop(Mapping::new(&file).unwrap());
        let again = Mapping::new(&file).unwrap();
        assert!(!again.is_lost());
        assert_eq!(again.bytes()[0], 1);
    }
}
