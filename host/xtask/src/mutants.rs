//! Mutants: small changes of the code, each of which some test must notice (cargo-mutants).

use crate::cargo::{cargo, has_nextest, root, succeeds};
use anyhow::{Result, bail};

/// Crates whose mutants are all to die, but for those that `.cargo/mutants.toml` lists with their reasons.
const CRATES: &[&str] = &["chord-model", "chord-gguf", "chord-engine", "chord-chat"];

/// Runs every mutant of some crates (`chord-model`), or of all of these, with the crate's own tests.
pub(crate) fn mutants(args: &[String]) -> Result<()> {
    if !succeeds("cargo", &["mutants", "--version"]) {
        cargo(&["install", "cargo-mutants", "--locked"])?;
    }
    let all = CRATES.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let crates = if args.is_empty() { &all[..] } else { args };
    let results = root().join("target/mutants");
    std::fs::create_dir_all(&results)?;
    // It ends at the first test that fails.
    let tool: &[&str] = if has_nextest() { &["--test-tool", "nextest"] } else { &[] };
    let mut failed = Vec::new();
    for name in crates {
        let folder = results.join(name);
        std::fs::create_dir_all(&folder)?;
        let folder = folder.to_string_lossy();
        let mut options =
            vec!["mutants", "--jobs", "1", "--timeout", "120", "--output", &folder, "--package", name];
        options.extend(tool);
        // It fails if a mutant lives, or hangs its tests.
        if cargo(&options).is_err() {
            failed.push(name.as_str());
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let (crates, results) = (failed.join(", "), results.display());
    bail!(
        "mutants live in {crates} (see {results}): test what they change, or list them in .cargo/mutants.toml"
    )
}
