//! Running the binary as a user does.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub fn model(name: &str) -> String {
    root().join("tests/data/models").join(name).display().to_string()
}

/// The binary with a cache folder of the tests' own and no settings from outside.
pub fn host(args: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("CHORD_") || n == "RUST_LOG") {
        command.env_remove(name);
    }
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
    command.env("XDG_CACHE_HOME", cache).args(args).stdin(Stdio::null());
    command
}

pub fn run(args: &[impl AsRef<OsStr>]) -> Output {
    host(args).output().expect("the binary starts")
}

pub fn run_with_stdin(args: &[impl AsRef<OsStr>], stdin: &[u8]) -> Output {
    let mut child = host(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // A command that fails early does not read its input.
    let _ = child.stdin.take().expect("piped").write_all(stdin);
    child.wait_with_output().expect("the binary ends")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("stdout is UTF-8")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Exit code, one line that starts with `error:`, and that contains every part. Nothing on stdout.
pub fn assert_fails(output: &Output, code: i32, parts: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(stdout(output), "", "nothing is written to stdout: {text}");
    assert!(text.starts_with("error: "), "{text}");
    if code == 1 {
        assert_eq!(text.lines().count(), 1, "one line: {text}");
    }
    for part in parts {
        assert!(text.contains(part), "`{part}` in: {text}");
    }
}
