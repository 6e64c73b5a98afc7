//! What a fresh machine needs before anything can be built: the guest target, and the standard library's source for the
//! 64-bit build of the CPU device. What only some tests need is added by these tests.

use crate::cargo::{command, output, run, succeeds};
use anyhow::{Context, Result, bail};

/// Guests are built for this target.
const GUEST_TARGET: &str = "wasm32-wasip2";

/// Adds what is missing; says exactly what to do where it cannot.
pub(crate) fn setup() -> Result<()> {
    target(GUEST_TARGET)?;
    if !has_std_source() {
        let what = "the standard library's source (only the wasm64 build check needs it)";
        if let Err(e) = add(&["component", "add", "rust-src"], what) {
            eprintln!("warning: {e:#}");
        }
    }
    Ok(())
}

/// Adds a target of the compiler.
pub(crate) fn target(name: &str) -> Result<()> {
    if target_installed(name) {
        return Ok(());
    }
    add(&["target", "add", name], &format!("the standard library for {name}"))
}

/// Adds a program from a Debian package, where `apt-get` is here and we may use it.
pub(crate) fn program(name: &str, package: &str) -> Result<()> {
    if succeeds(name, &["--version"]) {
        return Ok(());
    }
    let root = output("id", &["-u"]).is_ok_and(|id| id.trim() == "0");
    if !root || !succeeds("apt-get", &["--version"]) {
        bail!("`{name}` is not installed; Debian and Ubuntu have it: `sudo apt-get install {package}`");
    }
    // A fresh machine has no package lists yet.
    apt(&["install", package])
        .or_else(|_| apt(&["update"]).and_then(|()| apt(&["install", package])))
        .with_context(|| format!("`{name}` is not installed and apt-get could not add it"))
}

fn apt(args: &[&str]) -> Result<()> {
    let mut apt = command("apt-get", &["--quiet", "--yes", "--no-install-recommends"]);
    apt.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    run(apt)
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
