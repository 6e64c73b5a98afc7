//! What a fresh machine needs before anything can be built: the guest target, and the standard library's source for the
//! 64-bit build of the CPU device.

use crate::cargo::{command, output, run, succeeds};
use anyhow::{Result, bail};

/// Guests are built for this target.
const GUEST_TARGET: &str = "wasm32-wasip2";

/// Adds what is missing; says exactly what to do where it cannot.
pub(crate) fn setup() -> Result<()> {
    if !target_installed(GUEST_TARGET) {
        add(&["target", "add", GUEST_TARGET], &format!("the standard library for {GUEST_TARGET}"))?;
    }
    if !has_std_source() {
        let what = "the standard library's source (only the wasm64 build check needs it)";
        if let Err(e) = add(&["component", "add", "rust-src"], what) {
            eprintln!("warning: {e:#}");
        }
    }
    Ok(())
}

/// Whether the standard library's source is here.
pub(crate) fn has_std_source() -> bool {
    sysroot().is_some_and(|s| s.join("lib/rustlib/src/rust/library/core").is_dir())
}

fn target_installed(target: &str) -> bool {
    sysroot().is_some_and(|s| s.join("lib/rustlib").join(target).join("lib").is_dir())
}

fn sysroot() -> Option<std::path::PathBuf> {
    output("rustc", &["--print", "sysroot"]).ok().map(|s| s.trim().into())
}

fn add(args: &[&str], what: &str) -> Result<()> {
    if !succeeds("rustup", &["--version"]) {
        bail!(
            "{what} is missing and rustup is not here to add it; install Rust with rustup, or the equivalent packages \
             of your system, then run this again"
        );
    }
    match run(command("rustup", args)) {
        Ok(()) => Ok(()),
        Err(e) => bail!("{what} is missing and `rustup {}` could not add it: {e}", args.join(" ")),
    }
}
