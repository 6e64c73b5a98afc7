//! What happens to a running engine when the world around it changes: files cut short, calls stopped, bounds reached.

use chord_gguf::Value;
use chord_runtime::{EngineError, Error, Instance, Limits, LoadOptions, Runtime, Session, Weights};
use chord_tests::{Draft, DraftTensor, generated, instance, model};
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

/// An engine with its model loaded and a session open.
fn loaded() -> (Instance, Session) {
    let mut engine = instance(&model("demo-stories-3.7M-f32"));
    let loaded = engine.load(&LoadOptions::default()).expect("the model loads");
    let session = engine.open(&loaded).expect("a session opens");
    (engine, session)
}

/// Either the kernels stop and the engine goes on, or the epoch stops the engine itself, which is then poisoned. The
/// second is rare: a tick must fall into the engine's few instructions around the step.
#[test]
fn a_cancelled_engine_can_go_on() {
    let tokens: Vec<u32> = (0..400).map(|i| 300 + i % 1000).collect();
    let (mut undisturbed, session) = loaded();
    let expected = generated(&mut undisturbed, &session, &tokens, 4);
    assert_eq!(expected.len(), 4);
    for _ in 0..20 {
        let (mut engine, session) = loaded();
        let canceller = engine.canceller();
        canceller.cancel();
        let result = engine.append(&session, &tokens);
        assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
        canceller.reset();
        match engine.length(&session) {
            Ok(length) => {
                assert_eq!(length, 0, "a cancelled step leaves no trace");
                assert_eq!(generated(&mut engine, &session, &tokens, 4), expected);
                return;
            }
            Err(Error::Poisoned) => {}
            Err(e) => panic!("{e}"),
        }
    }
    panic!("none of 20 cancelled engines went on");
}

/// The model's file cut in two: names of the parts, and their bytes.
fn halves() -> [(&'static str, Vec<u8>); 2] {
    let whole = Draft::read(&model("tiny-llama-f32"));
    let split = |number: u16, tensors: &[DraftTensor]| {
        let mut part = whole.clone();
        part.tensors = tensors.to_vec();
        part.set("split.no", Value::U16(number));
        part.set("split.count", Value::U16(2));
        part.set("split.tensors.count", Value::I32(whole.tensors.len() as i32));
        part.bytes()
    };
    let (first, second) = whole.tensors.split_at(whole.tensors.len() / 2);
    [("m-00001-of-00002.gguf", split(0, first)), ("m-00002-of-00002.gguf", split(1, second))]
}

/// Why the model in `path` is refused.
fn refused(path: &Path) -> String {
    let result = open(path, Limits::default()).load(&LoadOptions::default());
    result.map(|_| ()).expect_err("it must be refused").to_string()
}

#[test]
fn split_models_are_found_beside_the_first_part_only() {
    let ids = [5, 9, 7, 300, 301];
    let answer = |path: &Path| {
        let mut engine = open(path, Limits::default());
        let loaded = engine.load(&LoadOptions::default()).expect("the model loads");
        let session = engine.open(&loaded).expect("a session opens");
        generated(&mut engine, &session, &ids, 4)
    };
    let folder = tempfile::tempdir().expect("a folder");
    let elsewhere = tempfile::tempdir_in(folder.path()).expect("a folder in it");
    let [(first, a), (second, b)] = halves();
    let place = |folder: &tempfile::TempDir, name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("it writes");
        path
    };
    // Alone, with the other part in a folder below, and with it in the folder above.
    let path = place(&folder, first, &a);
    assert!(refused(&path).contains(second), "{}", refused(&path));
    place(&elsewhere, second, &b);
    assert!(refused(&path).contains(second), "{}", refused(&path));
    let below = place(&elsewhere, first, &a);
    std::fs::rename(elsewhere.path().join(second), folder.path().join(second)).expect("it moves");
    assert!(refused(&below).contains(second), "{}", refused(&below));
    // Beside it: the whole model. Only the first part leads to the other.
    assert_eq!(answer(&path), answer(&model("tiny-llama-f32")));
    assert!(refused(&folder.path().join(second)).contains("the first file"));
    // Another part under the second's name.
    place(&folder, second, &a);
    assert!(refused(&path).contains("split.no"), "{}", refused(&path));
}
