//! The guest components, built for wasm by this crate's build script.

/// `engine.wasm`: the engine component.
pub const ENGINE: &[u8] = include_bytes!(env!("CHORD_ENGINE_WASM"));

/// A number that changes with [`ENGINE`].
pub const ENGINE_ID: u64 = match u64::from_str_radix(env!("CHORD_ENGINE_ID"), 16) {
    Ok(id) => id,
    Err(_) => panic!("the build script writes a number"),
};

/// Path of `engine.wasm` on the machine that built it.
pub const ENGINE_PATH: &str = env!("CHORD_ENGINE_WASM");

/// An engine component that misbehaves on request.
#[cfg(feature = "test-guests")]
pub const HOSTILE: &[u8] = include_bytes!(env!("CHORD_HOSTILE_WASM"));

/// A WASI command that runs the op suite of the CPU device.
#[cfg(feature = "test-guests")]
pub const OP_SUITE: &[u8] = include_bytes!(env!("CHORD_OP_SUITE_WASM"));
