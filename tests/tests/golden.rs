//! `engine.wasm` against llama.cpp and against float64 arithmetic, on the same files.

use chord_runtime::LoadOptions;
use chord_tests::golden::Golden;
use chord_tests::{generated, instance, nmse};
use std::path::Path;

/// Model, most NMSE against exact arithmetic, most NMSE against llama.cpp. llama.cpp's own distance from exact
/// arithmetic on these files is 5.7e-9 (demo F32, f16 cache), 1.2e-5 (Q8_0), 5.6e-5 (Q4_K), 6.5e-7 (tiny models).
const LIMITS: &[(&str, f64, f64)] = &[
    ("demo-stories-3.7M-f32", 1e-7, 1e-7),
    ("demo-stories-3.7M-q8_0", 5e-5, 1e-4),
    ("demo-stories-3.7M-Q4_K", 2e-4, 4e-4),
    ("tiny-llama-f32", 5e-6, 5e-6),
    ("tiny-llama3-f32", 5e-6, 5e-6),
    ("tiny-qwen3-f32", 5e-6, 5e-6),
    ("tiny-qwen2-f32", 5e-6, 5e-6),
    ("tiny-gemma2-f32", 5e-6, 5e-6),
    ("tiny-gemma3-f32", 5e-6, 5e-6),
    ("tiny-phi3-f32", 5e-6, 5e-6),
    ("tiny-mixtral-f32", 5e-6, 5e-6),
    ("tiny-qwen3moe-f32", 5e-6, 5e-6),
    // The models without the suffix, with scaled rotations.
    ("tiny-llama-yarn-f32", 5e-6, 5e-6),
    ("tiny-qwen2-yarn-f32", 5e-6, 5e-6),
    ("tiny-llama3-linear-f32", 5e-6, 5e-6),
];

/// Worst NMSE over the prompts of `golden`, computed on the file `model`: against exact, against llama.cpp.
fn worst(golden: &Golden, model: &Path) -> (f64, f64) {
    let mut engine = instance(model);
    let loaded = engine.load(&LoadOptions::default()).expect("the model loads");
    let mut worst = (0.0f64, 0.0f64);
    for prompt in &golden.prompts {
        let session = engine.open(&loaded).expect("a session opens");
        let logits = engine.evaluate(&session, &prompt.tokens(), &prompt.positions).expect("it computes");
        assert_eq!(logits.len(), prompt.positions.len() * golden.vocab);
        worst.0 = worst.0.max(nmse(&logits, &prompt.exact()));
        worst.1 = worst.1.max(nmse(&logits, &prompt.llama_cpp()));
        engine.close_session(session).expect("a session closes");
    }
    worst
}

#[test]
fn logits_agree_with_exact_arithmetic_and_with_llama_cpp() {
    for &(name, exact_limit, llama_limit) in LIMITS {
        let (golden, folder) = (Golden::read(name), tempfile::tempdir().expect("a folder"));
        let (exact, llama) = worst(&golden, &golden.file(folder.path()));
        eprintln!("{name}: NMSE {exact:.2e} against exact, {llama:.2e} against llama.cpp");
        assert!(
            exact <= exact_limit,
            "{name}: NMSE {exact:e} against exact arithmetic, limit {exact_limit:e}"
        );
        assert!(llama <= llama_limit, "{name}: NMSE {llama:e} against llama.cpp, limit {llama_limit:e}");
    }
}

#[test]
fn greedy_tokens_equal_llama_cpp_on_f32() {
    for name in LIMITS.iter().map(|l| l.0).filter(|name| name.ends_with("-f32")) {
        let (golden, folder) = (Golden::read(name), tempfile::tempdir().expect("a folder"));
        let mut engine = instance(&golden.file(folder.path()));
        let model = engine.load(&LoadOptions::default()).expect("the model loads");
        for prompt in &golden.prompts {
            let ids = engine.tokenize(&model, &prompt.text, true, false).expect("text tokenizes");
            assert_eq!(ids, prompt.ids, "{name}, {}: prompt ids", prompt.name);
            let session = engine.open(&model).expect("a session opens");
            let tokens = generated(&mut engine, &session, &ids, prompt.greedy.len() as u32);
            assert_eq!(tokens, prompt.greedy, "{name}, {}", prompt.name);
            engine.close_session(session).expect("a session closes");
        }
    }
}

/// The check above can fail: one matrix of zeros is far beyond every limit.
#[test]
fn zeroed_weights_are_noticed() {
    for &(name, exact_limit, llama_limit) in LIMITS {
        let (golden, folder) = (Golden::read(name), tempfile::tempdir().expect("a folder"));
        let mut bytes = std::fs::read(golden.file(folder.path())).expect("the model reads");
        let gguf = chord_gguf::Gguf::parse(&bytes, name).expect("the model parses");
        let names = ["blk.1.ffn_down.weight", "blk.1.ffn_down_exps.weight"];
        let tensor = names.iter().find_map(|name| gguf.tensor(name)).expect("it has layers");
        let range = tensor.offset as usize..(tensor.offset + tensor.bytes) as usize;
        bytes[range].fill(0);
        let path = folder.path().join("zeroed.gguf");
        std::fs::write(&path, bytes).expect("it writes");
        let (exact, llama) = worst(&golden, &path);
        assert!(exact > 10.0 * exact_limit, "{name}: NMSE {exact:e} with a zeroed matrix");
        assert!(llama > 10.0 * llama_limit, "{name}: NMSE {llama:e} with a zeroed matrix");
    }
}

/// The golden data of scaled rotations is about the scaling: without it, logits are far beyond every limit.
#[test]
fn scaled_rotations_are_noticed() {
    for &(name, exact_limit, llama_limit) in LIMITS {
        let golden = Golden::read(name);
        if golden.is_derived() {
            let (exact, llama) = worst(&golden, &golden.committed());
            assert!(exact > 10.0 * exact_limit, "{name}: NMSE {exact:e} without scaling");
            assert!(llama > 10.0 * llama_limit, "{name}: NMSE {llama:e} without scaling");
        }
    }
}
