//! What an engine may not do: each limit of the host is hit by a component that tries to.

use chord_runtime::{EngineError, Error, Instance, Limits, Runtime, Weights};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Limits small enough to be hit quickly.
fn limits() -> Limits {
    Limits {
        guest_memory: 64 << 20,
        guest_table: 1 << 16,
        handles: 1000,
        kv_bytes: 1 << 20,
        call_time: Duration::from_secs(2),
        ..Limits::default()
    }
}

/// A hostile engine whose model's name says how it shall misbehave.
fn hostile(how: &str) -> (Instance, tempfile::TempDir) {
    hostile_of(chord_guests::HOSTILE, how)
}

fn hostile_of(component: &[u8], how: &str) -> (Instance, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path: PathBuf = folder.path().join(format!("{how}.gguf"));
    std::fs::write(&path, b"GGUF and sixty bytes more of anything at all, to be read or bound")
        .expect("it writes");
    let runtime = Runtime::builder().threads(1).limits(limits()).build().expect("the runtime starts");
    let component = runtime.component(component).expect("it is an engine component");
    let weights = Weights::open(&path).expect("the file opens");
    (component.instantiate(weights).expect("it can be instantiated"), folder)
}

/// The hostile engine's own account of what happened.
fn account(how: &str) -> String {
    let (mut engine, _folder) = hostile(how);
    account_of(&mut engine, how)
}

fn account_of(engine: &mut Instance, how: &str) -> String {
    match engine.inspect() {
        Err(Error::Engine(EngineError::Other(text))) => text,
        other => panic!("{how}: expected the engine's account, found {other:?}"),
    }
}

#[test]
fn an_endless_loop_is_stopped_at_the_deadline() {
    let (mut engine, _folder) = hostile("loop");
    let start = Instant::now();
    let result = engine.inspect();
    assert!(matches!(result, Err(Error::Deadline(_))), "{result:?}");
    assert!(start.elapsed() >= Duration::from_secs(2));
    let again = engine.inspect();
    assert!(matches!(again, Err(Error::Poisoned)), "a stopped instance says so: {again:?}");
}

#[test]
fn a_storm_of_host_calls_is_stopped_at_the_deadline() {
    let (mut engine, _folder) = hostile("storm");
    let result = engine.inspect();
    assert!(matches!(result, Err(Error::Deadline(_))), "{result:?}");
}

#[test]
fn an_endless_loop_is_stopped_by_the_canceller() {
    let (mut engine, _folder) = hostile("loop");
    let canceller = engine.canceller();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        canceller.cancel();
    });
    let result = engine.inspect();
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    thread.join().expect("the other thread ends");
}

#[test]
fn deep_recursion_traps() {
    let (mut engine, _folder) = hostile("recursion");
    let result = engine.inspect();
    assert!(matches!(result, Err(Error::Trap(_))), "{result:?}");
}

#[test]
fn a_panic_traps_and_a_fresh_instance_works() {
    let (mut engine, _folder) = hostile("panic");
    assert!(matches!(engine.inspect(), Err(Error::Trap(_))));
    assert_eq!(account("open-other"), "opened []");
}

#[test]
fn linear_memory_is_bounded() {
    let text = account("memory");
    let mib: u32 = text
        .strip_prefix("refused after ")
        .and_then(|t| t.strip_suffix(" MiB"))
        .expect(&text)
        .parse()
        .unwrap();
    assert!((16..=64).contains(&mib), "{text}");
}

#[test]
fn tables_are_bounded() {
    let (mut engine, _folder) = hostile_of(&growing_its_table(), "table");
    let text = account_of(&mut engine, "table");
    let elements = text.strip_prefix("refused after ").and_then(|t| t.strip_suffix(" elements"));
    let elements: usize = elements.expect(&text).parse().unwrap();
    assert!((1 << 12..=1 << 16).contains(&elements), "{text}");
    assert_eq!(account_of(&mut engine, "table"), "refused after 0 elements", "the instance goes on");
    assert_eq!(account("open-other"), "opened []");
}

/// The hostile engine with `table.grow` where it has instructions that stand for it, of as many bytes.
fn growing_its_table() -> Vec<u8> {
    // local.get 0, i32.const 0x12345678, i32.xor
    const BEFORE: [u8; 9] = [0x20, 0, 0x41, 0xf8, 0xac, 0xd1, 0x91, 0x01, 0x73];
    // ref.null func, local.get 0, table.grow 0, nop, nop
    const AFTER: [u8; 9] = [0xd0, 0x70, 0x20, 0, 0xfc, 0x0f, 0, 0x01, 0x01];
    let mut component = chord_guests::HOSTILE.to_vec();
    let found: Vec<usize> = (0..component.len()).filter(|&at| component[at..].starts_with(&BEFORE)).collect();
    assert_eq!(found.len(), 1, "places of the instructions, which `grow_table` in tests/hostile becomes");
    component[found[0]..][..9].copy_from_slice(&AFTER);
    component
}

#[test]
fn handles_are_bounded() {
    let (mut engine, _folder) = hostile("handles");
    let result = engine.inspect();
    assert!(matches!(result, Err(Error::Trap(_))), "{result:?}");
}

#[test]
fn no_other_file_can_be_opened() {
    assert_eq!(account("open-other"), "opened []");
}

#[test]
fn reads_beyond_the_file_are_refused() {
    assert_eq!(account("huge-read"), "refused true");
}

#[test]
fn an_absurd_plan_is_refused() {
    assert!(account("huge-plan").contains("Plan("), "{}", account("huge-plan"));
    assert!(account("many-ops").contains("Limit("), "{}", account("many-ops"));
}

#[test]
fn a_cache_beyond_the_limit_is_refused() {
    assert!(account("huge-cache").contains("Limit("), "{}", account("huge-cache"));
}

#[test]
fn a_tensor_beyond_its_bytes_is_refused() {
    let text = account("huge-tensor");
    assert_eq!(text.matches("Some(").count(), 2, "bind and upload are both refused: {text}");
}

#[test]
fn an_unknown_tensor_type_is_named() {
    assert!(account("unknown-dtype").contains("4000000000"), "{}", account("unknown-dtype"));
}

#[test]
fn what_is_no_engine_component_is_refused_with_its_reason() {
    let runtime = Runtime::builder().threads(1).build().expect("the runtime starts");
    let reason = |bytes: &[u8]| match runtime.component(bytes) {
        Err(Error::Component(why)) => why,
        Err(e) => panic!("expected a component error, found {e}"),
        Ok(_) => panic!("expected an error"),
    };
    assert!(reason(b"").contains("another kind of file"));
    assert!(reason(b"GGUF not wasm").contains("another kind of file"));
    assert!(reason(b"\0asm\x01\0\0\0").contains("core module"));
    // An empty component: valid, but without the export.
    let lacking = reason(b"\0asm\x0d\0\x01\0");
    assert!(lacking.contains("wasm-chord:inference/inference"), "{lacking}");
    assert!(!reason(&chord_guests::ENGINE[..10_000]).is_empty(), "truncated");
    // An export of another version, and one of ours without its functions.
    for version in ["0.2.0", "1.0.0", "0.1.0"] {
        let found = reason(&exporting(&format!("wasm-chord:inference/inference@{version}")));
        assert!(found.contains("wasm-chord:inference/inference"), "{version}: {found}");
    }
}

/// A component that exports an empty instance of this name.
fn exporting(name: &str) -> Vec<u8> {
    let mut out = b"\0asm\x0d\0\x01\0".to_vec();
    // Instance section: one instance of no exports.
    out.extend([5, 3, 1, 1, 0]);
    // Export section: the name, instance 0, no type.
    let export = [&[1, 0, name.len() as u8], name.as_bytes(), &[5, 0, 0]].concat();
    out.extend([11, export.len() as u8]);
    out.extend(export);
    out
}
