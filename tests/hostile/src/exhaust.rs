//! Ways to make the host hold more memory, or work longer, than an engine may. Each says what the host answered.

use chord_wit::compute::{self as c, Op};
use chord_wit::weights;
use std::time::Duration;

const F32: u32 = 0;

fn device() -> c::Device {
    c::Device::open(None).expect("the host has a device")
}

fn decl(rows: u64, cols: u64) -> c::TensorDecl {
    c::TensorDecl { name: "t".into(), dtype: F32, cols, rows }
}

/// A tensor of zeros that is in no file.
fn upload(device: &c::Device, rows: u64, cols: u64) -> Result<c::Tensor, c::Error> {
    device.upload(&decl(rows, cols), &vec![0; (rows * cols * 4) as usize])
}

fn no_layers(max_tokens: u32) -> c::CacheSpec {
    c::CacheSpec { layers: Vec::new(), dtype: c::KvType::F16, max_tokens }
}

/// `embed` of tensor 0, the ops, and `gather` of the last value, which is the output.
fn plan(
    tensors: Vec<c::TensorDecl>,
    cache: c::CacheSpec,
    max_step_tokens: u32,
    values: u32,
    ops: impl IntoIterator<Item = Op>,
) -> c::PlanDecl {
    let mut all = vec![Op::Embed(c::Embed { table: 0 })];
    all.extend(ops);
    all.push(Op::Gather(c::Gather { x: values }));
    c::PlanDecl { tensors, cache, ops: all, output: values + 1, max_step_tokens }
}

/// A step of `n` tokens of one sequence, at positions from `first`, which returns `wanted`.
fn step(seq: u32, n: u32, first: u32, wanted: Vec<u32>) -> c::Step {
    let (tokens, positions) = (vec![0; n as usize], (first..first + n).collect());
    c::Step { tokens, positions, spans: vec![c::Span { seq, len: n }], wanted, pick: c::Pick::All }
}

fn outcome<T>(result: Result<T, c::Error>) -> String {
    match result {
        Ok(_) => "accepted".into(),
        Err(e) => format!("{e:?}"),
    }
}

/// Tries until it is refused; what it made is kept.
fn until_refused<T>(most: usize, mut make: impl FnMut() -> Result<T, c::Error>) -> String {
    let mut kept = Vec::new();
    while kept.len() < most {
        match make() {
            Ok(made) => kept.push(made),
            Err(e) => return format!("refused after {}: {e:?}", kept.len()),
        }
    }
    format!("accepted {most}")
}

/// What each of these does by its name; `None`: no such name.
pub(crate) fn exhaust(how: &str, name: &str) -> Option<String> {
    Some(match how {
        "norms" => norms(),
        "long-name" => long_name(),
        "arenas" => arenas(),
        "experts" => experts(),
        "kept-uploads" => kept_uploads(),
        "dropped-uploads" => dropped_uploads(),
        "forks" => forks(),
        "wide-keys" => wide_keys(),
        "sleep" => sleep(),
        "attention" => attention(),
        "same-ropes" => ropes(|_| 10_000.0),
        "different-ropes" => ropes(|i| 10_000.0 + i as f32),
        "wide-rows" => wide_rows(name),
        "wanted-rows" => wanted_rows(),
        "lost-pages" => lost_pages(name),
        _ => return None,
    })
}

/// 65 000 norms that each read a vector of 16 MiB twice.
fn norms() -> String {
    const COLS: u32 = 1 << 22;
    let device = device();
    let vector = match upload(&device, 1, COLS.into()) {
        Ok(vector) => vector,
        Err(e) => return format!("{e:?}"),
    };
    let norm =
        |x| c::Norm { x, kind: c::NormKind::Rms, weight: Some(0), bias: Some(0), eps: 0.0, group: COLS };
    let n = 65_000;
    let decl = plan(vec![decl(1, COLS.into())], no_layers(1), 1, n, (0..n).map(|x| Op::Norm(norm(x))));
    outcome(device.compile(&decl, &[&vector]))
}

/// A name of 100 MB, read by 60 000 ops.
fn long_name() -> String {
    let device = device();
    let named = c::TensorDecl { name: "n".repeat(100_000_000), ..decl(1, 1) };
    let bound = device.upload(&named, &[0; 4]);
    let n = 60_000;
    let linear = |x| Op::Linear(c::Linear { x, weight: 0, scale: None, bias: None });
    let Ok(vector) = upload(&device, 1, 1) else { return "no upload".into() };
    let decl = plan(vec![named], no_layers(1), 1, n, (0..n).map(linear));
    format!("{} and {}", outcome(bound), outcome(device.compile(&decl, &[&vector])))
}

/// Plans of 256 MiB of values each.
fn arenas() -> String {
    let device = device();
    let Ok(table) = upload(&device, 1, 1 << 20) else { return "no upload".into() };
    let decl = plan(vec![decl(1, 1 << 20)], no_layers(1), 32, 0, []);
    until_refused(1000, || device.compile(&decl, &[&table]))
}

/// A value of 65 536 columns as the route of a mixture: 32 768 experts for each token.
fn experts() -> String {
    let device = device();
    let (n_in, used) = (1 << 15, 1u32 << 15);
    let Ok(table) = upload(&device, 1, (2 * used).into()) else { return "no upload".into() };
    let Ok(matrix) = upload(&device, 1, n_in) else { return "no upload".into() };
    let experts = c::Experts { x: 1, route: 0, weight: 1, scale: None, count: 1 };
    let ops = [Op::Linear(c::Linear { x: 0, weight: 0, scale: None, bias: None }), Op::Experts(experts)];
    let decl = plan(vec![decl(1, (2 * used).into()), decl(1, n_in)], no_layers(1), 8, 2, ops);
    outcome(device.compile(&decl, &[&table, &matrix]))
}

/// Uploads whose handles are dropped while plans hold their bytes.
fn kept_uploads() -> String {
    let device = device();
    let decl = plan(vec![decl(1, 1 << 20)], no_layers(1), 1, 0, []);
    until_refused(10_000, || {
        let tensor = upload(&device, 1, 1 << 20)?;
        device.compile(&decl, &[&tensor])
    })
}

/// Uploads that nothing holds any more: what they took is there again.
fn dropped_uploads() -> String {
    let device = device();
    let refused = (0..200).filter(|_| upload(&device, 1, 1 << 20).is_err()).count();
    format!("{refused} of 200 refused")
}

/// A sequence of 2^20 tokens in a cache that has no layers and so no bytes, forked without end.
fn forks() -> String {
    const STEP: u32 = 1 << 16;
    let device = device();
    let Ok(table) = upload(&device, 1, 1) else { return "no upload".into() };
    let spec = no_layers(1 << 20);
    let plan = device.compile(&plan(vec![decl(1, 1)], spec.clone(), STEP, 0, []), &[&table]);
    let (Ok(plan), Ok(cache)) = (plan, device.new_cache(&spec)) else { return "no plan or cache".into() };
    let Ok(seq) = cache.open() else { return "no sequence".into() };
    for i in 0..16 {
        if let Err(e) = plan.run(&cache, &step(seq, STEP, i * STEP, Vec::new())) {
            return format!("step {i}: {e:?}");
        }
    }
    let forked = until_refused(1_000_000, || cache.fork(seq, 1 << 20));
    // One that is closed makes room for another.
    let again = cache.close(seq + 1).and_then(|()| cache.fork(seq, 1 << 20));
    format!("{forked}, then {}", outcome(again))
}

/// Caches of one token each, with keys so wide that a page of 64 is most of a MiB.
fn wide_keys() -> String {
    let device = device();
    let layers = vec![c::LayerKv { n_kv_heads: 1, k_dim: 8000, v_dim: 1 }];
    let spec = c::CacheSpec { layers, dtype: c::KvType::F16, max_tokens: 1 };
    until_refused(10_000, || device.new_cache(&spec))
}

/// Sleeps for longer than anybody waits.
pub(crate) fn sleep() -> String {
    std::thread::sleep(Duration::from_secs(u64::MAX / 4_000_000_000));
    "slept".into()
}

/// One token whose 2^22 heads look at 2^18 slots: 10^12 products in one piece of work.
fn attention() -> String {
    const STEP: u32 = 1 << 16;
    const HEADS: u32 = 1 << 22;
    let device = device();
    let layers = vec![c::LayerKv { n_kv_heads: 1, k_dim: 1, v_dim: 1 }];
    let spec = c::CacheSpec { layers, dtype: c::KvType::F16, max_tokens: 4 * STEP + 64 };
    let (one, wide) = (upload(&device, 1, 1), upload(&device, 1, HEADS.into()));
    let (Ok(one), Ok(wide), Ok(cache)) = (one, wide, device.new_cache(&spec)) else {
        return "no cache".into();
    };
    let append = |x| Op::Append(c::Append { k: x, v: x, layer: 0 });
    let fill = device.compile(&plan(vec![decl(1, 1)], spec.clone(), STEP, 0, [append(0)]), &[&one]);
    let attend = c::Attention { q: 0, layer: 0, n_heads: HEADS, scale: 1.0, window: None, softcap: None };
    let mut look = plan(
        vec![decl(1, HEADS.into()), decl(1, 1)],
        spec,
        1,
        2,
        [Op::Embed(c::Embed { table: 1 }), append(1)],
    );
    let gather = look.ops.pop();
    look.ops.push(Op::Attention(attend));
    look.ops.extend(gather);
    let look = device.compile(&look, &[&wide, &one]);
    let (Ok(fill), Ok(look)) = (fill, look) else { return "no plans".into() };
    let Ok(seq) = cache.open() else { return "no sequence".into() };
    for _ in 0..4 {
        if let Err(e) = fill.run(&cache, &step(seq, STEP, 0, Vec::new())) {
            return format!("filling: {e:?}");
        }
    }
    outcome(look.run(&cache, &step(seq, 1, 0, Vec::new())))
}

/// 65 000 rotations of 2^21 pairs each.
fn ropes(base: fn(u32) -> f32) -> String {
    const COLS: u32 = 1 << 22;
    let device = device();
    let Ok(table) = upload(&device, 1, COLS.into()) else { return "no upload".into() };
    let params = |i| c::RopeParams {
        head_dim: COLS,
        rot_dims: COLS,
        style: c::RopeStyle::Halves,
        base: base(i),
        freq_scale: 1.0,
        factors: None,
        yarn: None,
    };
    let n = 65_000;
    let ropes = (0..n).map(|i| Op::Rope(c::Rope { x: i, params: params(i) }));
    outcome(device.compile(&plan(vec![decl(1, COLS.into())], no_layers(1), 1, n, ropes), &[&table]))
}

/// Output rows of 2^30 columns, of which the largest are wanted.
fn wide_rows(name: &str) -> String {
    let device = device();
    let Ok(file) = weights::open(name) else { return "no file".into() };
    let wide = decl(1, 1 << 30);
    let table = match device.bind(&file, 0, &wide) {
        Ok(table) => table,
        Err(e) => return format!("not bound: {e:?}"),
    };
    outcome(device.compile(&plan(vec![wide], no_layers(1), 1, 0, []), &[&table]))
}

/// A step that returns more than the host may hold for the engine: its results are counted before it runs.
fn wanted_rows() -> String {
    const TOKENS: u32 = 40;
    let device = device();
    let Ok(table) = upload(&device, 1, 1 << 20) else { return "no upload".into() };
    let spec = no_layers(TOKENS);
    let plan = device.compile(&plan(vec![decl(1, 1 << 20)], spec.clone(), TOKENS, 0, []), &[&table]);
    let (Ok(plan), Ok(cache)) = (plan, device.new_cache(&spec)) else { return "no plan or cache".into() };
    let Ok(seq) = cache.open() else { return "no sequence".into() };
    let refused = outcome(plan.run(&cache, &step(seq, TOKENS, 0, (0..TOKENS).collect())));
    format!("{refused}, then {} tokens", cache.length(seq).unwrap_or(u32::MAX))
}

/// Reads a page at a time of a file that is gone, the last one first, and binds what is left of it.
fn lost_pages(name: &str) -> String {
    let Ok(file) = weights::open(name) else { return "no file".into() };
    let pages = file.size() / 4096;
    let lost =
        (0..pages).rev().filter(|page| matches!(file.read(page * 4096, 1), Err(weights::Error::Lost(_))));
    let lost = lost.count();
    let bound = device().bind(&file, 0, &decl(1, 1024));
    format!("{lost} of {pages} pages are lost, {}", outcome(bound))
}
