//! Why a plan is refused: one variant per rule, with what was expected, what was found and where.

use crate::plan::{Rows, Shape};
use alloc::string::String;

/// A rule that a plan breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Too many ops.
    #[error("the plan has {found} ops, at most {limit} are allowed")]
    Nodes {
        /// Ops in the plan.
        found: usize,
        /// [`crate::Limits::nodes`].
        limit: u32,
    },
    /// Too many tensors.
    #[error("the plan declares {found} tensors, at most {limit} are allowed")]
    Tensors {
        /// Tensors in the plan.
        found: usize,
        /// [`crate::Limits::tensors`].
        limit: u32,
    },
    /// Steps of no tokens, or of too many.
    #[error("max_step_tokens is {found}, expected 1 to {limit}")]
    StepTokens {
        /// Tokens of the plan's largest step.
        found: u32,
        /// [`crate::Limits::step_tokens`].
        limit: u32,
    },
    /// A tensor declaration.
    #[error("tensor {index} `{name}`: {error}")]
    Tensor {
        /// Its index.
        index: usize,
        /// Its name, control characters escaped.
        name: String,
        /// The rule.
        error: TensorError,
    },
    /// All tensors together are too large.
    #[error("the tensors of the plan have {found} bytes, at most {limit} are allowed")]
    TensorBytes {
        /// Bytes of all declared tensors.
        found: u64,
        /// [`crate::Limits::tensor_bytes`].
        limit: u64,
    },
    /// The KV cache.
    #[error("cache: {0}")]
    Cache(CacheError),
    /// An op.
    #[error("node {node} ({op}{}{}): {error}", tensor.as_ref().map_or("", |_| " "), tensor.as_deref().unwrap_or(""))]
    Node {
        /// Its index.
        node: usize,
        /// Its name.
        op: &'static str,
        /// The first tensor that it reads, control characters escaped.
        tensor: Option<String>,
        /// The rule.
        error: NodeError,
    },
    /// No op reads the tokens of a step.
    #[error("the plan has no embed, so it does not read its tokens")]
    NoEmbed,
    /// A cache layer that a step would leave unwritten.
    #[error("cache layer {layer} is never appended to; every layer of the cache needs one append")]
    NotAppended {
        /// Index of the layer.
        layer: usize,
    },
    /// The output is no value of the plan.
    #[error("the output is value %{found}, but the plan defines {defined} values")]
    Output {
        /// The output's id.
        found: u32,
        /// Number of values.
        defined: usize,
    },
    /// The output is not of the wanted rows.
    #[error("the output %{value} is {found}, expected (wanted, cols): gather the wanted rows first")]
    OutputRows {
        /// The output's id.
        value: u32,
        /// Its shape.
        found: Shape,
    },
    /// Values that are alive at the same time need too much memory.
    #[error(
        "steps of {tokens} tokens need {found} bytes of scratch memory, at most {limit} are allowed; use smaller steps"
    )]
    ScratchBytes {
        /// The plan's largest step.
        tokens: u32,
        /// Bytes alive at the worst op, `u64::MAX` if more than can be counted.
        found: u64,
        /// [`crate::Limits::scratch_bytes`].
        limit: u64,
    },
}

/// A rule that a tensor declaration breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// A name that no file has.
    #[error("has a name of {found} bytes, at most 64 are allowed")]
    Name {
        /// Bytes of the name.
        found: usize,
    },
    /// No elements.
    #[error("is {rows}x{cols}, expected at least one row and one column")]
    Empty {
        /// Declared rows.
        rows: u64,
        /// Declared elements per row.
        cols: u64,
    },
    /// A type that can only be named.
    #[error("type {dtype} cannot be computed with")]
    Unreadable {
        /// Name of the type.
        dtype: &'static str,
    },
    /// Rows that end inside a block.
    #[error("rows of {cols} elements do not fill whole {dtype} blocks of {block_len}")]
    PartialBlock {
        /// Declared elements per row.
        cols: u64,
        /// Name of the type.
        dtype: &'static str,
        /// Elements per block.
        block_len: usize,
    },
    /// Beyond what any device can address.
    #[error("{rows}x{cols} {dtype} is larger than 2^47 bytes")]
    TooLarge {
        /// Declared rows.
        rows: u64,
        /// Declared elements per row.
        cols: u64,
        /// Name of the type.
        dtype: &'static str,
    },
}

/// A rule that a KV cache breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// Too many layers.
    #[error("{found} layers, at most {limit} are allowed")]
    Layers {
        /// Layers of the cache.
        found: usize,
        /// [`crate::Limits::layers`].
        limit: u32,
    },
    /// A layer without heads, or heads without elements.
    #[error(
        "layer {layer}: n_kv_heads, k_dim and v_dim are {n_kv_heads}, {k_dim} and {v_dim}, expected at least 1"
    )]
    EmptyLayer {
        /// Index of the layer.
        layer: usize,
        /// Its heads.
        n_kv_heads: u32,
        /// Elements of a key head.
        k_dim: u32,
        /// Elements of a value head.
        v_dim: u32,
    },
    /// A layer whose keys or values of one token have more than `u32::MAX` elements.
    #[error("layer {layer}: {n_kv_heads} heads of {dim} elements do not fit 32 bits")]
    WideLayer {
        /// Index of the layer.
        layer: usize,
        /// Its heads.
        n_kv_heads: u32,
        /// The larger of its key and value heads.
        dim: u32,
    },
    /// No capacity, or too much.
    #[error("max_tokens is {found}, expected 1 to {limit}")]
    Tokens {
        /// Capacity asked for.
        found: u32,
        /// [`crate::Limits::cache_tokens`].
        limit: u32,
    },
    /// Too many bytes.
    #[error("{tokens} tokens need {found} bytes, at most {limit} are allowed; use a smaller context")]
    Bytes {
        /// Capacity asked for.
        tokens: u32,
        /// Bytes of that many tokens, `u64::MAX` if more than can be counted.
        found: u64,
        /// [`crate::Limits::cache_bytes`].
        limit: u64,
    },
}

/// A rule that an op of a plan breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// An op that only fusing makes.
    #[error("fused ops cannot be recorded")]
    Fused,
    /// The number of outputs is the op's, and values are numbered in op order.
    #[error("expected {expected} outputs numbered from %{first}, found {found}")]
    Outputs {
        /// Number of outputs of such an op.
        expected: u32,
        /// The next value id.
        first: usize,
        /// The node's outputs, printed.
        found: String,
    },
    /// A value wider than any model has.
    #[error("makes rows of {found} elements, at most {limit} are allowed")]
    Width {
        /// Elements per row of the output.
        found: u32,
        /// [`crate::Limits::cols`].
        limit: u32,
    },
    /// An input that no earlier op defines.
    #[error("reads %{value}, but only {defined} values are defined before it")]
    UndefinedValue {
        /// The input.
        value: u32,
        /// Values that stand before this op.
        defined: usize,
    },
    /// A tensor index out of range.
    #[error("reads tensor {tensor}, but the plan declares {declared}")]
    NoTensor {
        /// The index.
        tensor: u32,
        /// Number of tensors.
        declared: usize,
    },
    /// A layer index out of range.
    #[error("uses cache layer {layer}, but the cache has {layers}")]
    NoLayer {
        /// The index.
        layer: u32,
        /// Number of layers.
        layers: usize,
    },
    /// An input with the wrong class of rows.
    #[error("{role} has one row per {found} token, expected one per {expected} token", found = row_word(*.found), expected = row_word(*.expected))]
    Rows {
        /// Which input.
        role: &'static str,
        /// Class that the op works on.
        expected: Rows,
        /// Class of the input.
        found: Rows,
    },
    /// An input of the wrong width.
    #[error("{role} has {found} columns, expected {expected}")]
    Cols {
        /// Which input.
        role: &'static str,
        /// Width that the other parameters ask for.
        expected: u64,
        /// Width of the input.
        found: u32,
    },
    /// Operands of different shapes.
    #[error("the operands are {a} and {b}, expected one shape")]
    Operands {
        /// Shape of the first.
        a: Shape,
        /// Shape of the second.
        b: Shape,
    },
    /// A matrix that does not fit its input.
    #[error("weight `{tensor}` has {found} columns, expected {expected} as the input has")]
    MatrixCols {
        /// Name of the matrix.
        tensor: String,
        /// Columns of the input.
        expected: u32,
        /// Columns of the matrix.
        found: u64,
    },
    /// A matrix that would make rows of more than `u32::MAX` elements.
    #[error("`{tensor}` makes rows of {found} elements, which does not fit 32 bits")]
    TooWide {
        /// Name of the matrix.
        tensor: String,
        /// Elements per row of the output.
        found: u64,
    },
    /// A vector of the wrong shape.
    #[error("{role} `{tensor}` is {rows}x{cols}, expected 1x{expected}")]
    VectorShape {
        /// Which parameter.
        role: &'static str,
        /// Name of the vector.
        tensor: String,
        /// Number of elements needed.
        expected: u32,
        /// Rows found.
        rows: u64,
        /// Columns found.
        cols: u64,
    },
    /// A number outside its range.
    #[error("{name} is {found}, expected {expected}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// Its range in words.
        expected: &'static str,
        /// Its value.
        found: String,
    },
    /// Groups that do not divide a row.
    #[error("groups of {group} do not divide rows of {cols} elements")]
    Group {
        /// Elements normalised together.
        group: u32,
        /// Elements per row.
        cols: u32,
    },
    /// Heads that do not divide a row.
    #[error("heads of {head_dim} do not divide rows of {cols} elements")]
    HeadDim {
        /// Elements per head.
        head_dim: u32,
        /// Elements per row.
        cols: u32,
    },
    /// Rotated elements that do not form pairs within a head.
    #[error("rot_dims is {rot_dims}, expected an even number from 2 to head_dim = {head_dim}")]
    RotDims {
        /// Elements rotated.
        rot_dims: u32,
        /// Elements per head.
        head_dim: u32,
    },
    /// Query heads that cannot be spread over the key/value heads.
    #[error("n_heads is {n_heads}, expected a multiple of the layer's {n_kv_heads} key/value heads")]
    Heads {
        /// Query heads.
        n_heads: u32,
        /// Key/value heads of the layer.
        n_kv_heads: u32,
    },
    /// A second append to one layer.
    #[error("cache layer {layer} has been appended to before in this plan")]
    AppendTwice {
        /// Index of the layer.
        layer: u32,
    },
    /// Attention over a layer that the step has not reached yet.
    #[error("cache layer {layer} has not been appended to before this op")]
    AppendMissing {
        /// Index of the layer.
        layer: u32,
    },
}

fn row_word(rows: Rows) -> &'static str {
    match rows {
        Rows::Tokens => "step",
        Rows::Wanted => "wanted",
    }
}
