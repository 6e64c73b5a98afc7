//! Mutations: a plan with something in it changed, most often for the worse.

use super::Rng;
use crate::op::{Epilogue, Gather, Linear, Matrix, Op, Project, RopeAppend, RopeParams, Yarn};
use crate::plan::{KvType, Node, Plan, TensorDecl, TensorId, ValueId};
use alloc::vec;
use alloc::vec::Vec;
use chord_quant::DType;

/// Changes one to three things in a plan: ids, shapes, types, parameters, order, sizes.
pub fn mutate(plan: &mut Plan, rng: &mut Rng) {
    for _ in 0..1 + rng.below(3) {
        match rng.below(10) {
            0 | 1 => tensor(plan, rng),
            2 => cache(plan, rng),
            3 => order(plan, rng),
            4 => outs(plan, rng),
            5 => whole(plan, rng),
            6 => foreign(plan, rng),
            _ => field(plan, rng),
        }
    }
}

const TYPES: [DType; 8] =
    [DType::F32, DType::F16, DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K, DType::I32, DType::IQ1_S];

/// Numbers at which arithmetic goes wrong, and some near `old`.
fn int(old: u32, rng: &mut Rng) -> u32 {
    let (n, m) = (rng.below(40), rng.below(300));
    let edges = [0, 1, 2, 3, 1 << 16, 1 << 24, 1 << 31, u32::MAX, u32::MAX - 1, n, n, m];
    let near = [old.wrapping_add(1), old.wrapping_sub(1), old.wrapping_mul(2), old / 2];
    if rng.chance(40) { rng.of(&near) } else { rng.of(&edges) }
}

fn long(old: u64, rng: &mut Rng) -> u64 {
    let edges =
        [0, 1, 1 << 32, 1 << 46, 1 << 47, 1 << 63, u64::MAX, old.wrapping_mul(2), old.wrapping_add(32)];
    if rng.chance(50) { rng.of(&edges) } else { int(old as u32, rng).into() }
}

fn real(old: f32, rng: &mut Rng) -> f32 {
    rng.of(&[
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN_POSITIVE,
        0.0,
        -0.0,
        1.0,
        0.5,
        -1.0,
        1e-30,
        -old,
        old * 2.0,
    ])
}

fn tensor(plan: &mut Plan, rng: &mut Rng) {
    let n = plan.tensors.len() as u32;
    let Some(decl) = plan.tensors.get_mut(rng.below(n) as usize) else { return };
    match rng.below(5) {
        0 => decl.dtype = rng.of(&TYPES),
        1 => decl.cols = long(decl.cols, rng),
        2 => decl.rows = long(decl.rows, rng),
        3 => decl.name = "n".repeat(62 + rng.below(4) as usize).into(),
        _ => *decl = TensorDecl { name: "\x1b[31m".into(), dtype: rng.of(&TYPES), cols: 256, rows: 1 },
    }
}

fn cache(plan: &mut Plan, rng: &mut Rng) {
    let cache = &mut plan.cache;
    let n = cache.layers.len() as u32;
    if rng.chance(40) {
        match rng.below(4) {
            0 => cache.max_tokens = int(cache.max_tokens, rng),
            1 => cache.dtype = rng.of(&[KvType::F16, KvType::F32]),
            2 => cache.layers.extend(cache.layers.first().copied()),
            _ => drop(cache.layers.pop()),
        }
        return;
    }
    let Some(kv) = cache.layers.get_mut(rng.below(n) as usize) else { return };
    let field = match rng.below(3) {
        0 => &mut kv.n_kv_heads,
        1 => &mut kv.k_dim,
        _ => &mut kv.v_dim,
    };
    *field = int(*field, rng);
}

/// Moves, repeats or drops nodes; often the values are numbered anew, so that the change goes deeper.
fn order(plan: &mut Plan, rng: &mut Rng) {
    let n = plan.nodes.len() as u32;
    let (i, j) = (rng.below(n) as usize, rng.below(n) as usize);
    if n > 0 {
        match rng.below(3) {
            0 => plan.nodes.swap(i, j),
            1 => drop(plan.nodes.remove(i)),
            _ => plan.nodes.insert(j, plan.nodes[i].clone()),
        }
    }
    if rng.chance(70) {
        let mut ids = (0..).map(ValueId);
        plan.nodes.iter_mut().for_each(|n| n.outs = ids.by_ref().take(n.outs.len()).collect());
    }
}

fn outs(plan: &mut Plan, rng: &mut Rng) {
    let n = plan.nodes.len() as u32;
    let Some(node) = plan.nodes.get_mut(rng.below(n) as usize) else { return };
    match rng.below(3) {
        0 => drop(node.outs.pop()),
        1 => node.outs.push(ValueId(int(0, rng))),
        _ => node.outs.iter_mut().for_each(|v| v.0 = int(v.0, rng)),
    }
}

fn whole(plan: &mut Plan, rng: &mut Rng) {
    match rng.below(5) {
        0 => plan.output.0 = int(plan.output.0, rng),
        1 => plan.max_step_tokens = int(plan.max_step_tokens, rng),
        2 => plan.nodes.truncate(rng.below(plan.nodes.len() as u32 + 1) as usize),
        3 => plan.tensors.truncate(rng.below(plan.tensors.len() as u32 + 1) as usize),
        _ => plan.max_step_tokens = 1 + rng.below(64),
    }
}

/// Puts an op in the plan that only fusing may make, or a gather where none should be.
fn foreign(plan: &mut Plan, rng: &mut Rng) {
    let n = plan.nodes.len() as u32;
    let Some(Node { op, .. }) = plan.nodes.get_mut(rng.below(n) as usize) else { return };
    match op {
        Op::Linear(Linear { x, weight, scale, bias }) => {
            let mats = vec![Matrix { weight: *weight, scale: *scale, bias: *bias }];
            *op = Project { x: *x, norm: None, mats, epilogue: Epilogue::Each }.into();
        }
        Op::Append(a) => {
            let rope = RopeParams {
                head_dim: 2,
                rot_dims: 2,
                style: crate::op::RopeStyle::Halves,
                base: 1.0,
                freq_scale: 1.0,
                factors: None,
                yarn: None,
            };
            *op = RopeAppend { k: a.k, v: a.v, layer: a.layer, rope }.into();
        }
        _ => *op = Gather { x: ValueId(rng.below(n)) }.into(),
    }
}

/// One parameter of an op.
enum Field<'a> {
    Value(&'a mut ValueId),
    Tensor(&'a mut TensorId),
    Vector(&'a mut Option<TensorId>),
    Int(&'a mut u32),
    Real(&'a mut f32),
    Window(&'a mut Option<u32>),
    Cap(&'a mut Option<f32>),
    Yarn(&'a mut Option<Yarn>),
}

fn field(plan: &mut Plan, rng: &mut Rng) {
    let (n, n_tensors) = (plan.nodes.len() as u32, plan.tensors.len() as u32);
    let Some(node) = plan.nodes.get_mut(rng.below(n) as usize) else { return };
    let mut fields = fields(&mut node.op);
    let n_fields = fields.len() as u32;
    let Some(field) = fields.get_mut(rng.below(n_fields) as usize) else { return };
    let any_tensor =
        |old: u32, rng: &mut Rng| TensorId(if rng.chance(80) { rng.below(n_tensors) } else { int(old, rng) });
    match field {
        Field::Value(v) => v.0 = if rng.chance(80) { rng.below(n) } else { int(v.0, rng) },
        Field::Tensor(t) => **t = any_tensor(t.0, rng),
        Field::Vector(t) => **t = rng.chance(70).then(|| any_tensor(0, rng)),
        Field::Int(i) => **i = int(**i, rng),
        Field::Real(r) => **r = real(**r, rng),
        Field::Window(w) => **w = rng.chance(80).then(|| int(4, rng)),
        Field::Cap(c) => **c = rng.chance(80).then(|| real(4.0, rng)),
        Field::Yarn(y) => **y = rng.chance(80).then(|| yarn(rng)),
    }
}

fn yarn(rng: &mut Rng) -> Yarn {
    let mut one = |usual: f32| if rng.chance(70) { usual } else { real(usual, rng) };
    let (ext_factor, attn_factor, beta_fast, beta_slow) = (one(1.0), one(1.0), one(32.0), one(1.0));
    let orig_ctx = if rng.chance(70) { 128 } else { int(128, rng) };
    Yarn { orig_ctx, ext_factor, attn_factor, beta_fast, beta_slow }
}

fn fields(op: &mut Op) -> Vec<Field<'_>> {
    use Field::{Cap, Int, Real, Tensor, Value, Vector, Window};
    match op {
        Op::Embed(o) => vec![Tensor(&mut o.table)],
        Op::Norm(o) => vec![
            Value(&mut o.x),
            Vector(&mut o.weight),
            Vector(&mut o.bias),
            Real(&mut o.eps),
            Int(&mut o.group),
        ],
        Op::Linear(o) => {
            let mut fields = vec![Value(&mut o.x), Tensor(&mut o.weight), Vector(&mut o.bias)];
            fields.extend(o.scale.as_mut().map(|s| Tensor(&mut s.by)));
            fields
        }
        Op::Rope(o) => {
            let p = &mut o.params;
            vec![
                Value(&mut o.x),
                Int(&mut p.head_dim),
                Int(&mut p.rot_dims),
                Real(&mut p.base),
                Real(&mut p.freq_scale),
                Vector(&mut p.factors),
                Field::Yarn(&mut p.yarn),
            ]
        }
        Op::Append(o) => vec![Value(&mut o.k), Value(&mut o.v), Int(&mut o.layer)],
        Op::Attention(o) => vec![
            Value(&mut o.q),
            Int(&mut o.layer),
            Int(&mut o.n_heads),
            Real(&mut o.scale),
            Window(&mut o.window),
            Cap(&mut o.softcap),
        ],
        Op::Glu(o) => vec![Value(&mut o.gate), Value(&mut o.up)],
        Op::Add(o) => vec![Value(&mut o.a), Value(&mut o.b)],
        Op::Mul(o) => vec![Value(&mut o.a), Value(&mut o.b)],
        Op::Scale(o) => vec![Value(&mut o.x), Real(&mut o.by)],
        Op::Softcap(o) => vec![Value(&mut o.x), Real(&mut o.cap)],
        Op::Gather(o) => vec![Value(&mut o.x)],
        Op::Route(o) => vec![Value(&mut o.logits), Int(&mut o.used), Real(&mut o.scale)],
        Op::Experts(o) => vec![
            Value(&mut o.x),
            Value(&mut o.route),
            Tensor(&mut o.weight),
            Int(&mut o.count),
            Vector(&mut o.scale),
        ],
        Op::Combine(o) => vec![Value(&mut o.x), Value(&mut o.route)],
        Op::Project(_) | Op::RopeAppend(_) => Vec::new(),
    }
}
