//! What an instance's device did, as the host saw it.

use chord_ops::WeightReads;
use std::time::Duration;

/// Counters over the steps of one instance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// Steps run.
    pub steps: u64,
    /// Tokens read by them.
    pub tokens: u64,
    /// Time spent inside the device.
    pub device_time: Duration,
    /// FNV-1a hash of the bits of every value returned, in order: equal runs have equal hashes. `None` unless the runtime
    /// was built with [`crate::Builder::hash_logits`].
    pub logits_hash: Option<u64>,
    /// Most bytes of the engine's linear memory.
    pub guest_memory_peak: usize,
    /// Bytes of tensors bound.
    pub tensor_bytes: u64,
    /// Bytes of KV caches when full.
    pub kv_bytes: u64,
    /// Bytes that the host holds for the engine beside caches: what [`crate::Limits::device_bytes`] bounds.
    pub device_bytes: u64,
}

/// A compiled plan as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanText {
    /// As the engine recorded it.
    pub recorded: String,
    /// After fusing.
    pub fused: String,
    /// What its steps read of the weights.
    pub reads: WeightReads,
}

impl PlanText {
    pub(crate) fn new(plan: &chord_ops::ValidPlan) -> PlanText {
        let fused = chord_ops::fuse(plan);
        PlanText { recorded: plan.to_string(), fused: fused.to_string(), reads: fused.weight_reads() }
    }
}

/// FNV-1a hash of nothing.
pub(crate) const HASH_OF_NOTHING: u64 = 0xcbf2_9ce4_8422_2325;

/// Continues an FNV-1a hash over the bits of `values`.
pub(crate) fn hash(state: u64, values: &[f32]) -> u64 {
    values.iter().fold(state, |state, v| (state ^ u64::from(v.to_bits())).wrapping_mul(0x0000_0100_0000_01b3))
}
