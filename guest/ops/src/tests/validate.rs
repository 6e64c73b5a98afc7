//! One broken plan per rule, each a single change to a plan that is valid.

use crate::error::{CacheError, NodeError, PlanError, TensorError};
use crate::op::{
    Activation, Add, Append, Attention, Embed, Epilogue, Factor, Gather, Glu, Linear, Matrix, Mul, Norm,
    NormKind, Op, Project, Rope, RopeAppend, RopeParams, RopeStyle, Scale, Softcap, Yarn,
};
use crate::plan::{
    CacheSpec, KvType, LayerKv, Node, Plan, Recorder, Rows, Shape, TensorDecl, TensorId, ValueId,
};
use crate::testing::{Rng, limits, mutate, random_plan};
use crate::validate::{Limits, validate};
use chord_quant::DType;
use std::collections::BTreeSet;

const ROPE: RopeParams = RopeParams {
    head_dim: 2,
    rot_dims: 2,
    style: RopeStyle::Interleaved,
    base: 10_000.0,
    freq_scale: 1.0,
    factors: Some(TensorId(6)),
    yarn: None,
};

const YARN: Yarn = Yarn { orig_ctx: 128, ext_factor: 1.0, attn_factor: 1.0, beta_fast: 32.0, beta_slow: 1.0 };

/// Every recorded op once or more; node numbers are given on the right.
fn base() -> Plan {
    let layers = vec![LayerKv { n_kv_heads: 2, k_dim: 2, v_dim: 3 }];
    let mut r = Recorder::new(CacheSpec { layers, dtype: KvType::F16, max_tokens: 64 }, 4);
    let sizes = [("embd", 10, 4), ("norm", 1, 4), ("q", 8, 4), ("k", 4, 4), ("v", 6, 4), ("o", 4, 12)];
    let more = [("factors", 1, 1), ("out", 10, 4), ("bias", 1, 10)];
    let t: Vec<TensorId> = sizes
        .into_iter()
        .chain(more)
        .map(|(name, rows, cols)| r.tensor(TensorDecl { name: name.into(), dtype: DType::F32, cols, rows }))
        .collect();
    let x = r.op(Embed { table: t[0] }); // 0: %0
    let norm = Norm { x, kind: NormKind::Rms, weight: Some(t[1]), bias: None, eps: 1e-5, group: 4 };
    let h = r.op(norm); // 1: %1
    let q = r.op(Linear { x: h, weight: t[2], scale: None, bias: None }); // 2: %2
    let k = r.op(Linear { x: h, weight: t[3], scale: None, bias: None }); // 3: %3
    let v = r.op(Linear { x: h, weight: t[4], scale: None, bias: None }); // 4: %4
    let q = r.op(Rope { x: q, params: ROPE }); // 5: %5
    let k = r.op(Rope { x: k, params: ROPE }); // 6: %6
    r.effect(Append { k, v, layer: 0 }); // 7
    let a = r.op(Attention { q, layer: 0, n_heads: 4, scale: 0.5, window: Some(3), softcap: Some(9.0) }); // 8: %7
    let a = r.op(Linear { x: a, weight: t[5], scale: None, bias: None }); // 9: %8
    let x = r.op(Add { a, b: x }); // 10: %9
    let x = r.op(Gather { x }); // 11: %10
    let x = r.op(Linear { x, weight: t[7], scale: None, bias: Some(t[8]) }); // 12: %11
    let x = r.op(Softcap { x, cap: 30.0 }); // 13: %12
    let x = r.op(Scale { x, by: 0.5 }); // 14: %13
    let x = r.op(Mul { a: x, b: x }); // 15: %14
    let x = r.op(Glu { gate: x, up: x, act: Activation::Silu }); // 16: %15
    r.finish(x)
}

/// The parameters of a node whose op is known.
macro_rules! op {
    ($plan:ident, $index:expr, $op:ident) => {
        match &mut $plan.nodes[$index].op {
            Op::$op(op) => op,
            other => panic!("{other:?}"),
        }
    };
}

type Break = fn(&mut Plan, &mut Limits);

fn node(node: usize, op: &'static str, tensor: &str, error: NodeError) -> PlanError {
    let tensor = (!tensor.is_empty()).then(|| tensor.into());
    PlanError::Node { node, op, tensor, error }
}

fn parameter(name: &'static str, expected: &'static str, found: &str) -> NodeError {
    NodeError::Parameter { name, expected, found: found.into() }
}

fn whole_rules() -> Vec<(Break, PlanError)> {
    let tensor = |index, name: &str, error| PlanError::Tensor { index, name: name.into(), error };
    let f32_bytes = 4 * (40 + 4 + 32 + 16 + 24 + 48 + 1 + 40 + 10);
    vec![
        (|_, l| l.nodes = 16, PlanError::Nodes { found: 17, limit: 16 }),
        (|_, l| l.tensors = 8, PlanError::Tensors { found: 9, limit: 8 }),
        (|p, _| p.max_step_tokens = 0, PlanError::StepTokens { found: 0, limit: 64 }),
        (|p, _| p.max_step_tokens = 65, PlanError::StepTokens { found: 65, limit: 64 }),
        (
            |p, _| p.tensors[1].name = format!("{}\u{e9}", "n".repeat(63)).into(),
            tensor(1, &"n".repeat(63), TensorError::Name { found: 65 }),
        ),
        (|_, l| l.cols = 11, node(8, "attention", "", NodeError::Width { found: 12, limit: 11 })),
        (|p, _| p.tensors[2].rows = 0, tensor(2, "q", TensorError::Empty { rows: 0, cols: 4 })),
        (|p, _| p.tensors[2].cols = 0, tensor(2, "q", TensorError::Empty { rows: 8, cols: 0 })),
        (|p, _| p.tensors[0].dtype = DType::I8, tensor(0, "embd", TensorError::Unreadable { dtype: "I8" })),
        (
            |p, _| (p.tensors[3].dtype, p.tensors[3].name) = (DType::Q8_0, "\x1b[2J".into()),
            tensor(3, "\\u{1b}[2J", TensorError::PartialBlock { cols: 4, dtype: "Q8_0", block_len: 32 }),
        ),
        (
            |p, _| p.tensors[2].rows = 1 << 43, // exactly 2^47 bytes
            tensor(2, "q", TensorError::TooLarge { rows: 1 << 43, cols: 4, dtype: "F32" }),
        ),
        (
            |p, _| p.tensors[2].rows = u64::MAX,
            tensor(2, "q", TensorError::TooLarge { rows: u64::MAX, cols: 4, dtype: "F32" }),
        ),
        (
            |p, _| p.tensors[2].cols = u64::MAX,
            tensor(2, "q", TensorError::TooLarge { rows: 8, cols: u64::MAX, dtype: "F32" }),
        ),
        (
            |_, l| l.tensor_bytes = 4 * 215 - 1,
            PlanError::TensorBytes { found: f32_bytes, limit: f32_bytes - 1 },
        ),
        (
            |p, l| {
                // Only embed runs, so nothing is appended to the layer.
                *l = Limits::default();
                p.nodes.truncate(1);
            },
            PlanError::NotAppended { layer: 0 },
        ),
        (
            |p, _| {
                p.nodes.clear();
                p.cache.layers.clear();
            },
            PlanError::NoEmbed,
        ),
        (|p, _| p.output = ValueId(16), PlanError::Output { found: 16, defined: 16 }),
        (
            |p, _| p.output = ValueId(9),
            PlanError::OutputRows { value: 9, found: Shape { rows: Rows::Tokens, cols: 4 } },
        ),
        (
            // %0, %3 and %4 wait while the queries are rotated: 4 + 4 + 6 + 8 + 8 columns of 4 rows of 4 bytes.
            |_, l| l.scratch_bytes = 30 * 16 - 1,
            PlanError::ScratchBytes { tokens: 4, found: 30 * 16, limit: 30 * 16 - 1 },
        ),
    ]
}

fn cache_rules() -> Vec<(Break, PlanError)> {
    let empty = |n_kv_heads, k_dim, v_dim| CacheError::EmptyLayer { layer: 0, n_kv_heads, k_dim, v_dim };
    let rules: Vec<(Break, CacheError)> = vec![
        (|_, l| l.layers = 0, CacheError::Layers { found: 1, limit: 0 }),
        (|p, _| p.cache.layers[0].n_kv_heads = 0, empty(0, 2, 3)),
        (|p, _| p.cache.layers[0].k_dim = 0, empty(2, 0, 3)),
        (|p, _| p.cache.layers[0].v_dim = 0, empty(2, 2, 0)),
        (
            |p, _| p.cache.layers[0].v_dim = 1 << 31,
            CacheError::WideLayer { layer: 0, n_kv_heads: 2, dim: 1 << 31 },
        ),
        (
            |p, _| p.cache.layers[0].k_dim = 1 << 31,
            CacheError::WideLayer { layer: 0, n_kv_heads: 2, dim: 1 << 31 },
        ),
        (|p, _| p.cache.max_tokens = 0, CacheError::Tokens { found: 0, limit: 1 << 16 }),
        (|p, _| p.cache.max_tokens = 65_537, CacheError::Tokens { found: 65_537, limit: 1 << 16 }),
        (
            |_, l| l.cache_bytes = 64 * 20 - 1, // 2 heads of 2 + 3 elements of 2 bytes
            CacheError::Bytes { tokens: 64, found: 64 * 20, limit: 64 * 20 - 1 },
        ),
    ];
    rules.into_iter().map(|(f, e)| (f, PlanError::Cache(e))).collect()
}

fn graph_rules() -> Vec<(Break, PlanError)> {
    let outputs = |expected, first, found: &str| NodeError::Outputs { expected, first, found: found.into() };
    let rows = |role, expected, found| NodeError::Rows { role, expected, found };
    let (tokens, wanted) = (Rows::Tokens, Rows::Wanted);
    let undefined = |value, defined| NodeError::UndefinedValue { value, defined };
    vec![
        (
            |p, _| {
                let mats = vec![Matrix { weight: TensorId(2), scale: None, bias: None }];
                p.nodes[2].op = Project { x: ValueId(1), norm: None, mats, epilogue: Epilogue::Each }.into();
            },
            node(2, "project", "q", NodeError::Fused),
        ),
        (
            |p, _| p.nodes[7].op = RopeAppend { k: ValueId(3), v: ValueId(4), layer: 0, rope: ROPE }.into(),
            node(7, "rope-append", "factors", NodeError::Fused),
        ),
        (|p, _| p.nodes[2].outs = vec![], node(2, "linear", "q", outputs(1, 2, "[]"))),
        (|p, _| p.nodes[2].outs = vec![ValueId(3)], node(2, "linear", "q", outputs(1, 2, "[3]"))),
        (|p, _| p.nodes[2].outs = vec![ValueId(1)], node(2, "linear", "q", outputs(1, 2, "[1]"))),
        (
            |p, _| p.nodes[2].outs = vec![ValueId(2), ValueId(3)],
            node(2, "linear", "q", outputs(1, 2, "[2, 3]")),
        ),
        (|p, _| p.nodes[2].outs = vec![ValueId(2); 9], node(2, "linear", "q", outputs(1, 2, "9 of them"))),
        (|p, _| p.nodes[7].outs = vec![ValueId(7)], node(7, "append", "", outputs(0, 7, "[7]"))),
        (|p, _| op!(p, 1, Norm).x = ValueId(1), node(1, "norm", "norm", undefined(1, 1))),
        (|p, _| op!(p, 2, Linear).x = ValueId(u32::MAX), node(2, "linear", "q", undefined(u32::MAX, 2))),
        (|p, _| op!(p, 5, Rope).x = ValueId(5), node(5, "rope", "factors", undefined(5, 5))),
        (|p, _| op!(p, 7, Append).k = ValueId(7), node(7, "append", "", undefined(7, 7))),
        (|p, _| op!(p, 7, Append).v = ValueId(7), node(7, "append", "", undefined(7, 7))),
        (|p, _| op!(p, 8, Attention).q = ValueId(7), node(8, "attention", "", undefined(7, 7))),
        (|p, _| op!(p, 10, Add).b = ValueId(9), node(10, "add", "", undefined(9, 9))),
        (|p, _| op!(p, 11, Gather).x = ValueId(10), node(11, "gather", "", undefined(10, 10))),
        (|p, _| op!(p, 13, Softcap).x = ValueId(12), node(13, "softcap", "", undefined(12, 12))),
        (|p, _| op!(p, 14, Scale).x = ValueId(13), node(14, "scale", "", undefined(13, 13))),
        (|p, _| op!(p, 15, Mul).a = ValueId(14), node(15, "mul", "", undefined(14, 14))),
        (|p, _| op!(p, 16, Glu).up = ValueId(15), node(16, "glu", "", undefined(15, 15))),
        (
            |p, _| op!(p, 0, Embed).table = TensorId(9),
            node(0, "embed", "", NodeError::NoTensor { tensor: 9, declared: 9 }),
        ),
        (
            |p, _| op!(p, 2, Linear).weight = TensorId(9),
            node(2, "linear", "", NodeError::NoTensor { tensor: 9, declared: 9 }),
        ),
        (
            |p, _| op!(p, 12, Linear).bias = Some(TensorId(u32::MAX)),
            node(12, "linear", "out", NodeError::NoTensor { tensor: u32::MAX, declared: 9 }),
        ),
        (
            // The output matrix works on wanted rows; an earlier gather makes all later inputs wanted ones.
            |p, _| p.nodes[4].op = Gather { x: ValueId(1) }.into(),
            node(7, "append", "", rows("v", tokens, wanted)),
        ),
        (
            |p, _| p.nodes[3].op = Gather { x: ValueId(1) }.into(),
            node(6, "rope", "factors", rows("x", tokens, wanted)),
        ),
        (
            |p, _| p.nodes[6].op = Gather { x: ValueId(3) }.into(),
            node(7, "append", "", rows("k", tokens, wanted)),
        ),
        (
            |p, _| p.nodes[5].op = Gather { x: ValueId(2) }.into(),
            node(8, "attention", "", rows("q", tokens, wanted)),
        ),
        (
            |p, _| p.nodes[12].op = Gather { x: ValueId(10) }.into(),
            node(12, "gather", "", rows("x", tokens, wanted)),
        ),
        (
            |p, _| op!(p, 10, Add).a = ValueId(7),
            node(
                10,
                "add",
                "",
                NodeError::Operands {
                    a: Shape { rows: tokens, cols: 12 },
                    b: Shape { rows: tokens, cols: 4 },
                },
            ),
        ),
        (
            |p, _| p.nodes[15].op = Mul { a: ValueId(10), b: ValueId(9) }.into(),
            node(
                15,
                "mul",
                "",
                NodeError::Operands {
                    a: Shape { rows: wanted, cols: 4 },
                    b: Shape { rows: tokens, cols: 4 },
                },
            ),
        ),
        (
            |p, _| op!(p, 16, Glu).gate = ValueId(9),
            node(
                16,
                "glu",
                "",
                NodeError::Operands {
                    a: Shape { rows: tokens, cols: 4 },
                    b: Shape { rows: wanted, cols: 10 },
                },
            ),
        ),
    ]
}

fn shape_rules() -> Vec<(Break, PlanError)> {
    let group = |group, cols| NodeError::Group { group, cols };
    let vector = |role, tensor: &str, expected, rows, cols| NodeError::VectorShape {
        role,
        tensor: tensor.into(),
        expected,
        rows,
        cols,
    };
    let too_wide = |tensor: &str, found| NodeError::TooWide { tensor: tensor.into(), found };
    let head_dim = |head_dim, cols| NodeError::HeadDim { head_dim, cols };
    let rot_dims = |rot_dims| NodeError::RotDims { rot_dims, head_dim: 2 };
    let heads = |n_heads| NodeError::Heads { n_heads, n_kv_heads: 2 };
    let cols = |role, expected, found| NodeError::Cols { role, expected, found };
    vec![
        (
            |p, _| op!(p, 2, Linear).weight = TensorId(5),
            node(2, "linear", "o", NodeError::MatrixCols { tensor: "o".into(), expected: 4, found: 12 }),
        ),
        (
            |p, l| {
                *l = Limits::default();
                p.tensors[0].cols = 1 << 32;
            },
            node(0, "embed", "embd", too_wide("embd", 1 << 32)),
        ),
        (
            |p, l| {
                *l = Limits::default();
                p.tensors[2].rows = 1 << 32;
            },
            node(2, "linear", "q", too_wide("q", 1 << 32)),
        ),
        (|p, _| p.tensors[1].cols = 3, node(1, "norm", "norm", vector("weight", "norm", 4, 1, 3))),
        (
            |p, _| (p.tensors[1].rows, p.tensors[1].cols) = (4, 1),
            node(1, "norm", "norm", vector("weight", "norm", 4, 4, 1)),
        ),
        (
            |p, _| op!(p, 1, Norm).bias = Some(TensorId(8)),
            node(1, "norm", "norm", vector("bias", "bias", 4, 1, 10)),
        ),
        (
            |p, _| op!(p, 2, Linear).bias = Some(TensorId(8)),
            node(2, "linear", "q", vector("bias", "bias", 8, 1, 10)),
        ),
        (
            |p, _| op!(p, 2, Linear).scale = Some(Factor::of_product(TensorId(8))),
            node(2, "linear", "q", vector("scale", "bias", 1, 1, 10)),
        ),
        (|p, _| p.tensors[6].cols = 2, node(5, "rope", "factors", vector("factors", "factors", 1, 1, 2))),
        (|p, _| op!(p, 1, Norm).group = 0, node(1, "norm", "norm", group(0, 4))),
        (|p, _| op!(p, 1, Norm).group = 3, node(1, "norm", "norm", group(3, 4))),
        (|p, _| op!(p, 1, Norm).group = 8, node(1, "norm", "norm", group(8, 4))),
        (|p, _| op!(p, 5, Rope).params.head_dim = 0, node(5, "rope", "factors", head_dim(0, 8))),
        (|p, _| op!(p, 5, Rope).params.head_dim = 3, node(5, "rope", "factors", head_dim(3, 8))),
        (|p, _| op!(p, 5, Rope).params.rot_dims = 0, node(5, "rope", "factors", rot_dims(0))),
        (|p, _| op!(p, 5, Rope).params.rot_dims = 1, node(5, "rope", "factors", rot_dims(1))),
        (|p, _| op!(p, 5, Rope).params.rot_dims = 4, node(5, "rope", "factors", rot_dims(4))),
        (|p, _| op!(p, 8, Attention).n_heads = 0, node(8, "attention", "", heads(0))),
        (|p, _| op!(p, 8, Attention).n_heads = 3, node(8, "attention", "", heads(3))),
        (|p, _| op!(p, 8, Attention).n_heads = 2, node(8, "attention", "", cols("q", 4, 8))),
        (
            |p, _| op!(p, 8, Attention).n_heads = u32::MAX - 1,
            node(8, "attention", "", cols("q", 2 * u64::from(u32::MAX - 1), 8)),
        ),
        (|p, _| op!(p, 7, Append).k = ValueId(5), node(7, "append", "", cols("k", 4, 8))),
        (|p, _| op!(p, 7, Append).v = ValueId(6), node(7, "append", "", cols("v", 6, 4))),
        (
            |p, _| op!(p, 7, Append).layer = 1,
            node(7, "append", "", NodeError::NoLayer { layer: 1, layers: 1 }),
        ),
        (
            |p, _| op!(p, 8, Attention).layer = u32::MAX,
            node(8, "attention", "", NodeError::NoLayer { layer: u32::MAX, layers: 1 }),
        ),
        (
            |p, _| {
                let append = p.nodes[7].clone();
                p.nodes.insert(8, append);
            },
            node(8, "append", "", NodeError::AppendTwice { layer: 0 }),
        ),
        (|p, _| p.nodes.swap(7, 8), node(7, "attention", "", NodeError::AppendMissing { layer: 0 })),
    ]
}

fn parameter_rules() -> Vec<(Break, PlanError)> {
    let (finite, above) = ("a finite number", "a finite number above 0");
    let norm = |found: &str| node(1, "norm", "norm", parameter("eps", "a finite number, 0 or more", found));
    let rope = |name, expected, found: &str| node(5, "rope", "factors", parameter(name, expected, found));
    let attention = |name, expected, found: &str| node(8, "attention", "", parameter(name, expected, found));
    vec![
        (|p, _| op!(p, 1, Norm).eps = f32::NAN, norm("NaN")),
        (|p, _| op!(p, 1, Norm).eps = f32::INFINITY, norm("inf")),
        (|p, _| op!(p, 1, Norm).eps = -1.0, norm("-1")),
        (|p, _| op!(p, 5, Rope).params.base = 0.0, rope("base", above, "0")),
        (|p, _| op!(p, 5, Rope).params.base = f32::INFINITY, rope("base", above, "inf")),
        (|p, _| op!(p, 5, Rope).params.freq_scale = -2.0, rope("freq_scale", above, "-2")),
        (|p, _| op!(p, 5, Rope).params.freq_scale = f32::NAN, rope("freq_scale", above, "NaN")),
        (
            |p, _| {
                let params = &mut op!(p, 5, Rope).params;
                (params.base, params.yarn) = (1.0, Some(YARN));
            },
            rope("base", "above 1 for YaRN", "1"),
        ),
        (
            |p, _| op!(p, 5, Rope).params.yarn = Some(Yarn { orig_ctx: 0, ..YARN }),
            rope("orig_ctx", "at least 1", "0"),
        ),
        (
            |p, _| op!(p, 5, Rope).params.yarn = Some(Yarn { ext_factor: 1.5, ..YARN }),
            rope("ext_factor", "a number from 0 to 1", "1.5"),
        ),
        (
            |p, _| op!(p, 5, Rope).params.yarn = Some(Yarn { ext_factor: f32::NAN, ..YARN }),
            rope("ext_factor", "a number from 0 to 1", "NaN"),
        ),
        (
            |p, _| op!(p, 5, Rope).params.yarn = Some(Yarn { attn_factor: 0.0, ..YARN }),
            rope("attn_factor", above, "0"),
        ),
        (
            |p, _| op!(p, 5, Rope).params.yarn = Some(Yarn { beta_fast: f32::INFINITY, ..YARN }),
            rope("beta_fast", above, "inf"),
        ),
        (
            |p, _| op!(p, 5, Rope).params.yarn = Some(Yarn { beta_slow: 0.0, ..YARN }),
            rope("beta_slow", above, "0"),
        ),
        (
            |p, _| op!(p, 5, Rope).params.yarn = Some(Yarn { beta_slow: 33.0, ..YARN }),
            rope("beta_slow", "at most beta_fast", "33"),
        ),
        (|p, _| op!(p, 8, Attention).scale = f32::INFINITY, attention("scale", finite, "inf")),
        (|p, _| op!(p, 8, Attention).softcap = Some(0.0), attention("softcap", above, "0")),
        (|p, _| op!(p, 8, Attention).window = Some(0), attention("window", "at least 1", "0")),
        (|p, _| op!(p, 13, Softcap).cap = -3.0, node(13, "softcap", "", parameter("cap", above, "-3"))),
        (|p, _| op!(p, 14, Scale).by = f32::NAN, node(14, "scale", "", parameter("by", finite, "NaN"))),
        (
            |p, l| {
                // 2 key heads of 1 meet 2^20 query heads; values of 2^12 per head make rows of 2^32.
                *l = Limits::default();
                p.cache.layers[0] = LayerKv { n_kv_heads: 2, k_dim: 1, v_dim: 1 << 12 };
                (p.tensors[2].rows, p.tensors[3].rows, p.tensors[4].rows) = (1 << 20, 2, 1 << 13);
                op!(p, 8, Attention).n_heads = 1 << 20;
                for (at, x) in [(5, 2), (6, 3)] {
                    p.nodes[at].op = Scale { x: ValueId(x), by: 1.0 }.into();
                }
            },
            node(8, "attention", "", parameter("n_heads", "n_heads * v_dim within 32 bits", "1048576")),
        ),
    ]
}

fn all_rules() -> Vec<(Break, PlanError)> {
    let all = [whole_rules(), cache_rules(), graph_rules(), shape_rules(), parameter_rules()];
    all.into_iter().flatten().collect()
}

#[test]
fn the_plan_that_is_broken_below_is_valid() {
    let valid = validate(base(), &limits()).unwrap();
    let cols: Vec<u32> = valid.shapes().iter().map(|s| s.cols).collect();
    assert_eq!(cols, [4, 4, 8, 4, 6, 8, 4, 12, 4, 4, 4, 10, 10, 10, 10, 10]);
    assert!(valid.shapes()[..10].iter().all(|s| s.rows == Rows::Tokens));
    assert!(valid.shapes()[10..].iter().all(|s| s.rows == Rows::Wanted));
    assert_eq!(valid.scratch_bytes(), 30 * 16);
    assert_eq!(valid.plan(), &base());
}

#[test]
fn limits_can_be_met_exactly() {
    let exact = Limits {
        nodes: 17,
        tensors: 9,
        tensor_bytes: 4 * 215,
        layers: 1,
        step_tokens: 4,
        cols: 12,
        cache_tokens: 64,
        cache_bytes: 64 * 20,
        scratch_bytes: 30 * 16,
    };
    validate(base(), &exact).unwrap();
}

#[test]
fn each_rule_refuses_the_plan_that_breaks_it() {
    for (i, (change, expected)) in all_rules().into_iter().enumerate() {
        let (mut plan, mut limits) = (base(), limits());
        change(&mut plan, &mut limits);
        assert_eq!(validate(plan, &limits), Err(expected), "rule {i}");
    }
}

/// The names of all variants, and the variant of an error; a new variant must be added here to compile.
macro_rules! variants {
    ($all:ident, $of:ident, $error:ident: $($variant:ident)*) => {
        const $all: &[&str] = &[$(stringify!($variant)),*];
        fn $of(error: &$error) -> &'static str {
            match error { $($error::$variant { .. } => stringify!($variant)),* }
        }
    };
}
variants!(PLAN, plan_variant, PlanError: Nodes Tensors StepTokens Tensor TensorBytes Cache Node NoEmbed NotAppended
    Output OutputRows ScratchBytes);
variants!(TENSOR, tensor_variant, TensorError: Name Empty Unreadable PartialBlock TooLarge);
variants!(CACHE, cache_variant, CacheError: Layers EmptyLayer WideLayer Tokens Bytes);
variants!(NODE, node_variant, NodeError: Fused Outputs Width UndefinedValue NoTensor NoLayer Rows Cols Operands MatrixCols
    TooWide VectorShape Parameter Group HeadDim RotDims Heads AppendTwice AppendMissing);

fn variant(error: &PlanError) -> (&'static str, &'static str) {
    let detail = match error {
        PlanError::Tensor { error, .. } => tensor_variant(error),
        PlanError::Cache(error) => cache_variant(error),
        PlanError::Node { error, .. } => node_variant(error),
        _ => "",
    };
    (plan_variant(error), detail)
}

fn every_variant() -> BTreeSet<(&'static str, &'static str)> {
    let plain = PLAN.iter().filter(|v| !["Tensor", "Cache", "Node"].contains(v)).map(|v| (*v, ""));
    let detailed = [("Tensor", TENSOR), ("Cache", CACHE), ("Node", NODE)];
    plain.chain(detailed.into_iter().flat_map(|(p, all)| all.iter().map(move |d| (p, *d)))).collect()
}

#[test]
fn every_variant_of_the_errors_has_a_rule_above() {
    let found: BTreeSet<_> = all_rules().iter().map(|(_, e)| variant(e)).collect();
    assert_eq!(found, every_variant());
}

/// Mutations of random plans run into the rules, not only into the first check: all that a mutation within the limits
/// of counts can break.
#[test]
fn mutations_reach_the_rules() {
    let tight = Limits { tensor_bytes: 1 << 40, scratch_bytes: 1 << 14, cache_bytes: 1 << 16, ..limits() };
    let mut missed = every_variant();
    let mut accepted = 0;
    for seed in 0..30_000 {
        let mut plan = random_plan(seed);
        mutate(&mut plan, &mut Rng::new(!seed));
        match validate(plan, &tight) {
            Ok(_) => accepted += 1,
            Err(e) => drop(missed.remove(&variant(&e))),
        }
    }
    let counts = [("Nodes", ""), ("Tensors", ""), ("Cache", "Layers")];
    assert_eq!(missed, counts.into_iter().collect());
    assert!(accepted > 1_500, "{accepted} mutants accepted");
}

#[test]
fn messages_say_what_was_expected_and_found_and_where() {
    let text = |change: Break| {
        let (mut plan, mut limits) = (base(), limits());
        change(&mut plan, &mut limits);
        validate(plan, &limits).unwrap_err().to_string()
    };
    assert_eq!(text(|p, _| p.tensors[1].cols = 3), "node 1 (norm norm): weight `norm` is 1x3, expected 1x4");
    assert_eq!(text(|p, _| op!(p, 7, Append).v = ValueId(6)), "node 7 (append): v has 4 columns, expected 6");
    assert_eq!(
        text(|p, _| p.nodes[6].op = Gather { x: ValueId(3) }.into()),
        "node 7 (append): k has one row per wanted token, expected one per step token"
    );
    assert_eq!(
        text(|p, _| op!(p, 10, Add).a = ValueId(7)),
        "node 10 (add): the operands are (tokens, 12) and (tokens, 4), expected one shape"
    );
    assert_eq!(
        text(|p, _| p.tensors[0].dtype = DType::I8),
        "tensor 0 `embd`: type I8 cannot be computed with"
    );
}

#[test]
fn cache_bytes_are_counted_or_refused() {
    let kv = LayerKv { n_kv_heads: 8, k_dim: 128, v_dim: 64 };
    let spec = |layers, dtype| CacheSpec { layers, dtype, max_tokens: 1 };
    assert_eq!(spec(vec![kv; 32], KvType::F16).bytes_per_token(), Some(32 * 8 * 192 * 2));
    assert_eq!(spec(vec![kv; 2], KvType::F32).bytes_per_token(), Some(2 * 8 * 192 * 4));
    let huge = LayerKv { n_kv_heads: u32::MAX, k_dim: u32::MAX, v_dim: u32::MAX };
    assert_eq!(spec(vec![huge], KvType::F16).bytes_per_token(), None);
    // Each layer fits 32 bits, all of them together do not fit 64 bits of bytes times tokens.
    let wide = LayerKv { n_kv_heads: 1, k_dim: u32::MAX, v_dim: u32::MAX };
    let cache = CacheSpec { layers: vec![wide; 1024], dtype: KvType::F32, max_tokens: u32::MAX };
    let limits = Limits { cache_tokens: u32::MAX, cache_bytes: u64::MAX, ..Limits::default() };
    let bytes = CacheError::Bytes { tokens: u32::MAX, found: u64::MAX, limit: u64::MAX };
    assert_eq!(cache.check(&limits), Err(PlanError::Cache(bytes)));
}

/// With every limit lifted, sizes that overflow are still errors.
#[test]
fn no_limits_no_overflow() {
    let none = Limits {
        nodes: u32::MAX,
        tensors: u32::MAX,
        tensor_bytes: u64::MAX,
        layers: u32::MAX,
        step_tokens: u32::MAX,
        cols: u32::MAX,
        cache_tokens: u32::MAX,
        cache_bytes: u64::MAX,
        scratch_bytes: u64::MAX,
    };
    let mut plan = base();
    plan.max_step_tokens = u32::MAX;
    plan.tensors[2].rows = u32::MAX.into();
    plan.tensors[2].rows -= 1;
    op!(plan, 8, Attention).n_heads = u32::MAX / 2;
    let rows = plan.nodes[..3].to_vec();
    plan.nodes = rows;
    plan.nodes.push(Node { op: Add { a: ValueId(2), b: ValueId(2) }.into(), outs: vec![ValueId(3)] });
    plan.nodes.push(Node { op: Gather { x: ValueId(3) }.into(), outs: vec![ValueId(4)] });
    plan.cache.layers.clear();
    plan.output = ValueId(4);
    let found = validate(plan, &none).unwrap_err();
    let expected = PlanError::ScratchBytes { tokens: u32::MAX, found: u64::MAX, limit: u64::MAX };
    assert_eq!(found, expected);
}
