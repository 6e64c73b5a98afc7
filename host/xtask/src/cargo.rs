//! Running cargo and other programs from the workspace's root.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// Root of the workspace.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A command in the root; its output goes to ours.
pub(crate) fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).args(args);
    command
}

/// Runs a command and fails if it fails. The command is printed first.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let text = show(&command);
    eprintln!("$ {text}");
    let status = command.status().with_context(|| format!("cannot start `{text}`"))?;
    if !status.success() {
        bail!("`{text}` failed ({status})");
    }
    Ok(())
}

/// `cargo` with these arguments.
pub(crate) fn cargo(args: &[&str]) -> Result<()> {
    run(command("cargo", args))
}

/// Whether a command exists and succeeds; its output is dropped.
pub(crate) fn succeeds(program: &str, args: &[&str]) -> bool {
    command(program, args).output().is_ok_and(|o| o.status.success())
}

/// Whether cargo-nextest is installed.
pub(crate) fn has_nextest() -> bool {
    succeeds("cargo", &["nextest", "--version"])
}

/// Says that some tests cannot run here, which is an error where `FORCE_DEVICE_TESTS=1` asks for all of them.
pub(crate) fn ignored(what: &str, why: &str) -> Result<()> {
    eprintln!("ignored: {what} ({why})");
    match std::env::var("FORCE_DEVICE_TESTS").as_deref() {
        Ok("1") => bail!("{what} must run where FORCE_DEVICE_TESTS=1: {why}"),
        _ => Ok(()),
    }
}

/// What a command prints.
pub(crate) fn output(program: &str, args: &[&str]) -> Result<String> {
    let output = command(program, args).output().with_context(|| format!("cannot start `{program}`"))?;
    if !output.status.success() {
        bail!("`{program} {}`: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
