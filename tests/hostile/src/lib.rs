//! An engine component that misbehaves in the way its model's name asks for. The host must survive all of them.
//! Empty unless compiled to wasm.
#![cfg(target_family = "wasm")]

mod exhaust;
mod start;

use chord_wit::inference as w;
use chord_wit::{compute, weights};

/// The component.
pub struct Hostile;

chord_wit::generated::export!(Hostile with_types_in chord_wit::generated);

fn refuse<T>(what: &str) -> Result<T, w::Error> {
    Err(w::Error::Other(what.into()))
}

/// Misbehaves as asked; the answer, if there is one, says what the host did about it.
fn misbehave(how: &str) -> String {
    match how.trim_end_matches(".gguf") {
        "loop" => endless(),
        "storm" => storm(),
        "recursion" => format!("{}", recurse(0)),
        "memory" => memory(),
        "table" => table(),
        "panic" => panic!("asked to"),
        "handles" => handles(),
        "open-other" => other_files(),
        "huge-read" => huge_read(how),
        "huge-plan" => huge_plan(),
        "huge-cache" => huge_cache(),
        "huge-tensor" => huge_tensor(how),
        "many-ops" => many_ops(),
        "unknown-dtype" => unknown_dtype(how),
        other => exhaust::exhaust(other, how).unwrap_or_else(|| format!("no such misbehaviour: {other}")),
    }
}

fn endless() -> String {
    let mut n = 0u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

fn storm() -> String {
    loop {
        let _ = std::hint::black_box(weights::open("other.gguf"));
    }
}

#[expect(unconditional_recursion, reason = "the stack shall overflow")]
fn recurse(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    frame[(depth % 64) as usize] + recurse(depth + 1)
}

fn memory() -> String {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut part: Vec<u8> = Vec::new();
        if part.try_reserve_exact(16 << 20).is_err() {
            return format!("refused after {} MiB", kept.len() * 16);
        }
        part.resize(16 << 20, 1);
        kept.push(part);
    }
}

fn table() -> String {
    let mut before = 0;
    loop {
        match grow_table(std::hint::black_box(1 << 12)) {
            u32::MAX => return format!("refused after {before} elements"),
            elements => before = elements,
        }
    }
}

/// No Rust becomes `table.grow`: the test puts it in the place of these instructions, which are like no others.
#[inline(never)]
fn grow_table(elements: u32) -> u32 {
    elements ^ 0x1234_5678
}

fn handles() -> String {
    let mut kept = Vec::new();
    loop {
        match compute::Device::open(None) {
            Ok(device) => kept.push(device),
            Err(e) => return format!("refused after {}: {e:?}", kept.len()),
        }
    }
}

fn other_files() -> String {
    let names = ["/etc/passwd", "../open-other.gguf", "..", "", "open-other.gguf\0", "other.gguf"];
    let opened: Vec<&str> = names.into_iter().filter(|n| weights::open(n).is_ok()).collect();
    format!("opened {opened:?}")
}

fn huge_read(name: &str) -> String {
    let file = match weights::open(name) {
        Ok(file) => file,
        Err(e) => return format!("{e:?}"),
    };
    let reads = [(0, u32::MAX), (u64::MAX, 1), (file.size(), 1), (u64::MAX - 3, 8)];
    let refused = reads.iter().all(|&(at, n)| matches!(file.read(at, n), Err(weights::Error::OutOfRange(_))));
    file.prefetch(u64::MAX, u64::MAX);
    format!("refused {refused}")
}

fn device() -> compute::Device {
    compute::Device::open(None).expect("the host has a device")
}

fn cache_spec(max_tokens: u32, dim: u32) -> compute::CacheSpec {
    let layers = vec![compute::LayerKv { n_kv_heads: dim, k_dim: dim, v_dim: dim }];
    compute::CacheSpec { layers, dtype: compute::KvType::F16, max_tokens }
}

fn plan(ops: Vec<compute::Op>, tensors: Vec<compute::TensorDecl>) -> compute::PlanDecl {
    compute::PlanDecl { tensors, cache: cache_spec(1, 1), ops, output: 0, max_step_tokens: u32::MAX }
}

fn huge_plan() -> String {
    let tensor = compute::TensorDecl { name: "t".into(), dtype: 0, cols: u64::MAX, rows: u64::MAX };
    let decl = plan(vec![compute::Op::Embed(compute::Embed { table: 0 })], vec![tensor]);
    format!("{:?}", device().compile(&decl, &[]).err())
}

fn many_ops() -> String {
    let op = compute::Op::Gather(compute::Gather { x: 0 });
    format!("{:?}", device().compile(&plan(vec![op; 100_000], Vec::new()), &[]).err())
}

fn huge_cache() -> String {
    format!("{:?}", device().new_cache(&cache_spec(1 << 16, 1 << 8)).err())
}

fn huge_tensor(name: &str) -> String {
    let Ok(file) = weights::open(name) else { return "no file".into() };
    let decl = compute::TensorDecl { name: "t".into(), dtype: 0, cols: 1 << 40, rows: 1 << 40 };
    format!("{:?} {:?}", device().bind(&file, 0, &decl).err(), device().upload(&decl, &[0; 4]).err())
}

fn unknown_dtype(name: &str) -> String {
    let Ok(file) = weights::open(name) else { return "no file".into() };
    let decl = compute::TensorDecl { name: "t".into(), dtype: 4_000_000_000, cols: 32, rows: 1 };
    format!("{:?}", device().bind(&file, 0, &decl).err())
}

impl w::Guest for Hostile {
    type Model = Never;
    type Session = Never;
    type Generation = Never;

    fn inspect(name: String) -> Result<w::Report, w::Error> {
        refuse(&misbehave(&name))
    }
}

/// No model is ever loaded.
pub enum Never {}

impl w::GuestModel for Never {
    fn load(name: String, _: w::LoadOptions) -> Result<w::Model, w::Error> {
        refuse(&misbehave(&name))
    }
    fn info(&self) -> w::ModelInfo {
        match *self {}
    }
    fn tokenize(&self, _: String, _: bool, _: bool) -> Result<Vec<u32>, w::Error> {
        match *self {}
    }
    fn chat_prompt(&self, _: Vec<w::Message>, _: w::ChatOptions) -> Result<Vec<u32>, w::Error> {
        refuse("not implemented")
    }

    fn detokenize(&self, _: Vec<u32>, _: bool) -> Result<Vec<u8>, w::Error> {
        match *self {}
    }
    fn open(&self) -> Result<w::Session, w::Error> {
        match *self {}
    }
}

impl w::GuestSession for Never {
    fn length(&self) -> u32 {
        match *self {}
    }
    fn append(&self, _: Vec<u32>) -> Result<(), w::Error> {
        match *self {}
    }
    fn evaluate(&self, _: Vec<u32>, _: Vec<u32>) -> Result<Vec<f32>, w::Error> {
        match *self {}
    }
    fn fork(&self, _: u32) -> Result<w::Session, w::Error> {
        match *self {}
    }
    fn truncate(&self, _: u32) -> Result<(), w::Error> {
        match *self {}
    }
    fn generate(&self, _: w::Prompt, _: w::GenerateOptions) -> Result<w::Generation, w::Error> {
        match *self {}
    }
}

impl w::GuestGeneration for Never {
    fn next(&self) -> Result<Vec<w::Event>, w::Error> {
        match *self {}
    }
}
