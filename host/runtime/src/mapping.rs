//! Read-only mappings of model files that survive the file being truncated.
//!
//! Touching a mapped page beyond the end of its file raises SIGBUS, which would kill the process. The handler here
//! looks the address up among the live mappings, maps zeros from there to the end of the mapping, marks it as lost and
//! returns; the step that was reading ends with an error for that model. What lies behind the page is gone as well, and
//! page by page the system would run out of mappings. Addresses outside go to the handler that was there before.
//!
//! On Linux the handler runs on the stack of the thread that read: kernels have room there, while the alternate stack that
//! a thread gets from Rust is barely larger than the registers that the system puts on it where there are AMX tiles.
#![expect(unsafe_code, reason = "memory mappings and a signal handler")]

use memmap2::Mmap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

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

impl Slot {
    /// Bytes of the mapping in whole pages.
    #[cfg(unix)]
    fn mapped_bytes(&self) -> usize {
        self.len.load(Ordering::Acquire).next_multiple_of(PAGE_BYTES.load(Ordering::Acquire))
    }
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

/// Bytes of a page of the system; asked once, before the handler needs it.
#[cfg(unix)]
static PAGE_BYTES: AtomicUsize = AtomicUsize::new(4096);

/// Installs the handler, once. Every mapping fails if that did.
#[cfg(unix)]
fn install() -> io::Result<()> {
    static RESULT: OnceLock<Result<(), i32>> = OnceLock::new();
    RESULT
        .get_or_init(|| install_now().map_err(|e| e.raw_os_error().unwrap_or(libc::EINVAL)))
        .map_err(io::Error::from_raw_os_error)
}

#[cfg(unix)]
fn install_now() -> io::Result<()> {
    // Elsewhere a stack overflow raises SIGBUS too, and the handler before ours needs a stack for that.
    let stack = if cfg!(target_os = "linux") { 0 } else { libc::SA_ONSTACK };
    // SAFETY: a zeroed sigaction is a valid one to fill in, and all pointers are to live locals.
    unsafe {
        if let Ok(bytes @ 1..) = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)) {
            PAGE_BYTES.store(bytes, Ordering::Release);
        }
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut previous: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_sigbus as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | stack | libc::SA_NODEFER;
        libc::sigemptyset(&mut action.sa_mask);
        if libc::sigaction(libc::SIGBUS, &action, &mut previous) != 0 {
            return Err(io::Error::last_os_error());
        }
        *PREVIOUS.lock().unwrap_or_else(|e| e.into_inner()) = Some(previous);
    }
    Ok(())
}

/// Replaces what is left of a lost mapping by zeros; passes every other fault on.
#[cfg(unix)]
extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo to an SA_SIGINFO handler.
    let address = unsafe { (*info).si_addr() } as usize;
    let inside = |s: &Slot| {
        let start = s.start.load(Ordering::Acquire);
        start != 0 && address.wrapping_sub(start) < s.mapped_bytes()
    };
    match find(inside) {
        // Marked first: another thread that reads the zeros finds the mark.
        Some(slot) => {
            slot.lost.store(true, Ordering::Release);
            if !replace_from(address, slot) {
                pass_on(signal, info, context);
            }
        }
        None => pass_on(signal, info, context),
    }
}

/// Maps zeros from the page of `address` to the end of the mapping.
#[cfg(unix)]
fn replace_from(address: usize, slot: &Slot) -> bool {
    let page = PAGE_BYTES.load(Ordering::Acquire);
    let at = address & !(page - 1);
    let end = slot.start.load(Ordering::Acquire) + slot.mapped_bytes();
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
    let at = at as *mut libc::c_void;
    // SAFETY: mmap is async-signal-safe on the platforms we run on; the pages belong to a mapping of ours that is only
    // ever read as plain bytes, so zeros are as good as what was there.
    unsafe { libc::mmap(at, end - at as usize, libc::PROT_READ, flags, -1, 0) == at }
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

    /// Page by page, each fault would split the mapping once more, and the system's bound on mappings is soon met.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_lost_file_costs_one_mapping_whatever_is_read_of_it() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(64 * 4096).unwrap();
        let map = Mapping::new(&file).unwrap();
        file.set_len(0).unwrap();
        let start = map.bytes().as_ptr() as usize;
        let pieces = || {
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            let begins =
                maps.lines().filter_map(|line| usize::from_str_radix(line.split('-').next()?, 16).ok());
            begins.filter(|at| (start..start + 64 * 4096).contains(at)).count()
        };
        // Every other page, the last one first: the worst order.
        for page in (0..64).rev().step_by(2) {
            assert_eq!(map.bytes()[page * 4096], 0);
            assert!(pieces() <= 2, "{} mappings after page {page}", pieces());
        }
        assert!(map.is_lost());
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
