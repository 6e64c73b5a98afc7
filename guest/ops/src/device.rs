//! What an engine asks of a device. Implemented by the CPU device, by GPU devices, and, inside the engine component,
//! by the imported `compute` interface.

use crate::plan::{CacheSpec, TensorDecl};
use crate::validate::ValidPlan;
use alloc::string::String;
use alloc::vec::Vec;
use chord_quant::DType;

/// A sequence of a KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeqId(pub u32);

/// Consecutive tokens of a step that belong to one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The sequence, open in the cache; at most one span per sequence and step.
    pub seq: SeqId,
    /// Number of tokens, at least 1.
    pub len: u32,
}

/// What a step hands back for each wanted row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The whole output row.
    All,
    /// The `k` largest elements (all, if a row has fewer), largest first, ties by lower index. NaN counts as largest,
    /// so that it is seen.
    Top(u32),
}

/// One run of a plan. The tokens of all spans stand one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Token ids, `1..=max_step_tokens` of them, each below the embedding's row count.
    pub tokens: &'a [u32],
    /// Position of each token (for rotary embedding); same length as `tokens`.
    pub positions: &'a [u32],
    /// Which sequence each run of tokens is appended to; lengths sum to `tokens.len()`.
    pub spans: &'a [Span],
    /// Indices into `tokens`, strictly increasing: the rows wanted. May be empty.
    pub wanted: &'a [u32],
    /// What to return of the wanted rows.
    pub pick: Pick,
}

/// Result of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Picked {
    /// `(wanted, k)` values, row-major: whole rows (`k = cols`) or the top `k`.
    pub values: Vec<f32>,
    /// `(wanted, k)` column indices of `values`, for [`Pick::Top`]; empty for [`Pick::All`].
    pub indices: Vec<u32>,
    /// Values per wanted row.
    pub k: u32,
}

/// A device and its resources, for messages and choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Short name: `cpu`.
    pub name: String,
    /// What it is: `2 threads, avx512-vnni`.
    pub description: String,
    /// Tensor types that plans may read with a fast kernel.
    pub fast: Vec<DType>,
    /// Tensor types that plans may read at all.
    pub readable: Vec<DType>,
}

/// Why a device refused or failed. A refused request leaves the device as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The plan breaks a rule of the contract.
    #[error("plan refused: {0}")]
    Plan(#[from] crate::error::PlanError),
    /// A tensor cannot be bound: size, alignment, type or bounds.
    #[error("tensor refused: {0}")]
    Tensor(String),
    /// A step breaks a rule of the contract.
    #[error("step refused: {0}")]
    Step(String),
    /// The cache has no room for the tokens of the step.
    #[error("KV cache is full: {used} of {max} tokens used, {wanted} more wanted; raise the context size")]
    CacheFull {
        /// Tokens held, rounded up to whole pages.
        used: u32,
        /// Capacity in tokens.
        max: u32,
        /// Tokens the step would add.
        wanted: u32,
    },
    /// A limit on memory or size was hit.
    #[error("limit exceeded: {0}")]
    Limit(String),
    /// The step was cancelled; the cache holds none of its tokens.
    #[error("cancelled")]
    Cancelled,
    /// The weights can no longer be read (file truncated or replaced while mapped).
    #[error("weights lost: {0}")]
    WeightsLost(String),
    /// The device failed.
    #[error("device failed: {0}")]
    Failed(String),
}

/// A device: binds tensors, makes caches, compiles plans, runs steps. Handles free what they hold when dropped.
pub trait Device {
    /// Source of tensor bytes that stays outside (a mapped weights file).
    type Weights;
    /// A bound tensor.
    type Tensor;
    /// A KV cache with its sequences.
    type Cache;
    /// A validated, fused plan with its scratch memory.
    type Plan;

    /// Name and abilities.
    fn info(&self) -> DeviceInfo;

    /// Binds `decl` to the bytes at `offset` of `weights`, in place where the device can.
    fn bind(
        &self,
        weights: &Self::Weights,
        offset: u64,
        decl: &TensorDecl,
    ) -> Result<Self::Tensor, DeviceError>;

    /// Makes a tensor of bytes that are in no file (computed rope factors, test data).
    fn upload(&self, decl: &TensorDecl, bytes: &[u8]) -> Result<Self::Tensor, DeviceError>;

    /// Makes an empty cache.
    fn new_cache(&self, spec: &CacheSpec) -> Result<Self::Cache, DeviceError>;

    /// Fuses and lays out a plan over bound tensors, `tensors[i]` for `TensorId(i)`.
    fn compile(&self, plan: &ValidPlan, tensors: &[&Self::Tensor]) -> Result<Self::Plan, DeviceError>;

    /// Runs one step: appends its tokens to their sequences and returns the wanted rows. On error the cache is as before.
    fn run(
        &self,
        plan: &mut Self::Plan,
        cache: &mut Self::Cache,
        step: &Step<'_>,
    ) -> Result<Picked, DeviceError>;

    /// Opens an empty sequence.
    fn open(&self, cache: &mut Self::Cache) -> Result<SeqId, DeviceError>;

    /// Opens a sequence that shares the first `len` tokens of `seq` (copy on write).
    fn fork(&self, cache: &mut Self::Cache, seq: SeqId, len: u32) -> Result<SeqId, DeviceError>;

    /// Cuts a sequence to its first `len` tokens.
    fn truncate(&self, cache: &mut Self::Cache, seq: SeqId, len: u32) -> Result<(), DeviceError>;

    /// Closes a sequence and frees its tokens.
    fn close(&self, cache: &mut Self::Cache, seq: SeqId) -> Result<(), DeviceError>;

    /// Tokens that a sequence holds.
    fn len(&self, cache: &Self::Cache, seq: SeqId) -> Result<u32, DeviceError>;
}
