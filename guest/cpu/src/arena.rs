//! Memory that the threads of a step share: each phase of a step hands every thread other elements of it.
#![expect(unsafe_code, reason = "disjoint mutable views of one buffer across threads")]

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use alloc::format;
use chord_ops::DeviceError;
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
}

// SAFETY: it owns its elements, which are `Send` and `Sync`; views are given out under the contract of `get_mut`.
unsafe impl<T: Plain> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Plain> Sync for Shared<T> {}

impl<T: Plain> Shared<T> {
    /// `len` zeros. Fails with [`DeviceError::Limit`] where there is no memory for them.
    pub(crate) fn new(len: usize) -> Result<Shared<T>, DeviceError> {
        if len == 0 {
            return Ok(Shared { start: NonNull::dangling(), len });
        }
        let no_memory = || DeviceError::Limit(format!("no memory for {len} elements of scratch"));
        let layout = Self::layout(len).ok_or_else(no_memory)?;
        // SAFETY: the layout is not empty: `len > 0` and no element type is.
        let start = unsafe { alloc_zeroed(layout) };
        Ok(Shared { start: NonNull::new(start.cast()).ok_or_else(no_memory)?, len })
    }

    fn layout(len: usize) -> Option<Layout> {
        Layout::array::<T>(len).ok()?.align_to(ALIGN).ok()
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
            unsafe { dealloc(self.start.as_ptr().cast(), layout) };
        }
    }
}
