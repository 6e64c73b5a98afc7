//! From the command line's options to a running engine.

use crate::args::EngineArgs;
use anyhow::{Context, Result};
use chord_runtime::{Builder, EngineComponent, Instance, Limits, Precompiled, Runtime};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The runtime that the options ask for.
pub(crate) fn builder(args: &EngineArgs) -> Builder {
    let limits = Limits {
        guest_memory: args.guest_memory.saturating_mul(1 << 20),
        kv_bytes: args.kv_memory.saturating_mul(1 << 20),
        device_bytes: args.device_memory.saturating_mul(1 << 20),
        call_time: Duration::from_secs(args.call_timeout),
        ..Limits::default()
    };
    let mut builder =
        Runtime::builder().limits(limits).memory_budget(args.memory_budget.saturating_mul(1 << 20));
    if let Some(threads) = args.threads.count() {
        builder = builder.threads(threads);
    }
    if let Some(isa) = &args.isa {
        builder = builder.isa(isa);
    }
    if args.component.is_none()
        && let Some(code) = Precompiled::of_this_program(chord_guests::ENGINE_ID)
    {
        builder = builder.precompiled(code);
    }
    if let Some(folder) = cache_folder() {
        builder = builder.cache(folder);
    }
    builder
}

/// The engine component that the options name: from this program, or compiled here.
pub(crate) fn component(runtime: &Runtime, args: &EngineArgs) -> Result<EngineComponent> {
    let Some(path) = &args.component else {
        let precompiled = runtime.precompiled();
        return Ok(precompiled.map_or_else(|| runtime.component(chord_guests::ENGINE), Ok)?);
    };
    let bytes = std::fs::read(path).with_context(|| format!("cannot read component `{}`", path.display()))?;
    runtime.component(&bytes).with_context(|| format!("cannot use `{}`", path.display()))
}

/// A fresh engine over the model, stopped by Ctrl-C.
pub(crate) fn instance(builder: Builder, args: &EngineArgs, model: Option<&Path>) -> Result<Instance> {
    start(&builder.build()?, args, model)
}

/// The same on a runtime that is there.
pub(crate) fn start(runtime: &Runtime, args: &EngineArgs, model: Option<&Path>) -> Result<Instance> {
    // The model first: a wrong path should not wait for the engine to compile.
    let weights = crate::model::open(model)?;
    let instance = component(runtime, args)?.instantiate(weights)?;
    crate::interrupt::install(instance.canceller())?;
    Ok(instance)
}

/// Folder for compiled engines: `$XDG_CACHE_HOME/wasm-chord` or `~/.cache/wasm-chord`.
fn cache_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|h| h.join(".cache")))?;
    Some(base.join("wasm-chord"))
}
