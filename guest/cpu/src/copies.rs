//! Copies of weights in huge pages, within a budget of memory: a mapped file has small ones on most systems.
#![expect(unsafe_code, reason = "memory that is written before it is read")]

use crate::pool::{Pool, Turn};
use crate::tensor::Tensor;
use alloc::alloc::{Layout, alloc, dealloc};
use alloc::sync::Arc;
use chord_ops::{Budget, Charge};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Alignment of what shall lie in huge pages, and of the rest.
const ALIGN_HUGE: usize = 2 << 20;
const ALIGN_PAGE: usize = 4 << 10;
/// Bytes of a matrix below which a copy is not worth it.
const SMALL: usize = 64 << 10;

/// Called with the start and size of fresh memory before it is touched, to tell the system how it will be used. It must
/// not read or write there.
pub type Advise = fn(start: *mut u8, bytes: usize);

/// Memory that copies of weights may take.
#[derive(Clone, Debug)]
pub(crate) struct Copies {
    budget: Arc<Budget>,
    advise: Advise,
}

/// A matrix in memory of its own.
pub(crate) struct WeightCopy {
    start: NonNull<u8>,
    layout: Layout,
    /// Bytes of the matrix.
    len: usize,
    _charge: Charge,
}

// SAFETY: it owns its bytes, which nothing writes after construction.
unsafe impl Send for WeightCopy {}
// SAFETY: as above.
unsafe impl Sync for WeightCopy {}

impl Copies {
    pub(crate) fn new(bytes: usize, advise: Advise) -> Copies {
        Copies { budget: Budget::new(bytes), advise }
    }
}

impl WeightCopy {
    /// Copies a matrix if the budget has room.
    pub(crate) fn new(copies: &Copies, tensor: &Tensor, pool: &dyn Pool) -> Option<WeightCopy> {
        let len = tensor.bytes().len();
        // Small ones stay in the caches anyway, and a copy takes whole pages.
        if len < SMALL {
            return None;
        }
        let align = if len < ALIGN_HUGE { ALIGN_PAGE } else { ALIGN_HUGE };
        let layout = Layout::from_size_align(len.next_multiple_of(align), align).ok()?;
        let charge = copies.budget.charge("a copy of weights", layout.size()).ok()?;
        let this = WeightCopy::allocate(copies.advise, charge, layout, len)?;
        this.fill(tensor.bytes(), pool);
        Some(this)
    }

    /// Memory not yet written, which has been charged already.
    fn allocate(advise: Advise, charge: Charge, layout: Layout, len: usize) -> Option<WeightCopy> {
        // SAFETY: the layout is not empty.
        let start = NonNull::new(unsafe { alloc(layout) })?;
        advise(start.as_ptr(), layout.size());
        Some(WeightCopy { start, layout, len, _charge: charge })
    }

    fn fill(&self, bytes: &[u8], pool: &dyn Pool) {
        let next = AtomicUsize::new(0);
        pool.lend(&|_| {
            loop {
                let at = next.fetch_add(ALIGN_HUGE, Ordering::Relaxed);
                if at >= bytes.len() {
                    return Turn::Over;
                }
                let from = &bytes[at..bytes.len().min(at + ALIGN_HUGE)];
                // SAFETY: pieces are dealt out once and do not overlap; the memory is at least as large as the tensor.
                unsafe { self.start.as_ptr().add(at).copy_from_nonoverlapping(from.as_ptr(), from.len()) };
            }
        });
    }

    /// Those of the matrix.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: allocated with at least this size, all written in `new`, not written since.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for WeightCopy {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}
