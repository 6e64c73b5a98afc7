//! Files that llama.cpp's saver wrote: see `tests/data/saved/README.md`.

use crate::draft::Draft;
use chord_engine::{Error, LoadOptions, Prompt};
use chord_gguf::{Array, Value};
use std::io::Read;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/saved")
}

fn unpacked(name: &str) -> Draft {
    let path = folder().join(format!("{name}.gguf.gz"));
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).expect("it is gzip");
    Draft::read(&bytes)
}

/// The saver writes some 150 keys, most of which say "not used": nothing changes by them.
#[test]
fn models_that_were_saved_again_compute_the_same() {
    let names = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names.filter(|n| n.starts_with("tiny-")).collect();
    assert!(names.len() >= 9, "{names:?}");
    for family in names.iter().map(|n| n.strip_suffix(".gguf.gz").expect("a model's name")) {
        let original = Draft::model(&format!("{family}.gguf"));
        let pairs = unpacked(family).pairs;
        assert!(pairs.len() > original.pairs.len() + 80, "{family}: {} pairs", pairs.len());
        let saved = Draft { pairs, tensors: original.tensors.clone() };
        assert!(saved.logits() == original.logits(), "{family}");
        let text = |draft: &Draft| {
            let model = draft.host().load(&LoadOptions::default()).unwrap();
            model.tokenize("Once upon a time,  there was\n a <s> bird.", true, true).unwrap()
        };
        assert_eq!(text(&saved), text(&original), "{family}");
    }
}

/// `test-llama-archs -o`: each supported family, with weights that a formula gives here and gave llama.cpp.
#[test]
fn models_of_its_tests_give_its_logits() {
    let names = ["llama-dense", "llama-moe", "qwen2-dense", "qwen3-dense", "qwen3moe-moe"];
    for name in names.iter().chain(&["gemma2-dense", "gemma3-dense", "phi3-dense"]) {
        let found = nmse(&filled(name).logits(), &golden(name));
        assert!(found < 1e-6, "{name}: NMSE {found:e} against llama.cpp");
    }
}

/// The keys are read: other values than the saver's move the logits.
#[test]
fn other_numbers_give_other_logits() {
    let empty = Value::Array(Array::I32(vec![]));
    for (family, key, value) in [
        ("llama", "rope.scaling.factor", Value::F32(2.0)),
        ("llama", "rope.scaling.attn_factor", Value::F32(1.5)),
        ("mixtral", "expert_used_count", Value::U32(1)),
        ("gemma2", "attention.sliding_window", Value::U32(0)),
        ("gemma2", "attention.sliding_window_pattern", empty.clone()),
        ("gemma2", "rope.freq_base_swa", Value::F32(500.0)),
        ("gemma2", "attn_logit_softcapping", Value::F32(0.0)),
        ("gemma2", "final_logit_softcapping", Value::F32(0.0)),
        ("gemma3", "attention.sliding_window", Value::U32(0)),
        ("gemma3", "rope.freq_base_swa", Value::F32(500.0)),
        ("phi3", "rope.scaling.original_context_length", Value::U32(4096)),
    ] {
        let original = Draft::model(&format!("tiny-{family}-f32.gguf"));
        let pairs = unpacked(&format!("tiny-{family}-f32")).pairs;
        let saved = Draft { pairs, tensors: original.tensors.clone() };
        let prefix = if family == "mixtral" { "llama" } else { family };
        let key = format!("{prefix}.{key}");
        assert_ne!(saved.get(&key), value);
        let (a, b) = (saved.with(&key, value).logits(), original.logits());
        let largest = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(largest > 1e-3, "{key}: moves logits by {largest:e}");
    }
}

/// Its tokenizer is none: ids are read and written, text is refused.
#[test]
fn without_a_tokenizer_there_are_ids_only() {
    for kind in ["test", "none", "no_vocab"] {
        let draft = filled("llama-dense").with("tokenizer.ggml.model", Value::String(kind.into()));
        let host = draft.without("tokenizer.ggml.tokens").host();
        let model = host.load(&LoadOptions::default()).expect("it loads");
        assert_eq!(model.info().vocabulary, 128);
        let session = model.open().unwrap();
        let options = crate::memory::greedy(5);
        let mut generation = session.generate(&Prompt::Tokens(vec![3, 10, 17]), &options).unwrap();
        let (ids, text, _) = crate::memory::rest(&mut generation);
        assert_eq!((ids.len(), text.as_str()), (5, ""));
        drop(generation);
        let refused = |e: Error| {
            let Error::Unsupported(message) = e else { panic!("{e}") };
            assert!(message.contains("no tokenizer") && message.contains("token ids"), "{message}");
        };
        refused(session.generate(&Prompt::Text("a".into()), &options).err().expect("text is refused"));
        refused(model.tokenize("a", true, true).unwrap_err());
        refused(model.detokenize(&[1], true).unwrap_err());
        refused(model.chat_prompt(&[], &Default::default()).unwrap_err());
        let vocab_only = LoadOptions { vocab_only: true, ..Default::default() };
        refused(host.load(&vocab_only).err().expect("there is no vocabulary"));
        let report = chord_engine::inspect(&host, "model.gguf").unwrap();
        assert_eq!(report.runnable, Ok(()));
        assert!(report.tokenizable.unwrap_err().contains("no tokenizer"));
    }
}

/// The file `name` with the weights of the README's formula.
fn filled(name: &str) -> Draft {
    let mut draft = unpacked(name);
    for tensor in &mut draft.tensors {
        let hash = |h: u32, b: u8| (h ^ u32::from(b)).wrapping_mul(16_777_619);
        let mut state = tensor.name.bytes().fold(2_166_136_261, hash);
        let ones = tensor.name.ends_with("norm.weight") || tensor.name.contains("rope_");
        for bytes in tensor.bytes.chunks_exact_mut(4) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = ((state >> 24) as f32 - 128.0) / 1024.0 + if ones { 1.0 } else { 0.0 };
            bytes.copy_from_slice(&value.to_le_bytes());
        }
    }
    draft
}

/// Rows 0, 1 and 39 of llama.cpp's logits.
fn golden(name: &str) -> Vec<f32> {
    let path = folder().join(format!("{name}.logits.bin"));
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// Of the rows that `golden` has.
fn nmse(logits: &[f32], golden: &[f32]) -> f64 {
    let cols = golden.len() / 3;
    let rows = [0, 1, 39].map(|row| &logits[row * cols..][..cols]).concat();
    let square = |x: f32| f64::from(x) * f64::from(x);
    let error: f64 = rows.iter().zip(golden).map(|(a, b)| square(a - b)).sum();
    error / golden.iter().map(|&b| square(b)).sum::<f64>()
}
