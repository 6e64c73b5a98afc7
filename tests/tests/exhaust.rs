//! An engine that tries to exhaust the host, its memory or its time: what it asks for is charged before it is taken, and
//! whatever it waits for or has computed ends with its call.

use chord_runtime::{Canceller, EngineError, Error, Instance, Limits, LoadOptions, Runtime, Weights};
use chord_tests::{generated, model};
use std::path::Path;
use std::time::{Duration, Instant};

/// Room for what the engines do before they are refused.
fn limits() -> Limits {
    Limits {
        guest_memory: 512 << 20,
        device_bytes: 1 << 30,
        kv_bytes: 4 << 20,
        call_time: Duration::from_secs(120),
        ..Limits::default()
    }
}

/// A file whose name says how the engine shall misbehave, of `bytes` zeros that take no room on the disk.
fn file(folder: &Path, how: &str, bytes: u64) -> std::fs::File {
    let file = std::fs::File::create(folder.join(format!("{how}.gguf"))).expect("it can be created");
    file.set_len(bytes).expect("it can be sparse");
    file
}

fn try_start(folder: &Path, how: &str, limits: Limits) -> Result<Instance, Error> {
    let runtime = Runtime::builder().threads(2).limits(limits).build().expect("the runtime starts");
    let component = runtime.component(chord_guests::HOSTILE).expect("it is an engine component");
    let path = folder.join(format!("{how}.gguf"));
    component.instantiate(Weights::open(&path).expect("the file opens"))
}

/// What the engine says of its attempt, and the instance.
fn attempt(how: &str, limits: Limits) -> (String, Instance) {
    let folder = tempfile::tempdir().expect("a folder");
    file(folder.path(), how, 64);
    let mut engine = try_start(folder.path(), how, limits).expect("it can be instantiated");
    match engine.inspect() {
        Err(Error::Engine(EngineError::Other(text))) => (text, engine),
        other => panic!("{how}: expected the engine's account, found {other:?}"),
    }
}

/// How often the engine did something before it was refused for a limit.
fn refused_after(text: &str) -> usize {
    let (n, why) = text.strip_prefix("refused after ").and_then(|t| t.split_once(": ")).expect(text);
    assert!(why.starts_with("Error::Limit("), "{text}");
    n.parse().expect(text)
}

/// The call that ends with an error of the host's.
fn ended(how: &str, limits: Limits) -> Error {
    let folder = tempfile::tempdir().expect("a folder");
    file(folder.path(), how, 64);
    let result = try_start(folder.path(), how, limits).and_then(|mut engine| engine.inspect());
    result.map(drop).expect_err("the engine is stopped")
}

fn soon() -> Limits {
    Limits { call_time: Duration::from_secs(2), ..limits() }
}

/// Most bytes that this process has had in memory.
#[cfg(target_os = "linux")]
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it has a peak");
    line.trim().strip_suffix(" kB").and_then(|n| n.parse::<usize>().ok()).expect("it is a number") << 10
}

#[test]
fn a_vector_is_decoded_once_for_all_ops_that_read_it() {
    let (text, engine) = attempt("norms", limits());
    assert_eq!(text, "accepted");
    // Everything was freed with the plan's handle, and the engine is still there.
    assert_eq!(engine.stats().device_bytes, 0);
    #[cfg(target_os = "linux")]
    assert!(peak() < 1 << 30, "{} bytes", peak());
}

#[test]
fn long_names_are_refused() {
    let (text, _) = attempt("long-name", limits());
    assert_eq!(
        text.matches("has a name of 100000000 bytes, at most 64 are allowed").count(),
        2,
        "{text:.400}"
    );
}

#[test]
fn the_memory_of_all_plans_counts_together() {
    let (text, _) = attempt("arenas", limits());
    // A plan takes 128 MiB of values for `embed`, as much for `gather`, and less for the rest.
    assert_eq!(refused_after(&text), 3, "{text}");
}

#[test]
fn a_token_has_at_most_as_many_experts_as_a_route_can_name() {
    let (text, _) = attempt("experts", limits());
    assert!(text.contains("used is 32768, expected from 1 to 64 experts per token"), "{text}");
}

#[test]
fn uploads_count_for_as_long_as_a_plan_holds_them() {
    let (text, _) = attempt("kept-uploads", Limits { device_bytes: 64 << 20, ..limits() });
    let n = refused_after(&text);
    // 4 MiB uploaded, and 8 MiB of values for each.
    assert!((3..=5).contains(&n), "{text}");
    let (text, engine) = attempt("dropped-uploads", Limits { device_bytes: 64 << 20, ..limits() });
    assert_eq!(text, "0 of 200 refused");
    assert_eq!(engine.stats().device_bytes, 0);
}

#[test]
fn sequences_and_their_pages_count() {
    let (text, _) = attempt("forks", Limits { device_bytes: 64 << 20, ..limits() });
    let n = refused_after(&text);
    // A fork of 2^20 tokens has a list of 128 KiB.
    assert!((300..512).contains(&n), "{text}");
    assert!(text.ends_with(", then accepted"), "{text}");
}

#[test]
fn caches_count_their_pages_not_their_tokens() {
    let (text, engine) = attempt("wide-keys", limits());
    // A page of 64 keys of 8000 and values of 1 takes 1 MB of the 4 MiB.
    assert_eq!(refused_after(&text), 4, "{text}");
    assert_eq!(engine.stats().kv_bytes, 0, "dropped with their handles");
}

#[test]
fn rows_of_values_are_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    file(folder.path(), "wide-rows", 5 << 30);
    let mut engine = try_start(folder.path(), "wide-rows", limits()).expect("it can be instantiated");
    let answer = engine.inspect().expect_err("the hostile engine loads nothing").to_string();
    assert!(answer.contains("makes rows of 1073741824 elements, at most 16777216 are allowed"), "{answer}");
}

#[test]
fn results_count_before_a_step_runs() {
    // 40 rows of 4 MiB twice in the plan, and then as results.
    let (text, _) = attempt("wanted-rows", Limits { device_bytes: 500 << 20, ..limits() });
    assert!(text.contains("the results of a step") && text.ends_with("then 0 tokens"), "{text}");
}

#[test]
fn sleeping_ends_at_the_deadline() {
    let error = ended("sleep", soon());
    assert!(matches!(error, Error::Deadline(_)), "{error:?}");
}

#[test]
fn sleeping_ends_by_the_canceller() {
    let folder = tempfile::tempdir().expect("a folder");
    file(folder.path(), "sleep", 64);
    let mut engine = try_start(folder.path(), "sleep", limits()).expect("it can be instantiated");
    engine.canceller().cancel();
    let error = engine.inspect().expect_err("it is stopped");
    assert!(matches!(error, Error::Cancelled), "{error:?}");
}

#[test]
fn instantiation_ends_at_the_deadline() {
    for how in ["sleep-at-start", "loop-at-start"] {
        let error = ended(how, soon());
        assert!(matches!(error, Error::Deadline(_)), "{how}: {error:?}");
    }
}

#[test]
fn attention_ends_at_the_deadline_within_a_piece() {
    let limits =
        Limits { device_bytes: 4 << 30, kv_bytes: 64 << 20, call_time: Duration::from_secs(5), ..limits() };
    let error = ended("attention", limits);
    assert!(matches!(error, Error::Deadline(_)), "{error:?}");
}

/// The engines share the threads of their runtime, and one of them is in a step that would take hours.
#[test]
fn a_long_step_holds_up_no_other_instance() {
    let limits = Limits { device_bytes: 4 << 30, kv_bytes: 64 << 20, ..limits() };
    let runtime = Runtime::builder().threads(2).limits(limits).build().expect("the runtime starts");
    let folder = tempfile::tempdir().expect("a folder");
    file(folder.path(), "attention", 64);
    let long = Weights::open(&folder.path().join("attention.gguf")).expect("the file opens");
    let hostile = runtime.component(chord_guests::HOSTILE).expect("it is an engine component");
    let mut long = hostile.instantiate(long).expect("it can be instantiated");
    let short = Weights::open(&model("tiny-llama-f32")).expect("the model file opens");
    let engine = runtime.component(chord_guests::ENGINE).expect("it is an engine component");
    let mut short = engine.instantiate(short).expect("it can be instantiated");
    let loaded = short.load(&LoadOptions::default()).expect("the model loads");
    let mut generate = || {
        let session = short.open(&loaded).expect("a session opens");
        let tokens = generated(&mut short, &session, &[1, 2, 3], 4);
        short.close_session(session).expect("it closes");
        assert_eq!(tokens.len(), 4);
    };
    // Also if the test fails before the end.
    struct Stop(Canceller);
    impl Drop for Stop {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }
    let canceller = long.canceller();
    std::thread::scope(|scope| {
        let stop = Stop(canceller);
        let long = scope.spawn(move || long.inspect());
        // Until the long step has surely begun, and then some more: each call would end at its deadline if it waited for it.
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(2) {
            generate();
        }
        (0..20).for_each(|_| generate());
        drop(stop);
        // The host ends the call, or the engine finds out and says so.
        match long.join().expect("it does not panic") {
            Err(Error::Cancelled) => {}
            Err(Error::Engine(EngineError::Other(text))) => assert!(text.contains("Cancelled"), "{text}"),
            other => panic!("expected a cancelled call, found {other:?}"),
        }
    });
}

#[test]
fn equal_rotations_are_computed_once() {
    assert_eq!(attempt("same-ropes", limits()).0, "accepted");
}

#[test]
fn rotations_count_and_compiling_ends_at_the_deadline() {
    let (text, _) = attempt("different-ropes", Limits { device_bytes: 128 << 20, ..limits() });
    assert!(text.starts_with("Error::Limit("), "{text}");
    let error = ended("different-ropes", Limits { device_bytes: 64 << 30, ..soon() });
    assert!(matches!(error, Error::Deadline(_)), "{error:?}");
}

#[test]
fn a_lost_file_is_not_read_page_by_page() {
    let folder = tempfile::tempdir().expect("a folder");
    // More pages than a process may have mappings (65 530 on Linux).
    let file = file(folder.path(), "lost-pages", 70_000 * 4096);
    let mut engine = try_start(folder.path(), "lost-pages", limits()).expect("it can be instantiated");
    file.set_len(0).expect("it can be cut");
    let answer = engine.inspect().expect_err("the hostile engine loads nothing").to_string();
    assert!(answer.starts_with("70000 of 70000 pages are lost, Error::WeightsLost("), "{answer}");
}

#[test]
fn compiling_has_an_end() {
    let limits = Limits { compile_time: Duration::ZERO, ..Limits::default() };
    let runtime = Runtime::builder().threads(1).limits(limits).build().expect("the runtime starts");
    let error = runtime.component(chord_guests::HOSTILE).map(drop).expect_err("it takes time").to_string();
    assert!(error.contains("compiling took longer than 0ns"), "{error}");
}

#[test]
fn large_components_are_not_compiled() {
    let limits = Limits { component_bytes: 1000, ..Limits::default() };
    let runtime = Runtime::builder().threads(1).limits(limits).build().expect("the runtime starts");
    let error = runtime.component(chord_guests::HOSTILE).map(drop).expect_err("it is too large").to_string();
    assert!(error.contains("at most 1000 are allowed"), "{error}");
}
