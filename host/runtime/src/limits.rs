//! What one engine instance may use.

use std::time::Duration;
use wasmtime::ResourceLimiter;

/// Bounds on one engine instance. All have defaults that real models stay below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the engine's linear memories together (its code's own data: metadata, vocabulary, logits).
    pub guest_memory: usize,
    /// Most elements of the engine's tables together.
    pub guest_table: usize,
    /// Most linear memories, tables and core instances, of each kind.
    pub guest_instances: usize,
    /// Most bytes of a component.
    pub component_bytes: usize,
    /// Longest time that a component may take to be compiled. What takes longer is refused; its compilation goes on
    /// unseen until it ends by itself, since the compiler cannot be interrupted.
    pub compile_time: Duration,
    /// Most bytes of files bound as tensors at once. They are mapped, so this is no memory.
    pub tensor_bytes: u64,
    /// Most bytes that the host holds for the engine beside its KV caches: uploaded tensors, plans with their scratch
    /// memory and decoded vectors, the books of caches, texts of plans, results of a step.
    pub device_bytes: usize,
    /// Most bytes of model files that are read into memory, where they cannot be mapped. 4 GiB by default.
    pub read_bytes: u64,
    /// Most bytes of all KV caches when full.
    pub kv_bytes: usize,
    /// Most handles (tensors, caches, plans, files) at once.
    pub handles: usize,
    /// Bounds on plans: ops, tensors, tokens, scratch bytes.
    pub plan: chord_ops::Limits,
    /// Longest time one call into the engine may take, the kernels it starts included.
    pub call_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            guest_memory: 2 << 30,
            guest_table: 1 << 20,
            guest_instances: 16,
            component_bytes: 64 << 20,
            compile_time: Duration::from_secs(120),
            tensor_bytes: 1 << 40,
            device_bytes: 4 << 30,
            read_bytes: 4 << 30,
            kv_bytes: 64 << 30,
            handles: 1 << 18,
            plan: chord_ops::Limits::default(),
            call_time: Duration::from_secs(600),
        }
    }
}

/// Enforces the memory and table bounds inside the runtime and remembers the peak.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_bound: usize,
    table_bound: usize,
    instances: usize,
    memory: usize,
    /// Elements of all tables.
    table: usize,
    /// Most bytes of linear memory so far.
    pub(crate) peak: usize,
    /// Bytes of linear memory that the engine last asked for and did not get.
    pub(crate) refused: Option<usize>,
    /// Whether a refusal was logged: an engine may ask without end.
    logged: bool,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Limiter {
        let (memory_bound, table_bound) = (limits.guest_memory, limits.guest_table);
        Limiter {
            memory_bound,
            table_bound,
            instances: limits.guest_instances,
            memory: 0,
            table: 0,
            peak: 0,
            refused: None,
            logged: false,
        }
    }

    /// Says once that something was refused.
    fn log(&mut self, what: &str, wanted: usize, bound: usize) {
        if !std::mem::replace(&mut self.logged, true) {
            tracing::warn!(wanted, bound, "the engine asked for more {what} than allowed; said once");
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _max: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let after = self.memory.saturating_sub(current).saturating_add(desired);
        if after > self.memory_bound {
            self.log("linear memory", after, self.memory_bound);
            self.refused = Some(after);
            return Ok(false);
        }
        self.memory = after;
        self.peak = self.peak.max(after);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _max: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let after = self.table.saturating_sub(current).saturating_add(desired);
        if after > self.table_bound {
            self.log("elements of tables", after, self.table_bound);
            return Ok(false);
        }
        self.table = after;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.instances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_count_together() {
        let limits = Limits { guest_memory: 100, guest_table: 10, ..Limits::default() };
        let mut limiter = Limiter::new(&limits);
        let mut memory = |from, to| limiter.memory_growing(from, to, None).expect("it is decided");
        assert_eq!(
            [memory(0, 60), memory(0, 60), memory(0, 30), memory(60, 70), memory(70, 71)],
            [true, false, true, true, false]
        );
        assert_eq!((limiter.peak, limiter.refused), (100, Some(101)));
        let mut table = |from, to| limiter.table_growing(from, to, None).expect("it is decided");
        assert_eq!(
            [table(0, 6), table(0, 6), table(0, 3), table(6, 7), table(7, 8)],
            [true, false, true, true, false]
        );
        assert!(!table(7, usize::MAX));
        let kinds = [limiter.instances(), limiter.memories(), limiter.tables()];
        assert_eq!(kinds, [16; 3], "of each kind, not wasmtime's 10 000");
    }
}
