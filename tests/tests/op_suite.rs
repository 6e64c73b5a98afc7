//! The CPU device inside wasm: the same executor that hosts run natively, compiled for wasm32-wasip2.

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::p2::bindings::sync::Command;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Runs the program with one argument. Returns whether it succeeded, and its output.
fn op_suite(scripts: &str) -> (bool, String) {
    let mut config = Config::new();
    config.wasm_component_model(true).concurrency_support(false);
    let engine = Engine::new(&config).expect("wasmtime starts");
    let component = Component::new(&engine, chord_guests::OP_SUITE).expect("it is a component");
    let mut linker = Linker::<State>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).expect("WASI links");
    let output = MemoryOutputPipe::new(64 << 10);
    let mut wasi = WasiCtx::builder();
    wasi.args(&["op-suite", scripts]).stdout(output.clone()).stderr(output.clone());
    let mut store = Store::new(&engine, State { wasi: wasi.build(), table: ResourceTable::new() });
    let command = Command::instantiate(&mut store, &component, &linker).expect("it starts");
    let result = command.wasi_cli_run().call_run(&mut store);
    let text = String::from_utf8_lossy(&output.contents()).into_owned();
    (matches!(result, Ok(Ok(()))), text)
}

#[test]
fn random_plans_match_the_reference_inside_wasm() {
    let (ok, text) = op_suite("60");
    assert!(ok, "{text}");
    assert!(text.starts_with("60 scripts, ") && text.contains("(wasm, 1 thread, portable)"), "{text}");
    let steps: u32 =
        text.split(", ").nth(1).and_then(|t| t.split(' ').next()).and_then(|n| n.parse().ok()).unwrap();
    assert!(steps > 250, "{text}");
}

#[test]
fn the_program_says_when_it_cannot_run() {
    let (ok, text) = op_suite("many");
    assert!(!ok);
    assert!(text.contains("number of scripts"), "{text}");
}
