//! The CPU device's kernels for AArch64, built here and run by an emulator.

use crate::cargo::{cargo, command, ignored, run};
use crate::setup::{program, target};
use crate::tasks::runner;
use anyhow::Result;

/// Statically linked by the linker that comes with Rust: no C compiler and no foreign library is needed.
const TARGET: &str = "aarch64-unknown-linux-musl";
const EMULATOR: &str = "qemu-aarch64";
/// CPUs that the emulator can be, and the best of our instruction sets that each has.
const CPUS: &[(&str, &str)] = &[("max", "neon-dotprod"), ("cortex-a72", "neon")];

/// Every kernel against the references. The tests of whole plans are left to real machines: minutes here.
pub(crate) fn test() -> Result<()> {
    if cfg!(target_arch = "aarch64") {
        return Ok(()); // the ordinary tests have run them
    }
    if let Err(why) = program(EMULATOR, "qemu-user").and_then(|()| target(TARGET)) {
        return ignored("kernels for aarch64", &format!("{why:#}"));
    }
    CPUS.iter().try_for_each(|(cpu, isa)| kernels(cpu, isa))
}

/// Clippy on what this machine's own build leaves out.
pub(crate) fn lint() -> Result<()> {
    if let Err(why) = target(TARGET) {
        return ignored("lints for aarch64", &format!("{why:#}"));
    }
    let package = ["--package", "chord-cpu", "--features", "std", "--all-targets", "--target", TARGET];
    cargo(&[&["clippy", "--quiet"], &package[..], &["--", "-D", "warnings"]].concat())
}

fn kernels(cpu: &str, isa: &str) -> Result<()> {
    let selection =
        ["--package", "chord-cpu", "--features", "std", "--lib", "--test", "kernels", "--target", TARGET];
    let mut tests = command("cargo", &[runner(), &selection[..]].concat());
    tests.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");
    tests.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER", format!("{EMULATOR} -cpu {cpu}"));
    tests.env("CHORD_EXPECT_ISA", isa);
    eprintln!("aarch64, {cpu}: {isa}");
    run(tests)
}
