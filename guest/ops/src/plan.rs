//! Plans: ops over numbered values, the tensors they read and the cache they append to.

use crate::op::Op;
use alloc::sync::Arc;
use alloc::vec::Vec;
use chord_quant::DType;

/// A value: the output of one op. Value `k` of a recorded plan is the `k`-th output in op order, so a plan cannot
/// define a value twice or leave one undefined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// An index into [`Plan::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub u32);

/// How many rows a value has in a step; known only when the step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    /// One row per token of the step.
    Tokens,
    /// One row per wanted token of the step (after [`crate::op::Gather`]).
    Wanted,
}

/// Shape of a value: `(rows, cols)`, f32, row-major.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Number of rows, by class.
    pub rows: Rows,
    /// Elements per row, at least 1.
    pub cols: u32,
}

impl core::fmt::Display for ValueId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "%{}", self.0)
    }
}

impl core::fmt::Display for Rows {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Rows::Tokens => "tokens",
            Rows::Wanted => "wanted",
        })
    }
}

impl core::fmt::Display for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "({}, {})", self.rows, self.cols)
    }
}

/// A weight tensor that a plan reads: what the plan expects of the tensor bound to this index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorDecl {
    /// GGUF name, for messages and printing; at most [`TensorDecl::MAX_NAME`] bytes. Copies of a declaration share it.
    pub name: Arc<str>,
    /// Element type.
    pub dtype: DType,
    /// Elements per row (`ne[0]`, the input dimension of a matrix).
    pub cols: u64,
    /// Number of rows (product of the other dimensions; 1 for a vector).
    pub rows: u64,
}

/// Element type of a KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KvType {
    /// IEEE 754 binary16.
    F16,
    /// IEEE 754 binary32.
    F32,
}

impl KvType {
    /// Bytes of one element.
    pub fn bytes(self) -> u64 {
        match self {
            KvType::F16 => 2,
            KvType::F32 => 4,
        }
    }
}

/// Keys and values of one attention layer, per token: K is `(n_kv_heads, k_dim)`, V is `(n_kv_heads, v_dim)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerKv {
    /// Number of key/value heads.
    pub n_kv_heads: u32,
    /// Elements of one key head.
    pub k_dim: u32,
    /// Elements of one value head.
    pub v_dim: u32,
}

/// Most tokens that a device may round the length of a sequence up to a multiple of, when it counts what a cache holds.
/// A cache for sequences of at most `n` tokens each therefore takes a multiple of it per sequence.
pub const CACHE_PAGE: u32 = 64;

/// What a plan needs of the KV cache it is run with. A cache made from the same spec always fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSpec {
    /// One entry per attention layer; ops name layers by index.
    pub layers: Vec<LayerKv>,
    /// Element type of keys and values.
    pub dtype: KvType,
    /// Most tokens that all sequences of the cache hold together.
    pub max_tokens: u32,
}

/// One op of a plan and the values it defines.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The operation with its parameters and inputs.
    pub op: Op,
    /// Values defined, in the op's own order; as many as [`Op::n_outputs`].
    pub outs: Vec<ValueId>,
}

/// A forward pass as data: recorded by an engine, not yet trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Tensors that ops refer to by index.
    pub tensors: Vec<TensorDecl>,
    /// Layout of the KV cache that ops refer to by layer.
    pub cache: CacheSpec,
    /// Ops in execution order.
    pub nodes: Vec<Node>,
    /// The value handed back by a step: `(wanted, cols)`.
    pub output: ValueId,
    /// Most tokens of one step; scratch memory is laid out for it.
    pub max_step_tokens: u32,
}

/// Records a plan op by op and numbers its values.
#[derive(Debug)]
pub struct Recorder {
    plan: Plan,
    n_values: u32,
}

impl Recorder {
    /// An empty recording for a cache and a largest step.
    pub fn new(cache: CacheSpec, max_step_tokens: u32) -> Recorder {
        let plan =
            Plan { tensors: Vec::new(), cache, nodes: Vec::new(), output: ValueId(0), max_step_tokens };
        Recorder { plan, n_values: 0 }
    }

    /// Declares a tensor and returns its index.
    pub fn tensor(&mut self, decl: TensorDecl) -> TensorId {
        self.plan.tensors.push(decl);
        TensorId(self.plan.tensors.len() as u32 - 1)
    }

    /// Records an op with exactly one output and returns it.
    pub fn op(&mut self, op: impl Into<Op>) -> ValueId {
        let op = op.into();
        debug_assert_eq!(op.n_outputs(), 1);
        self.push(op)[0]
    }

    /// Records an op without outputs (KV append).
    pub fn effect(&mut self, op: impl Into<Op>) {
        let op = op.into();
        debug_assert_eq!(op.n_outputs(), 0);
        self.push(op);
    }

    /// Ends the recording; `output` is the value that steps hand back.
    pub fn finish(mut self, output: ValueId) -> Plan {
        self.plan.output = output;
        self.plan
    }

    /// Records any op and returns its outputs.
    pub fn push(&mut self, op: Op) -> Vec<ValueId> {
        let outs: Vec<ValueId> = (0..op.n_outputs()).map(|i| ValueId(self.n_values + i)).collect();
        self.n_values += op.n_outputs();
        self.plan.nodes.push(Node { op, outs: outs.clone() });
        outs
    }
}
