//! Memory that untrusted callers may make a device take: it is charged before it is taken and refunded when it is freed.

use crate::device::DeviceError;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::size_of;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A bound on bytes that everything of one kind shares, for example all that one engine instance makes a device hold.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

/// Bytes that were charged to a [`Budget`]; dropping it refunds them. It lives next to the memory that it stands for.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Arc<Budget> {
        Arc::new(Budget { limit, used: AtomicUsize::new(0) })
    }

    /// A budget that only the machine bounds.
    pub fn unlimited() -> Arc<Budget> {
        Budget::new(usize::MAX)
    }

    /// Most bytes at once.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes charged at present.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Charges `bytes` that `what` is about to take. Fails with [`DeviceError::Limit`], and charges nothing then.
    pub fn charge(self: &Arc<Self>, what: &str, bytes: usize) -> Result<Charge, DeviceError> {
        let charged = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|&sum| sum <= self.limit)
        });
        match charged {
            Ok(_) => Ok(Charge { budget: self.clone(), bytes }),
            Err(used) => Err(DeviceError::Limit(format!(
                "{what}: {bytes} bytes wanted, {used} of {} are in use",
                self.limit
            ))),
        }
    }

    /// An empty vector with room for `len` elements, and what it costs. Fails with [`DeviceError::Limit`] beyond the budget, and
    /// where the machine has no memory.
    pub fn vec<T>(self: &Arc<Self>, what: &str, len: usize) -> Result<(Vec<T>, Charge), DeviceError> {
        let charge = self.charge(what, len.saturating_mul(size_of::<T>()))?;
        let mut vec = Vec::new();
        let no_memory = |_| DeviceError::Limit(format!("{what}: no memory for {len} elements"));
        vec.try_reserve_exact(len).map_err(no_memory)?;
        Ok((vec, charge))
    }
}

impl Charge {
    /// Bytes charged.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Charges `bytes` more. On failure the charge is as before.
    pub fn grow(&mut self, what: &str, bytes: usize) -> Result<(), DeviceError> {
        let mut more = self.budget.charge(what, bytes)?;
        // `more` keeps nothing to refund.
        self.bytes += core::mem::take(&mut more.bytes);
        Ok(())
    }

    /// A charge of its own for `bytes` of this one, or for all of it if it has less.
    pub fn split(&mut self, bytes: usize) -> Charge {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Charge { budget: self.budget.clone(), bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_charged_is_refunded_once() {
        let budget = Budget::new(100);
        let mut a = budget.charge("a", 60).unwrap();
        let refused = budget.charge("b", 41).unwrap_err();
        assert_eq!(refused.to_string(), "limit exceeded: b: 41 bytes wanted, 60 of 100 are in use");
        a.grow("a", 40).unwrap();
        assert!(a.grow("a", 1).is_err() && a.bytes() == 100 && budget.used() == 100);
        let part = a.split(30);
        assert_eq!((a.bytes(), part.bytes(), budget.used()), (70, 30, 100));
        drop(a);
        assert_eq!(budget.used(), 30);
        drop(part);
        assert_eq!(budget.used(), 0);
        assert!(budget.charge("all", usize::MAX).is_err());
    }

    #[test]
    fn a_vector_costs_its_room() {
        let budget = Budget::new(1000);
        let (vec, charge) = budget.vec::<u64>("list", 100).unwrap();
        assert!(vec.capacity() >= 100 && charge.bytes() == 800 && budget.used() == 800);
        assert!(budget.vec::<u64>("list", 26).is_err());
        let unlimited = Budget::unlimited();
        assert!(unlimited.vec::<u64>("list", usize::MAX / 16).is_err(), "no machine has that");
        assert_eq!(unlimited.used(), 0);
    }
}
