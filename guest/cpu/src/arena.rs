//! Memory that the threads of a step share: each phase of a step hands every thread other elements of it.
#![expect(unsafe_code, reason = "disjoint mutable views of one buffer across threads")]

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use alloc::format;
use alloc::sync::Arc;
use chord_ops::{Budget, Charge, DeviceError};
use core::ops::Range;
use core::ptr::NonNull;

/// Alignment of buffers: a cache line and the widest vector register.
const ALIGN: usize = 64;

/// Plain numbers: all bits zero is the number 0.
///
/// # Safety
/// Zero bytes are a valid value, and values need no drop.
pub(crate) unsafe trait Plain: Copy + Send + Sync + 'static {}

// SAFETY: a float of zero bytes is 0.0.
unsafe impl Plain for f32 {}
// SAFETY: an integer of zero bytes is 0.
unsafe impl Plain for u32 {}
// SAFETY: an integer of zero bytes is 0.
unsafe impl Plain for u16 {}
// SAFETY: an integer of zero bytes is 0.
unsafe impl Plain for i16 {}
// SAFETY: an integer of zero bytes is 0.
unsafe impl Plain for i8 {}

/// A zeroed buffer of fixed size. Ranges are checked against its size; that views of one range are not mutable and
/// shared at the same time is for callers to keep.
pub(crate) struct Shared<T: Plain> {
    start: NonNull<T>,
    len: usize,
    /// What was allocated; elements start at the first multiple of [`ALIGN`] in it.
    allocated: NonNull<u8>,
    _charge: Charge,
}

// SAFETY: it owns its elements, which are `Send` and `Sync`; views are given out under the contract of `get_mut`.
unsafe impl<T: Plain> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Plain> Sync for Shared<T> {}

impl<T: Plain> Shared<T> {
    /// `len` zeros for `what`, charged to `budget`. Fails with [`DeviceError::Limit`] beyond it, and where there is no memory.
    pub(crate) fn new(budget: &Arc<Budget>, what: &str, len: usize) -> Result<Shared<T>, DeviceError> {
        Shared::charged(budget.charge(what, Self::bytes(len))?, what, len)
    }

    /// Bytes that `len` elements take.
    pub(crate) fn bytes(len: usize) -> usize {
        if len == 0 { 0 } else { len.saturating_mul(size_of::<T>()).saturating_add(ALIGN) }
    }

    /// `len` zeros that have been charged already. Fails with [`DeviceError::Limit`] where there is no memory for them.
    pub(crate) fn charged(_charge: Charge, what: &str, len: usize) -> Result<Shared<T>, DeviceError> {
        let no_memory = || DeviceError::Limit(format!("{what}: no memory for {len} elements"));
        let layout = Self::layout(len).ok_or_else(no_memory)?;
        if len == 0 {
            return Ok(Shared { start: NonNull::dangling(), len, allocated: NonNull::dangling(), _charge });
        }
        // SAFETY: the layout is not empty: `len > 0` and no element type is.
        let allocated = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(no_memory)?;
        // SAFETY: less than `ALIGN` bytes, for which the layout has room.
        let start = unsafe { allocated.add(allocated.align_offset(ALIGN)) };
        Ok(Shared { start: start.cast(), len, allocated, _charge })
    }

    /// Room for `len` elements from a multiple of [`ALIGN`]. Its own alignment is not more than the system's allocator gives
    /// to anything: only then zeroed memory is fresh pages, which take no memory until they are written.
    fn layout(len: usize) -> Option<Layout> {
        let elements = Layout::array::<T>(len).ok()?;
        Layout::from_size_align(elements.size().checked_add(ALIGN)?, elements.align()).ok()
    }

    /// A view of some elements.
    ///
    /// # Safety
    /// For as long as the view lives, no mutable view of the same elements does.
    pub(crate) unsafe fn get(&self, range: Range<usize>) -> &[T] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {} elements", self.len);
        // SAFETY: in bounds, checked above; initialised since allocation; aliasing is the caller's promise.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr().add(range.start), range.len()) }
    }

    /// A mutable view of some elements.
    ///
    /// # Safety
    /// For as long as the view lives, no other view of the same elements does.
    #[expect(clippy::mut_from_ref, reason = "the caller promises disjoint ranges")]
    pub(crate) unsafe fn get_mut(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {} elements", self.len);
        // SAFETY: in bounds, checked above; initialised since allocation; aliasing is the caller's promise.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr().add(range.start), range.len()) }
    }

    /// All elements.
    pub(crate) fn as_slice(&mut self) -> &[T] {
        // SAFETY: `self` is borrowed mutably, so no view lives.
        unsafe { self.get(0..self.len) }
    }

    /// Replaces all elements by those of a buffer of the same size.
    pub(crate) fn copy_from(&mut self, other: &mut Shared<T>) {
        // SAFETY: both are borrowed mutably, so no other views live.
        unsafe { self.get_mut(0..self.len) }.copy_from_slice(other.as_slice());
    }
}

impl<T: Plain> Drop for Shared<T> {
    fn drop(&mut self) {
        if let (true, Some(layout)) = (self.len > 0, Self::layout(self.len)) {
            // SAFETY: allocated in `new` with this layout.
            unsafe { dealloc(self.allocated.as_ptr(), layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_zeros() {
        for len in [1, 7, 1000] {
            let budget = Budget::new(1 << 20);
            let mut buffer = Shared::<u16>::new(&budget, "test", len).unwrap();
            assert_eq!(budget.used(), 2 * len + ALIGN);
            assert_eq!(buffer.start.as_ptr().align_offset(ALIGN), 0);
            assert!(buffer.as_slice().len() == len && buffer.as_slice().iter().all(|&x| x == 0));
        }
        assert!(Shared::<f32>::new(&Budget::unlimited(), "test", usize::MAX / 4).is_err());
        assert!(Shared::<f32>::new(&Budget::new(1000), "test", 250).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_taken_where_it_is_written() {
        extern crate std;
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
            line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
        };
        let (bytes, before) = (1 << 30, resident());
        let buffer = Shared::<f32>::new(&Budget::unlimited(), "test", bytes / 4).unwrap();
        // Other tests of this process may allocate at the same time, but not as much.
        assert!(resident() < before + bytes / 2, "{before} bytes before, {} now", resident());
        drop(buffer);
    }
}
