//! The binary without and with its engine compiled, and what it is asked.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) const PLAIN: &str = env!("CARGO_BIN_EXE_host");
pub(crate) const STORY: &[&str] = &["run", "-n", "8", "--temp", "0", "-t", "2", "Once upon a time"];

/// A copy of the binary that carries its engine compiled, made once for each build.
pub(crate) fn carrying() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("host-carrying");
    let time = |path: &Path| path.metadata().and_then(|m| m.modified());
    let is_current = matches!((time(&path), time(Path::new(PLAIN))), (Ok(copy), Ok(plain)) if copy >= plain);
    if !is_current {
        let output = command(Path::new(PLAIN), &["precompile", "--output"]).arg(&path).output();
        assert_eq!(stderr(&output.expect("the binary starts")), "");
    }
    path
}

/// Which engine a start has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Engine {
    /// In the program.
    Carried,
    /// Compiled by an earlier start.
    Cached,
}

impl Engine {
    pub(crate) fn program(self) -> PathBuf {
        match self {
            Engine::Carried => carrying(),
            Engine::Cached => PLAIN.into(),
        }
    }
}

pub(crate) fn command(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("CHORD_") || n.starts_with("RUST_")) {
        command.env_remove(name);
    }
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache-of-refused");
    command.env("XDG_CACHE_HOME", cache).args(args).stdin(Stdio::null());
    command
}

pub(crate) fn story(engine: Engine) -> Command {
    command(&engine.program(), STORY)
}

pub(crate) fn output(command: &mut Command) -> Output {
    command.output().expect("the binary starts")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn text() -> Vec<u8> {
    let output = output(&mut story(Engine::Cached));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(output.stdout.len() > 20);
    output.stdout
}
