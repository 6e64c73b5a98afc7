//! The tasks: one function each and one line in [`TASKS`].

use crate::aarch64;
use crate::cargo::{cargo, command, has_nextest, ignored, run, succeeds};
use crate::mutants::mutants;
use crate::setup::{has_std_source, setup};
use crate::ship;
use anyhow::{Result, bail};

/// A task.
pub(crate) struct Task {
    pub(crate) name: &'static str,
    about: &'static str,
    pub(crate) run: fn(&[String]) -> Result<()>,
}

/// Every task, in the order of the help.
pub(crate) const TASKS: &[Task] = &[
    Task {
        name: "run",
        about: "set up, build everything, and tell a story (arguments go to `host run`)",
        run: story,
    },
    Task { name: "test", about: "every test this machine can run [pure|wasm64|aarch64|all]", run: test },
    Task { name: "lint", about: "formatting and clippy, warnings are errors", run: lint },
    Task { name: "ci", about: "test, then lint: what CI does", run: ci },
    Task { name: "setup", about: "add what is missing to build (wasm32-wasip2, rust-src)", run: |_| setup() },
    Task {
        name: "build",
        about: "build `host` with its engine inside, compiled, and print where it is",
        run: build,
    },
    Task {
        name: "mutants",
        about: "small changes of some crates, or of one: a test must notice each (cargo-mutants; long)",
        run: mutants,
    },
    Task {
        name: "real",
        about: "two real models, fetched with pip, next to llama.cpp's perplexity, ids and greedy text",
        run: crate::real::real,
    },
    Task {
        name: "audit",
        about: "licences, bans, sources and advisories of dependencies (cargo-deny)",
        run: audit,
    },
];

/// Text of `cargo xtask help`.
pub(crate) fn help() -> String {
    let lines = TASKS.iter().map(|t| format!("  {:<8} {}\n", t.name, t.about));
    format!("cargo xtask <task>\n\n{}", lines.collect::<String>())
}

/// Crates that need neither wasmtime nor a device: seconds.
const PURE: &[&str] = &[
    "chord-quant",
    "chord-gguf",
    "chord-ops",
    "chord-cpu",
    "chord-tokenizer",
    "chord-sampler",
    "chord-chat",
    "chord-model",
    "chord-engine",
];

fn story(args: &[String]) -> Result<()> {
    setup()?;
    let host = ship::host()?;
    let mut words = vec!["run"];
    if args.is_empty() {
        words.extend(["-n", "160", "Once upon a time"]);
    }
    words.extend(args.iter().map(String::as_str));
    run(command(&host.display().to_string(), &words))
}

fn build(_: &[String]) -> Result<()> {
    setup()?;
    println!("{}", ship::host()?.display());
    Ok(())
}

fn test(args: &[String]) -> Result<()> {
    match args.first().map_or("all", String::as_str) {
        "pure" => {
            let packages = PURE.iter().flat_map(|p| ["--package", p]);
            // Without `std` the CPU device asks no CPU, and only the portable kernels are tested.
            tests(&packages.chain(["--features", "chord-cpu/std"]).collect::<Vec<_>>())
        }
        "wasm64" => wasm64(),
        "aarch64" => aarch64::test(),
        "all" => {
            setup()?;
            tests(&["--workspace"])?;
            cargo(&["test", "--workspace", "--doc", "--quiet"])?;
            wasm64()?;
            aarch64::test()
        }
        other => bail!("tier: expected pure, wasm64, aarch64 or all, found `{other}`"),
    }
}

/// Runs the tests of some packages; their examples in documentation are not among them.
fn tests(selection: &[&str]) -> Result<()> {
    cargo(&[runner(), &["--tests"], selection].concat())
}

/// Arguments that run tests: with nextest where it is installed, with cargo's own runner elsewhere.
pub(crate) fn runner() -> &'static [&'static str] {
    if has_nextest() { &["nextest", "run", "--no-fail-fast"] } else { &["test", "--no-fail-fast"] }
}

/// The CPU device builds for bare 64-bit wasm, where there is no standard library.
fn wasm64() -> Result<()> {
    if !has_std_source() {
        if std::env::var_os("CI").is_some() {
            bail!("rust-src is required in CI");
        }
        return ignored("wasm64 build of chord-cpu", "rust-src is not installed");
    }
    let mut build = command(
        "cargo",
        &["build", "-Zbuild-std=core,alloc", "--target", "wasm64-unknown-unknown", "--package", "chord-cpu"],
    );
    // Building the standard library is a nightly option of cargo; the compiler stays the stable one.
    build.env("RUSTC_BOOTSTRAP", "1");
    run(build)
}

fn lint(_: &[String]) -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])?;
    let guests = ["--package", "chord-component", "--target", "wasm32-wasip2"];
    cargo(&[&["clippy", "--quiet"], &guests[..], &["--", "-D", "warnings"]].concat())?;
    aarch64::lint()
}

fn ci(_: &[String]) -> Result<()> {
    test(&[])?;
    lint(&[])
}

fn audit(_: &[String]) -> Result<()> {
    if !succeeds("cargo", &["deny", "--version"]) {
        cargo(&["install", "cargo-deny", "--locked"])?;
    }
    cargo(&["deny", "check", "licenses", "bans", "sources"])?;
    if cargo(&["deny", "check", "advisories"]).is_err() {
        bail!("advisories: found some, or the database could not be fetched (see above)");
    }
    Ok(())
}
