//! How wasmtime is set up: one configuration for code that was compiled with the program, one that fits the system for
//! what is compiled here.

use crate::{Error, system};
use std::path::Path;
use wasmtime::{Cache, CacheConfig, Config};

/// Linear memory grows by this many bytes in place where address space is scarce.
const SMALL_RESERVE: u64 = 16 << 20;

/// What all configurations have in common, and what is compiled under one fits the other.
pub(crate) fn common() -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true).epoch_interruption(true);
    // No component here suspends: calls into the host are plain calls.
    config.concurrency_support(false);
    // Data segments are copied, a few hundred KiB for each instance: images would need `memfd_create`, which some
    // sandboxes deny.
    config.memory_init_cow(false);
    // Nobody unwinds through wasm, and traps are reported by their cause.
    config.native_unwind_info(cfg!(windows)).generate_address_map(false);
    config
}

/// For components that are compiled on this machine, with all that its CPU has.
pub(crate) fn compiling(cache: Option<&Path>) -> Result<Config, Error> {
    let mut config = common();
    if !system::can_make_executable() {
        tracing::warn!(
            "the system does not let memory be made executable: the engine is interpreted, which is slow"
        );
        config.target("pulley64").map_err(|e| Error::Host(e.to_string()))?;
    }
    let scarce = !system::has_address_space();
    if scarce {
        system::check_space_for_compiling()?;
        tracing::debug!("address space is limited: small reservations, the engine checks its own bounds");
        config.memory_reservation(0).memory_guard_size(0).memory_reservation_for_growth(SMALL_RESERVE);
    }
    // Compiling takes a thread for each core, the cache one more. Each thread takes address space.
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    config.parallel_compilation(!scarce && system::can_start_threads(cores));
    if let Some(folder) = cache.filter(|_| system::can_start_threads(1)) {
        config.cache(open_cache(folder));
    }
    Ok(config)
}

/// For code that was compiled with the program and is mapped from it.
pub(crate) fn running() -> Config {
    let mut config = common();
    config.enable_compiler(false);
    config
}

fn open_cache(folder: &Path) -> Option<Cache> {
    let mut settings = CacheConfig::new();
    settings.with_directory(folder);
    // Slower starts, same results.
    let warn = |e| tracing::warn!("compiled engines are not cached: {e}");
    Cache::new(settings).map_err(warn).ok()
}
