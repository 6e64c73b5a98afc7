//! Logits of small models against float64 arithmetic and against llama.cpp (`tests/golden`), without the sandbox.

use crate::memory::{Memory, bytes};
use chord_engine::LoadOptions;
use chord_gguf::{Gguf, Value, Writer};
use serde_json::Value as Json;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

/// Records of models with random weights, by name.
fn records() -> Vec<(String, Json)> {
    let names = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let tiny = names.filter(|n| n.starts_with("tiny-") && n.ends_with(".json"));
    let read = |name: String| {
        let text = std::fs::read_to_string(folder().join(&name)).unwrap();
        (name, serde_json::from_str(&text).unwrap())
    };
    tiny.map(read).collect()
}

/// The model's file, with the record's metadata in place of its own: whole numbers are u32, others f32.
fn file(record: &Json) -> Vec<u8> {
    let bytes = bytes(record["model"].as_str().unwrap().rsplit('/').next().unwrap());
    let Some(metadata) = record["metadata"].as_object() else { return bytes };
    let gguf = Gguf::parse(&bytes, "model").unwrap();
    let own = gguf.metadata.iter().filter(|(key, _)| !metadata.contains_key(*key));
    let writer = own.fold(Writer::new(), |w, (key, value)| w.metadata(key, value.clone()));
    let writer = metadata.iter().fold(writer, |w, (key, value)| match (value.as_str(), value.as_u64()) {
        (Some(text), _) => w.metadata(key, Value::String(text.into())),
        (_, Some(n)) => w.metadata(key, Value::U32(n as u32)),
        _ => w.metadata(key, Value::F32(value.as_f64().unwrap() as f32)),
    });
    let data = |t: &chord_gguf::TensorInfo| &bytes[t.offset as usize..(t.offset + t.bytes) as usize];
    gguf.tensors.iter().fold(writer, |w, t| w.tensor(&t.name, t.dtype, &t.dims, data(t))).finish()
}

fn ids(json: &Json) -> Vec<u32> {
    json.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as u32).collect()
}

fn floats(file: &Json) -> Vec<f32> {
    let bytes = std::fs::read(folder().join(file.as_str().unwrap())).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

/// `Σ (a - b)² / Σ b²`.
fn nmse(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |x: f64| x * x;
    let error: f64 = a.iter().zip(b).map(|(&a, &b)| square(f64::from(a) - f64::from(b))).sum();
    error / b.iter().map(|&b| square(f64::from(b))).sum::<f64>()
}

/// Worst over the prompts of a record, computed on `bytes`: against exact arithmetic, against llama.cpp.
fn worst(record: &Json, bytes: Vec<u8>) -> (f64, f64) {
    let model = Memory::of("model.gguf", bytes).load(&LoadOptions::default()).unwrap();
    let mut worst = (0f64, 0f64);
    for prompt in record["prompts"].as_array().unwrap() {
        let positions = ids(&prompt["positions"]);
        let mut tokens = [ids(&prompt["ids"]), ids(&prompt["greedy"])].concat();
        tokens.truncate(*positions.last().unwrap() as usize + 1);
        let logits = model.open().unwrap().evaluate(&tokens, &positions).unwrap();
        worst.0 = worst.0.max(nmse(&logits, &floats(&prompt["exact_file"])));
        worst.1 = worst.1.max(nmse(&logits, &floats(&prompt["logits_file"])));
    }
    worst
}

#[test]
fn logits_of_every_family() {
    let (mut plain, mut scaled) = (0, 0);
    for (name, record) in records() {
        let (exact, llama) = worst(&record, file(&record));
        assert!(exact < 5e-6 && llama < 5e-6, "{name}: {exact:e} from exact, {llama:e} from llama.cpp");
        // What the record says of the model is what it is about.
        if record["metadata"].is_object() {
            let unchanged = Json::Object(
                record.as_object().unwrap().clone().into_iter().filter(|p| p.0 != "metadata").collect(),
            );
            let (exact, llama) = worst(&record, file(&unchanged));
            assert!(exact > 5e-5 && llama > 5e-5, "{name} without its metadata: {exact:e}, {llama:e}");
            scaled += 1;
        } else {
            plain += 1;
        }
    }
    assert!(plain >= 9 && scaled >= 3, "{plain} models as they are, {scaled} with other metadata");
}
