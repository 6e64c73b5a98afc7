//! What the fuzzers do with their bytes: one function per target, which panics where something is
//! wrong and says whether the bytes were accepted.
//!
//! `targets/` runs them under libFuzzer (`cargo fuzz run --fuzz-dir tests/fuzz/targets gguf`, nightly); `tests/rounds.rs`
//! runs a short, seeded round of each on stable, in CI.

use chord_cpu::{Bounds, CpuDevice, Kernels, Serial, WeightBytes};
use chord_gguf::{Array, Gguf, Metadata, Value};
use chord_ops::testing::{Rng, compare, limits, mutate, random_plan};
use chord_ops::{
    Budget, Device, DeviceError, Limits, Pick, Plan, Span, Step, TensorDecl, ValidPlan, fuse, validate,
};
use chord_runtime::ThreadPool;
use chord_tokenizer::Tokenizer;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A model file: it is refused, or its directory is sound and so is all that is made of it.
pub fn gguf(data: &[u8]) -> bool {
    let file = data.to_vec();
    let gguf = match Gguf::parse(&file, "fuzz.gguf") {
        Ok(gguf) => gguf,
        Err(e) => {
            assert!(!e.to_string().is_empty());
            return false;
        }
    };
    for t in &gguf.tensors {
        let end = t.offset.checked_add(t.bytes).expect("no wrap");
        assert!(t.offset >= gguf.data_offset && end <= file.len() as u64, "{t:?}");
        assert!((1..=4).contains(&t.dims.len()) && !t.dims.contains(&0), "{t:?}");
        let elements = t.dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d)).expect("no wrap");
        assert_eq!(t.dtype.bytes_for(elements), Some(t.bytes), "{t:?}");
    }
    if let Ok(tokenizer) = Tokenizer::from_gguf(&gguf.metadata) {
        check_text(&tokenizer, "Once upon a time <s> \u{e4}\n");
    }
    if let Ok(spec) = chord_model::spec(&gguf)
        && let Ok(recording) = chord_model::record(&spec, &gguf, 256, 256, 16)
    {
        let _ = validate(recording.plan, &limits());
    }
    true
}

/// Text and vocabulary of a tokenizer. The first byte says what the others are: text for one of the vocabularies, or
/// changes of its metadata.
pub fn tokenizer(data: &[u8]) -> bool {
    let [kind, data @ ..] = data else { return false };
    let all = vocabularies();
    let (metadata, tokenizer) = &all[usize::from(kind >> 1) % all.len()];
    if kind & 1 == 0 {
        check_text(tokenizer, &String::from_utf8_lossy(data));
        return true;
    }
    let Ok(tokenizer) = Tokenizer::from_gguf(&changed(metadata, data)) else { return false };
    check_text(&tokenizer, "Once upon a time <s> \u{e4}\n  a a");
    check_text(&tokenizer, &String::from_utf8_lossy(data));
    true
}

/// A plan: it is refused, or it can be fused and printed.
pub fn plan(data: &[u8]) -> bool {
    let plan = plan_of(data);
    let _ = plan.to_string();
    let Ok(valid) = validate(plan, &limits()) else { return false };
    let fused = fuse(&valid);
    assert!(!fused.to_string().is_empty() && !valid.to_string().is_empty());
    true
}

/// A plan on the CPU device: every kernel set gives what the scalar reference gives.
pub fn execute(data: &[u8]) -> bool {
    let Ok(valid) = validate(plan_of(data), &limits()) else { return false };
    let seed = Rng::new(data.len() as u64).bits();
    for isa in Kernels::isas() {
        let kernels = Kernels::with_isa(isa).expect("it is one of this machine");
        let device = CpuDevice::new(kernels, Arc::new(Serial), Arc::default());
        compare(&device, &valid, seed).unwrap_or_else(|e| panic!("{isa:?}: {e} in\n{valid}"));
    }
    true
}

/// Most bytes of everything that a plan and its cache may take in [`exhaust`], and of the pages of that cache.
const MEMORY: usize = 64 << 20;
/// Time after which a step or a compilation is cancelled there.
const TIME: Duration = Duration::from_millis(50);

/// A plan within the host's own limits, on the host's own threads: it takes no more memory than it may, gives all of it back,
/// and ends soon after it is cancelled. A step that fails leaves the cache as it was.
pub fn exhaust(data: &[u8]) -> bool {
    let Ok(valid) = validate(plan_of(data), &Limits::default()) else { return false };
    let cancel = Arc::new(AtomicBool::new(false));
    let bounds = Bounds { memory: Budget::new(MEMORY), kv: Budget::new(MEMORY), limits: Limits::default() };
    let device =
        CpuDevice::new(Kernels::detect(), pool().clone(), cancel.clone()).with_bounds(bounds.clone());
    let outcome = within(TIME, &cancel, || steps(&device, &valid, &cancel));
    match outcome {
        Ok(()) | Err(DeviceError::Limit(_) | DeviceError::Cancelled | DeviceError::CacheFull { .. }) => {}
        Err(e) => panic!("{e} in\n{valid}"),
    }
    assert_eq!((bounds.memory.used(), bounds.kv.used()), (0, 0), "what was taken is given back:\n{valid}");
    true
}

fn pool() -> &'static Arc<ThreadPool> {
    static POOL: OnceLock<Arc<ThreadPool>> = OnceLock::new();
    POOL.get_or_init(|| Arc::new(ThreadPool::new(2)))
}

/// Sets `cancel` if `f` takes longer.
fn within<T>(time: Duration, cancel: &AtomicBool, f: impl FnOnce() -> T) -> T {
    let (done, waits) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if waits.recv_timeout(time) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                cancel.store(true, Ordering::Relaxed);
            }
        });
        let result = f();
        drop(done);
        result
    })
}

/// Compiles a plan over zeros and runs its largest step and a small one.
fn steps(device: &CpuDevice, plan: &ValidPlan, cancel: &AtomicBool) -> Result<(), DeviceError> {
    // Fresh pages that nobody writes take no memory, so they are as large as any tensor that fits.
    static ZEROS: OnceLock<WeightBytes> = OnceLock::new();
    let zeros = ZEROS.get_or_init(|| Arc::new(vec![0u8; 1 << 30]));
    let large = |decl: &&TensorDecl| decl.check().is_ok_and(|bytes| bytes > 1 << 30);
    if plan.plan().tensors.iter().any(|decl| large(&decl)) {
        return Ok(());
    }
    let bind = |decl| device.bind(zeros, 0, decl);
    let tensors = plan.plan().tensors.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
    let mut compiled = device.compile(plan, &tensors.iter().collect::<Vec<_>>())?;
    let mut cache = device.new_cache(&plan.plan().cache)?;
    let seq = device.open(&mut cache)?;
    for n in [plan.plan().max_step_tokens, 1] {
        let held = device.len(&cache, seq)?;
        let (tokens, positions) = (vec![0; n as usize], (held..held + n).collect::<Vec<_>>());
        let spans = [Span { seq, len: n }];
        let wanted = [n - 1];
        let step = Step {
            tokens: &tokens,
            positions: &positions,
            spans: &spans,
            wanted: &wanted,
            pick: Pick::Top(3),
        };
        let result = device.run(&mut compiled, &mut cache, &step);
        assert!(result != Err(DeviceError::Cancelled) || cancel.load(Ordering::Relaxed));
        assert_eq!(device.len(&cache, seq)?, held + if result.is_ok() { n } else { 0 });
        device.fork(&mut cache, seq, held)?;
    }
    Ok(())
}

/// The first eight bytes make a plan, each further eight one mutation.
fn plan_of(data: &[u8]) -> Plan {
    let mut words = data.chunks(8).map(|word| {
        let mut bytes = [0; 8];
        bytes[..word.len()].copy_from_slice(word);
        u64::from_le_bytes(bytes)
    });
    let mut plan = random_plan(words.next().unwrap_or_default());
    words.take(8).for_each(|word| mutate(&mut plan, &mut Rng::new(word)));
    plan
}

/// Ids are in range, and text comes back whole from a stream of them.
fn check_text(tokenizer: &Tokenizer, text: &str) {
    for special in [false, true] {
        let ids = tokenizer.encode(text, special, special);
        assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()), "{ids:?}");
        let mut stream = tokenizer.stream();
        let mut streamed: String = ids.iter().map(|&id| stream.push(tokenizer, id)).collect();
        streamed += &stream.finish();
        let decoded = String::from_utf8_lossy(&tokenizer.decode(&ids, false)).into_owned();
        assert!(
            streamed == decoded || streamed.strip_prefix(' ') == Some(&decoded),
            "{streamed:?} {decoded:?}"
        );
    }
}

/// SentencePiece, byte-level BPE, WordPiece, Unigram.
fn vocabularies() -> &'static [(Metadata, Tokenizer)] {
    static ALL: OnceLock<Vec<(Metadata, Tokenizer)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let file = |name: &str| {
            let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../data/models").join(name);
            let bytes = std::fs::read(path).expect("the model is there");
            Gguf::parse(&bytes, name).expect("it is GGUF").metadata
        };
        let words = [
            "[UNK]",
            "[CLS]",
            "[SEP]",
            "[PAD]",
            "[MASK]",
            "\u{2581}once",
            "\u{2581}a",
            "b",
            "c",
            "\u{2581}time",
        ];
        let pieces = ["<pad>", "</s>", "<unk>", "\u{2581}", "\u{2581}a", "on", "ce", "t", "i", "me"];
        let all = [
            file("tiny-llama-f32.gguf"),
            file("tiny-qwen2-f32.gguf"),
            small("bert", &words, &[]),
            small(
                "t5",
                &pieces,
                &[("tokenizer.ggml.unknown_token_id", 2), ("tokenizer.ggml.eos_token_id", 1)],
            ),
        ];
        let with = |m: Metadata| {
            let tokenizer = Tokenizer::from_gguf(&m).expect("it is a vocabulary");
            (m, tokenizer)
        };
        all.into_iter().map(with).collect()
    })
}

fn small(model: &str, tokens: &[&str], ids: &[(&str, u32)]) -> Metadata {
    let mut metadata = Metadata::default();
    let scores = (0..tokens.len()).map(|i| -(i as f32)).collect();
    metadata.insert("tokenizer.ggml.model", Value::String(model.into()));
    metadata.insert("tokenizer.ggml.tokens", Value::Array(Array::String(tokens.iter().collect())));
    metadata.insert("tokenizer.ggml.scores", Value::Array(Array::F32(scores)));
    metadata.insert("tokenizer.ggml.token_type", Value::Array(Array::I32(vec![1; tokens.len()])));
    for &(key, id) in ids {
        metadata.insert(key, Value::U32(id));
    }
    metadata
}

/// Metadata with changes: per change one byte for the key, one for the place, one for what to put there.
fn changed(metadata: &Metadata, data: &[u8]) -> Metadata {
    let mut pairs: Vec<(String, Value)> = metadata.iter().map(|(k, v)| (k.into(), v.clone())).collect();
    for change in data.chunks_exact(3).take(16) {
        let n = pairs.len();
        let value = &mut pairs[usize::from(change[0]) % n].1;
        change_value(value, usize::from(change[1]), change[2]);
    }
    let mut out = Metadata::default();
    for (key, value) in pairs {
        out.insert(&key, value);
    }
    out
}

fn change_value(value: &mut Value, place: usize, byte: u8) {
    match value {
        Value::U32(n) => *n = [0, 1, 2, 3, 255, u32::MAX, u32::from(byte), 1 << 20][place % 8],
        Value::Bool(b) => *b = !*b,
        Value::String(s) => s.insert(0, char::from(byte)),
        Value::Array(Array::String(strings)) => {
            let mut list: Vec<String> = strings.iter().map(String::from).collect();
            let at = (place * 7) % list.len().max(1);
            match (list.get_mut(at), byte % 6) {
                (None, _) => list.push("x".into()),
                (_, 0) => drop(list.pop()),
                (_, 1) => list.push("a b".into()),
                (Some(s), 2) => s.clear(),
                (Some(s), 3) => *s = "<0xZZ>".into(),
                (Some(s), 4) => *s = "same".into(),
                (Some(s), _) => s.push(char::from(byte)),
            }
            *strings = list.iter().collect();
        }
        Value::Array(Array::F32(list)) => match list.len() {
            0 => list.push(f32::NAN),
            n => list[place % n] = [f32::NAN, f32::INFINITY, f32::MIN, 0.0][usize::from(byte) % 4],
        },
        Value::Array(Array::I32(list)) => match (list.len(), byte % 8) {
            (0, _) => list.push(1),
            (_, 0) => drop(list.pop()),
            (n, _) => list[(place * 5) % n] = i32::from(byte) - 4,
        },
        other => *other = Value::U8(byte),
    }
}
