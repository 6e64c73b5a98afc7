//! Copies of weights in the order in which kernels read them, within a budget of memory.
#![expect(unsafe_code, reason = "memory that is written before it is read")]

use crate::kernels::{MatKernel, Packed};
use crate::pool::Pool;
use crate::tensor::Tensor;
use alloc::alloc::{Layout, alloc, dealloc};
use alloc::sync::Arc;
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
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicUsize,
    advise: Advise,
}

/// A matrix in a kernel's order.
pub(crate) struct PackedWeights {
    start: NonNull<u8>,
    layout: Layout,
    /// Bytes of the matrix.
    len: usize,
    budget: Arc<Budget>,
    mul: Packed,
}

// SAFETY: it owns its bytes, which nothing writes after construction.
unsafe impl Send for PackedWeights {}
// SAFETY: as above.
unsafe impl Sync for PackedWeights {}

impl Budget {
    pub(crate) fn new(bytes: usize, advise: Advise) -> Budget {
        Budget { left: AtomicUsize::new(bytes), advise }
    }

    fn take(&self, bytes: usize) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }
}

impl PackedWeights {
    /// Copies a matrix if its kernel has an order of its own, its rows fill whole panels, and the budget has room.
    pub(crate) fn new(
        budget: &Arc<Budget>,
        tensor: &Tensor,
        kernel: &MatKernel,
        pool: &dyn Pool,
    ) -> Option<PackedWeights> {
        let packed = kernel.packed?;
        let (rows, len) = (tensor.decl.rows as usize, tensor.bytes().len());
        // Small ones stay in the caches anyway, and a copy takes whole pages.
        if !rows.is_multiple_of(kernel.rows) || len < SMALL {
            return None;
        }
        let align = if len < ALIGN_HUGE { ALIGN_PAGE } else { ALIGN_HUGE };
        let layout = Layout::from_size_align(len.next_multiple_of(align), align).ok()?;
        if !budget.take(layout.size()) {
            return None;
        }
        let this = PackedWeights::allocate(budget, layout, len, packed)?;
        this.fill(tensor, kernel, pool);
        Some(this)
    }

    /// Memory not yet written. The budget has given the room already, and gets it back where there is no memory.
    fn allocate(budget: &Arc<Budget>, layout: Layout, len: usize, mul: Packed) -> Option<PackedWeights> {
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start) else {
            budget.left.fetch_add(layout.size(), Ordering::Relaxed);
            return None;
        };
        (budget.advise)(start.as_ptr(), layout.size());
        Some(PackedWeights { start, layout, len, budget: budget.clone(), mul })
    }

    fn fill(&self, tensor: &Tensor, kernel: &MatKernel, pool: &dyn Pool) {
        let row = tensor.row_bytes();
        // Some panels at a time.
        let piece = row * kernel.rows * (ALIGN_HUGE / (row * kernel.rows)).max(1);
        let (next, bytes) = (AtomicUsize::new(0), tensor.bytes());
        pool.run(&|_| {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed).saturating_mul(piece);
                if at >= bytes.len() {
                    return;
                }
                let from = &bytes[at..bytes.len().min(at + piece)];
                // SAFETY: pieces are dealt out once and do not overlap; the memory is as large as the tensor at least,
                // and zero before there is a view of it.
                let to = unsafe {
                    let start = self.start.as_ptr().add(at);
                    start.write_bytes(0, from.len());
                    core::slice::from_raw_parts_mut(start, from.len())
                };
                (self.mul.pack)(from, tensor.decl.cols as usize, to);
            }
        });
    }

    /// As many bytes as the matrix has.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: allocated with at least this size, all written in `new`, not written since.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The kernel that reads this order.
    pub(crate) fn kernel(&self) -> crate::kernels::MulFn {
        self.mul.mul
    }
}

impl Drop for PackedWeights {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
        self.budget.left.fetch_add(self.layout.size(), Ordering::Relaxed);
    }
}
