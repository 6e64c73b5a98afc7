//! What happens to a running engine when the world around it changes: files cut short, calls stopped, bounds reached.

use chord_runtime::{EngineError, Error, Instance, Limits, LoadOptions, Prompt, Runtime, Weights};
use chord_tests::{greedy, model, runtime};
use std::path::Path;

/// An engine over a copy of the F32 model (15 MB), so that the copy can be changed.
fn on_a_copy() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.gguf");
    std::fs::copy(model("demo-stories-3.7M-f32"), &path).expect("it copies");
    (folder, path)
}

fn open(path: &Path, limits: Limits) -> Instance {
    let runtime = Runtime::builder().threads(2).limits(limits).build().expect("the runtime starts");
    let engine = runtime.component(chord_guests::ENGINE).expect("engine.wasm is a component");
    engine.instantiate(Weights::open(path).expect("the file opens")).expect("it can be instantiated")
}

#[test]
fn a_model_cut_short_while_in_use_is_an_error() {
    let (_folder, path) = on_a_copy();
    let mut engine = open(&path, Limits::default());
    let loaded = engine.load(&LoadOptions::default()).expect("the model loads");
    let session = engine.open(&loaded).expect("a session opens");
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("it opens");
    file.set_len(1 << 20).expect("it is cut");
    let result = engine.append(&session, &[1, 2, 3]);
    match result {
        Err(Error::Engine(EngineError::Device(text))) => assert!(text.contains("truncated"), "{text}"),
        other => panic!("expected a device error, found {other:?}"),
    }
    // The engine is not poisoned: what needs no weights goes on.
    assert!(engine.tokenize(&loaded, "still here", false, false).is_ok());
}

#[test]
fn tensors_beyond_the_bound_are_refused() {
    let limits = Limits { tensor_bytes: 1 << 20, ..Limits::default() };
    let result = open(&model("demo-stories-3.7M-f32"), limits).load(&LoadOptions::default());
    match result {
        Err(Error::Engine(EngineError::Limit(text))) => assert!(text.contains("1048576"), "{text}"),
        other => panic!("expected a limit, found {other:?}"),
    }
}

#[test]
fn a_cancelled_engine_can_go_on() {
    let path = model("demo-stories-3.7M-f32");
    let engine = runtime().component(chord_guests::ENGINE).expect("engine.wasm is a component");
    let mut engine =
        engine.instantiate(Weights::open(&path).expect("it opens")).expect("it can be instantiated");
    let loaded = engine.load(&LoadOptions::default()).expect("the model loads");
    let session = engine.open(&loaded).expect("a session opens");
    let tokens: Vec<u32> = (0..400).map(|i| 300 + i % 1000).collect();
    let canceller = engine.canceller();
    canceller.cancel();
    let result = engine.append(&session, &tokens);
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    canceller.reset();
    // Either the kernels stopped and the engine said so, or the epoch stopped the engine itself.
    match engine.length(&session) {
        Ok(length) => {
            assert_eq!(length, 0, "a cancelled step leaves no trace");
            let generation =
                engine.generate(&session, &Prompt::Tokens(tokens), &greedy(4)).expect("it starts");
            assert!(!engine.next(&generation).expect("a step runs").is_empty());
        }
        Err(Error::Poisoned) => {}
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn split_models_are_found_beside_the_first_part_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let part = folder.path().join("m-00001-of-00002.gguf");
    std::fs::copy(model("tiny-llama-f32"), &part).expect("it copies");
    // Not a split file inside, whatever its name: it loads alone.
    let mut engine = open(&part, Limits::default());
    assert!(engine.load(&LoadOptions::default()).is_ok());
}
