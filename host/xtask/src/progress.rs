//! How far a long build is. On a terminal cargo draws its bar; elsewhere it says nothing for minutes, so we do.

use crate::cargo::{command, output};
use anyhow::{Context, Result, bail};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, IsTerminal};
use std::process::{ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Time between two lines.
const EVERY: Duration = Duration::from_secs(5);

/// Builds a package, with lines such as `building chord-cli: 120 of 310 crates, 1:35` on stderr.
pub(crate) fn build(package: &str) -> Result<()> {
    let arguments = ["build", "--release", "--package", package];
    let mut cargo = command("cargo", &arguments);
    eprintln!("$ cargo {}", arguments.join(" "));
    if std::io::stderr().is_terminal() {
        return finish(package, cargo.status().context("cannot start cargo")?);
    }
    cargo.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let total = crates(package);
    let mut child = cargo.spawn().context("cannot start cargo")?;
    let messages = child.stdout.take().context("cargo's output is piped")?;
    let built = Arc::new(AtomicUsize::new(0));
    let (done, ended) = mpsc::channel::<()>();
    let counter = built.clone();
    let reader = std::thread::spawn(move || {
        count(messages, &counter);
        drop(done);
    });
    let start = Instant::now();
    while ended.recv_timeout(EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
        eprintln!("{}", line(package, built.load(Ordering::Relaxed), total.as_ref().ok(), start.elapsed()));
    }
    if reader.join().is_err() {
        bail!("cargo's messages could not be read");
    }
    finish(package, child.wait().context("cannot wait for cargo")?)
}

fn finish(package: &str, status: std::process::ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("building {package} failed ({status})");
    }
    Ok(())
}

/// Crates that a package consists of, itself included.
fn crates(package: &str) -> Result<usize> {
    let tree =
        ["tree", "--package", package, "--edges", "normal,build", "--prefix", "none", "--format", "{p}"];
    let listed = output("cargo", &tree)?;
    // A crate that was listed before is listed again with a star.
    let names = listed.lines().map(|l| l.trim_end_matches(" (*)")).filter(|l| !l.is_empty());
    Ok(names.collect::<HashSet<_>>().len())
}

/// Counts the crates that cargo reports as built; build scripts are not counted.
fn count(messages: ChildStdout, built: &AtomicUsize) {
    let mut seen = HashSet::new();
    for message in BufReader::new(messages).lines().map_while(Result::ok) {
        if let Some(package) = finished(&message)
            && seen.insert(package.to_owned())
        {
            built.store(seen.len(), Ordering::Relaxed);
        }
    }
}

/// The package that a message says was built.
fn finished(message: &str) -> Option<&str> {
    let artifact = message.contains(r#""reason":"compiler-artifact""#);
    if !artifact || message.contains(r#""kind":["custom-build"]"#) {
        return None;
    }
    let (_, rest) = message.split_once(r#""package_id":""#)?;
    rest.split('"').next()
}

fn line(package: &str, built: usize, total: Option<&usize>, elapsed: Duration) -> String {
    let of = total.map_or(String::new(), |total| format!(" of {}", total.max(&built)));
    let (minutes, seconds) = (elapsed.as_secs() / 60, elapsed.as_secs() % 60);
    format!("building {package}: {built}{of} crates, {minutes}:{seconds:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_counted_once_and_build_scripts_are_not() {
        let library =
            r#"{"reason":"compiler-artifact","package_id":"a#1.0","target":{"kind":["lib"]},"fresh":true}"#;
        let script =
            r#"{"reason":"compiler-artifact","package_id":"a#1.0","target":{"kind":["custom-build"]}}"#;
        assert_eq!(finished(library), Some("a#1.0"));
        assert_eq!(finished(script), None);
        assert_eq!(finished(r#"{"reason":"build-finished","success":true}"#), None);
    }

    #[test]
    fn a_line_says_how_far_and_how_long() {
        assert_eq!(
            line("x", 120, Some(&310), Duration::from_secs(95)),
            "building x: 120 of 310 crates, 1:35"
        );
        assert_eq!(line("x", 3, None, Duration::from_secs(5)), "building x: 3 crates, 0:05");
    }
}
