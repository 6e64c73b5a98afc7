//! Builds the guests for wasm with their own target folder and profile, whatever profile the host is built with.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Package, artifact below `target/wasm32-wasip2/guest/`, and the variable that `src/lib.rs` finds it by.
const GUESTS: &[(&str, &str, &str)] = &[("chord-component", "engine.wasm", "CHORD_ENGINE_WASM")];

/// The same, with the feature `test-guests`.
const TEST_GUESTS: &[(&str, &str, &str)] = &[
    ("chord-hostile", "hostile.wasm", "CHORD_HOSTILE_WASM"),
    ("chord-sandbox", "op-suite.wasm", "CHORD_OP_SUITE_WASM"),
];

fn main() {
    let root = PathBuf::from(env("CARGO_MANIFEST_DIR")).join("../..");
    for watched in ["guest", "wit", "tests/hostile", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    let target = PathBuf::from(env("OUT_DIR")).join("guest-target");
    let tests = std::env::var_os("CARGO_FEATURE_TEST_GUESTS").map_or(&[][..], |_| TEST_GUESTS);
    for (package, artifact, variable) in GUESTS.iter().chain(tests) {
        build(&root, &target, package);
        let path = target.join("wasm32-wasip2/guest").join(artifact);
        println!("cargo::rustc-env={variable}={}", path.display());
    }
    let engine = target.join("wasm32-wasip2/guest/engine.wasm");
    println!("cargo::rustc-env=CHORD_ENGINE_ID={:x}", fingerprint(&engine));
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}

fn build(root: &Path, target: &Path, package: &str) {
    let mut cargo = Command::new(env("CARGO"));
    cargo
        .current_dir(root)
        .args(["build", "--locked", "--profile", "guest", "--target", "wasm32-wasip2", "--package", package])
        .arg("--target-dir")
        .arg(target);
    // What is set for the host's build (flags, wrappers, clippy's driver) is not meant for the guest's.
    for name in
        ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CLIPPY_ARGS"]
    {
        cargo.env_remove(name);
    }
    let built = cargo.status().is_ok_and(|s| s.success());
    assert!(
        built,
        "cannot build {package} for wasm32-wasip2 (see above); if the target is missing, `cargo xtask setup` adds it"
    );
}

/// FNV-1a of a file: tells builds of the engine apart, nothing else.
fn fingerprint(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
