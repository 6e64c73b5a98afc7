//! Plans as text, exactly.

use crate::op::{
    Activation, Add, Append, Attention, Combine, Embed, Experts, Gather, Glu, Linear, Mul, Norm, NormKind,
    Op, Rope, RopeParams, RopeStyle, Route, Scale, Softcap, Yarn,
};
use crate::plan::{CacheSpec, KvType, LayerKv, Node, Plan, Recorder, TensorDecl, TensorId, ValueId};
use crate::validate::Limits;
use crate::{fuse, validate};
use chord_quant::DType;

const YARN: Yarn =
    Yarn { orig_ctx: 128, ext_factor: 1.0, attn_factor: 0.75, beta_fast: 32.0, beta_slow: 1.5 };

/// Every op that an engine can record, with every optional part at least once with and once without.
fn every_op() -> Plan {
    let layers = vec![LayerKv { n_kv_heads: 1, k_dim: 4, v_dim: 4 }];
    let mut r = Recorder::new(CacheSpec { layers, dtype: KvType::F16, max_tokens: 64 }, 8);
    let tensor = |r: &mut Recorder, name: &str, dtype, rows, cols| {
        r.tensor(TensorDecl { name: name.into(), dtype, cols, rows })
    };
    let table = tensor(&mut r, "embd", DType::Q8_0, 100, 32);
    let norm_w = tensor(&mut r, "norm.w", DType::F32, 1, 32);
    let norm_b = tensor(&mut r, "norm\n.b", DType::F32, 1, 32);
    let q_w = tensor(&mut r, "q", DType::F16, 8, 32);
    let q_b = tensor(&mut r, "q.b", DType::F32, 1, 8);
    let kv_w = tensor(&mut r, "kv", DType::F32, 4, 32);
    let factors = tensor(&mut r, "factors", DType::F32, 1, 2);
    let out = tensor(&mut r, "o", DType::F32, 32, 8);
    let router = tensor(&mut r, "router", DType::F32, 3, 32);
    let experts = tensor(&mut r, "exps", DType::Q4_0, 3 * 32, 32);

    let x = r.op(Embed { table });
    let (weight, bias) = (Some(norm_w), Some(norm_b));
    let h = r.op(Norm { x, kind: NormKind::Layer, weight, bias, eps: 1e-6, group: 32 });
    let q = r.op(Linear { x: h, weight: q_w, scale: None, bias: Some(q_b) });
    let k = r.op(Linear { x: h, weight: kv_w, scale: None, bias: None });
    let style = RopeStyle::Interleaved;
    let plain =
        RopeParams { head_dim: 4, rot_dims: 2, style, base: 1e4, freq_scale: 1.0, factors: None, yarn: None };
    let style = RopeStyle::Halves;
    let full = RopeParams {
        rot_dims: 4,
        style,
        freq_scale: 0.25,
        factors: Some(factors),
        yarn: Some(YARN),
        ..plain
    };
    let q = r.op(Rope { x: q, params: plain });
    let roped = r.op(Rope { x: k, params: full });
    r.effect(Append { k: roped, v: k, layer: 0 });
    let a = r.op(Attention { q, layer: 0, n_heads: 2, scale: 0.5, window: Some(7), softcap: Some(50.0) });
    let b = r.op(Attention { q, layer: 0, n_heads: 2, scale: 0.5, window: None, softcap: None });
    let y = r.op(Mul { a, b });
    let y = r.op(Linear { x: y, weight: out, scale: None, bias: None });
    let x = r.op(Add { a: y, b: x });
    let h = r.op(Norm { x, kind: NormKind::Rms, weight: None, bias: None, eps: 0.0, group: 16 });
    let logits = r.op(Linear { x: h, weight: router, scale: None, bias: None });
    let route = r.op(Route { logits, used: 2, normalise: true, scale: 2.5 });
    let gate = r.op(Experts { x: h, route, weight: experts, count: 3, scale: None });
    let unnormalised = r.op(Route { logits, used: 2, normalise: false, scale: 1.0 });
    let up = r.op(Experts { x: h, route: unnormalised, weight: experts, count: 3, scale: None });
    let y = r.op(Glu { gate, up, act: Activation::Relu });
    let y = r.op(Combine { x: y, route });
    let x = r.op(Gather { x: y });
    let x = r.op(Scale { x, by: -0.125 });
    let x = r.op(Softcap { x, cap: 30.0 });
    r.finish(x)
}

const RECORDED: &str = r"plan: 23 ops; 10 tensors, 7.7 KiB
cache: 1 layers F16, 64 tokens of 16 B; steps: at most 8 tokens
%0 (tokens, 32) = embed embd Q8_0 100x32
%1 (tokens, 32) = norm %0 layer(1e-6, norm.w, norm\n.b) group=32
%2 (tokens, 8) = linear %1 q F16 8x32 + q.b
%3 (tokens, 4) = linear %1 kv F32 4x32
%4 (tokens, 8) = rope %2 rope=interleaved(2/4, base=10000)
%5 (tokens, 4) = rope %3 rope=halves(4/4, base=10000, scale=0.25, factors=factors, yarn(128, ext=1, attn=0.75, beta=1.5..32))
append k=%5 v=%3 layer=0
%6 (tokens, 8) = attention %4 layer=0 heads=2 scale=0.5 window=7 softcap=50
%7 (tokens, 8) = attention %4 layer=0 heads=2 scale=0.5
%8 (tokens, 8) = mul %6 %7
%9 (tokens, 32) = linear %8 o F32 32x8
%10 (tokens, 32) = add %9 %0
%11 (tokens, 32) = norm %10 rms(0e0) group=16
%12 (tokens, 3) = linear %11 router F32 3x32
%13 (tokens, 4) = route %12 used=2 normalised scale=2.5
%14 (tokens, 64) = experts %11 route=%13 exps Q4_0 96x32 count=3
%15 (tokens, 4) = route %12 used=2 scale=1
%16 (tokens, 64) = experts %11 route=%15 exps Q4_0 96x32 count=3
%17 (tokens, 64) = glu %14 %16 act=relu
%18 (tokens, 32) = combine %17 route=%13
%19 (wanted, 32) = gather %18
%20 (wanted, 32) = scale %19 by=-0.125
%21 (wanted, 32) = softcap %20 cap=30
return %21";

/// The same plan: the norm goes before the products, the add behind one, the rope of keys into their append.
const FUSED: &str = r"plan: 19 ops; 10 tensors, 7.7 KiB
cache: 1 layers F16, 64 tokens of 16 B; steps: at most 8 tokens
%0 (tokens, 32) = embed embd Q8_0 100x32
%2 (tokens, 8), %3 (tokens, 4) = project %0 norm=layer(1e-6, norm.w, norm\n.b) mats=[q F16 8x32 + q.b, kv F32 4x32]
%4 (tokens, 8) = rope %2 rope=interleaved(2/4, base=10000)
rope-append k=%3 v=%3 layer=0 rope=halves(4/4, base=10000, scale=0.25, factors=factors, yarn(128, ext=1, attn=0.75, beta=1.5..32))
%6 (tokens, 8) = attention %4 layer=0 heads=2 scale=0.5 window=7 softcap=50
%7 (tokens, 8) = attention %4 layer=0 heads=2 scale=0.5
%8 (tokens, 8) = mul %6 %7
%10 (tokens, 32) = project %8 mats=[o F32 32x8] add=%0
%11 (tokens, 32) = norm %10 rms(0e0) group=16
%12 (tokens, 3) = project %11 mats=[router F32 3x32]
%13 (tokens, 4) = route %12 used=2 normalised scale=2.5
%14 (tokens, 64) = experts %11 route=%13 exps Q4_0 96x32 count=3
%15 (tokens, 4) = route %12 used=2 scale=1
%16 (tokens, 64) = experts %11 route=%15 exps Q4_0 96x32 count=3
%17 (tokens, 64) = glu %14 %16 act=relu
%18 (tokens, 32) = combine %17 route=%13
%19 (wanted, 32) = gather %18
%20 (wanted, 32) = scale %19 by=-0.125
%21 (wanted, 32) = softcap %20 cap=30
return %21";

/// All lines but the last, and the last.
fn body_and_totals(text: &str) -> (&str, &str) {
    text.rsplit_once('\n').unwrap()
}

#[test]
fn a_recorded_plan() {
    let text = validate(every_op(), &Limits::default()).unwrap().to_string();
    assert_eq!(body_and_totals(&text).0, RECORDED);
}

#[test]
fn a_fused_plan() {
    let text = fuse(&validate(every_op(), &Limits::default()).unwrap()).to_string();
    assert_eq!(body_and_totals(&text).0, FUSED);
}

/// One row of the table, every matrix and vector as often as an op names it; values for the largest step.
#[test]
fn totals() {
    let mut plan = every_op();
    plan.nodes.truncate(4); // embed, norm and the two products
    plan.nodes.push(Node { op: Gather { x: ValueId(2) }.into(), outs: vec![ValueId(4)] });
    plan.cache.layers.clear();
    plan.output = ValueId(4);
    let valid = validate(plan, &Limits::default()).unwrap();
    // A row of the table, the norm, and the products: 34 + 2 * 128 + (8 * 64 + 32) + 4 * 128 bytes. The last is not read,
    // and gone when fused. Values of 8 tokens: 32 columns into and out of the norm; when fused, 32 into the product and
    // 8 out of it.
    let (recorded, fused) = (valid.to_string(), fuse(&valid).to_string());
    assert_eq!(body_and_totals(&recorded).1, "weights read per token: 1.3 KiB; scratch alive: 2.0 KiB");
    assert_eq!(body_and_totals(&fused).1, "weights read per token: 834 B; scratch arena: 1.2 KiB");
}

#[test]
fn a_fused_gate() {
    let mut plan = every_op();
    let product = |weight| Linear { x: ValueId(0), weight: TensorId(weight), scale: None, bias: None };
    plan.nodes.clear();
    let (embed, glu) =
        (Embed { table: TensorId(0) }, Glu { gate: ValueId(1), up: ValueId(2), act: Activation::Gelu });
    let ops: [Op; 5] =
        [embed.into(), product(3).into(), product(3).into(), glu.into(), Gather { x: ValueId(3) }.into()];
    plan.nodes.extend(ops.into_iter().zip(0..).map(|(op, out)| Node { op, outs: vec![ValueId(out)] }));
    plan.cache.layers.clear();
    plan.output = ValueId(4);
    let text = fuse(&validate(plan, &Limits::default()).unwrap()).to_string();
    assert!(
        text.contains("\n%3 (tokens, 8) = project %0 mats=[q F16 8x32, q F16 8x32] glu=gelu\n"),
        "{text}"
    );
}

/// A plan from outside is printed before it is checked: without shapes, and whatever its indices are.
#[test]
fn a_plan_that_is_not_valid() {
    let mut plan = every_op();
    plan.nodes.truncate(3);
    plan.tensors.truncate(1);
    plan.tensors[0].name = "\x1b[2J\n%0".into();
    plan.output = ValueId(77);
    plan.cache.layers.clear();
    plan.cache.dtype = KvType::F32;
    let expected = r"plan: 3 ops; 1 tensors, 3.3 KiB
cache: 0 layers F32, 64 tokens of 0 B; steps: at most 8 tokens
%0 = embed \u{1b}[2J\n%0 Q8_0 100x32
%1 = norm %0 layer(1e-6, tensor#1, tensor#2) group=32
%2 = linear %1 tensor#3 + tensor#4
return %77
";
    assert_eq!(plan.to_string(), expected);
}

#[test]
fn sizes_have_the_largest_unit_that_fits() {
    let size = |cols| {
        let mut plan = every_op();
        plan.tensors = vec![TensorDecl { name: "".into(), dtype: DType::F32, cols, rows: 1 }];
        plan.to_string().lines().next().unwrap().replace("plan: 23 ops; 1 tensors, ", "")
    };
    assert_eq!(size(255), "1020 B");
    assert_eq!(size(256), "1.0 KiB");
    assert_eq!(size(384), "1.5 KiB");
    assert_eq!(size((1 << 18) - 1), "1024.0 KiB");
    assert_eq!(size(1 << 18), "1.0 MiB");
    assert_eq!(size(5 << 28), "5.0 GiB");
    assert_eq!(size(u64::MAX), "0 B", "more than 64 bits can count");
}
