//! What the tests in `tests/` share: paths, instances over the built `engine.wasm`, golden files, error measures.

mod draft;
pub mod golden;

pub use draft::{Draft, DraftTensor};

use chord_runtime::{EngineComponent, Event, GenerateOptions, Instance, Prompt, Runtime, Session, Weights};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A committed model: `demo-stories-3.7M-f32`.
pub fn model(name: &str) -> PathBuf {
    let file = format!("{name}.gguf");
    let folders = ["tests/data/models", "examples/models"];
    let found = folders.iter().map(|f| root().join(f).join(&file)).find(|p| p.is_file());
    found.unwrap_or_else(|| panic!("no {file} in {folders:?}"))
}

/// A runtime with two threads, shared by the tests of one process.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::builder().threads(2).build().expect("the runtime starts"))
}

/// The built `engine.wasm`, compiled once per process.
pub fn engine() -> &'static EngineComponent {
    static ENGINE: OnceLock<EngineComponent> = OnceLock::new();
    ENGINE.get_or_init(|| runtime().component(chord_guests::ENGINE).expect("engine.wasm is a component"))
}

/// A fresh engine over a model file.
pub fn instance(model: &Path) -> Instance {
    let weights = Weights::open(model).expect("the model file opens");
    engine().instantiate(weights).expect("engine.wasm can be instantiated")
}

/// Greedy, not stopped by end-of-text.
pub fn greedy(max_tokens: u32) -> GenerateOptions {
    GenerateOptions {
        max_tokens: Some(max_tokens),
        temperature: Some(0.0),
        ignore_eos: Some(true),
        ..GenerateOptions::default()
    }
}

/// Ids of the tokens that greedy generation gives after `prompt` in a session, at most `max_tokens`. The generation is
/// closed.
pub fn generated(engine: &mut Instance, session: &Session, prompt: &[u32], max_tokens: u32) -> Vec<u32> {
    let prompt = Prompt::Tokens(prompt.to_vec());
    let generation = engine.generate(session, &prompt, &greedy(max_tokens)).expect("generation starts");
    let mut ids = Vec::new();
    loop {
        let events = engine.next(&generation).expect("a step runs");
        if events.is_empty() {
            break;
        }
        ids.extend(events.iter().filter_map(|e| match e {
            Event::Token(t) => Some(t.id),
            _ => None,
        }));
    }
    engine.close_generation(generation).expect("a generation closes");
    ids
}

/// Normalised mean squared error: `Σ (a - b)² / Σ b²`.
pub fn nmse(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |x: f64| x * x;
    let error: f64 = a.iter().zip(b).map(|(&a, &b)| square(f64::from(a) - f64::from(b))).sum();
    error / b.iter().map(|&b| square(f64::from(b))).sum::<f64>()
}
