//! The engine that a program carries compiled is used if it is that program's own and whole; nothing is compiled then.

use crate::program::{Engine, PLAIN, STORY, carrying, command, output, stderr, story, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A story told without a cache folder, with logs.
fn cold(program: &Path) -> Command {
    let mut command = command(program, STORY);
    command.env_remove("XDG_CACHE_HOME").env_remove("HOME").env("RUST_LOG", "chord_runtime=debug");
    command
}

/// What is logged where an engine is compiled.
const NOT_CARRIED: &str = "this program carries no compiled engine";

fn written(folder: &tempfile::TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("host");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_carried_engine_needs_no_cache_and_little_memory() {
    let output = output(&mut cold(&carrying()));
    let said = stderr(&output);
    assert!(output.status.success() && !said.contains(NOT_CARRIED), "{said}");
    assert_eq!(output.stdout, text());
    let (_, memory) = said.split_once("process memory ").expect("the summary has it");
    let mebibytes: f64 = memory.split(' ').next().unwrap().parse().unwrap();
    assert!(mebibytes < 40.0, "{said}");
}

#[test]
fn both_engines_tell_the_same_story() {
    assert_eq!(output(&mut story(Engine::Carried)).stdout, output(&mut story(Engine::Cached)).stdout);
}

#[test]
fn an_engine_from_elsewhere_is_compiled() {
    let component = tempfile::NamedTempFile::new().unwrap();
    fs::write(component.path(), b"\0asm\x0d\0\x01\0").unwrap();
    let output = output(story(Engine::Carried).arg("--component").arg(component.path()));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("not an engine component"), "{}", stderr(&output));
}

#[test]
fn a_program_without_the_end_of_its_code_compiles() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(carrying()).unwrap();
    let output = output(&mut cold(&written(&folder, &whole[..whole.len() - 4096])));
    let said = stderr(&output);
    assert!(output.status.success() && said.contains(NOT_CARRIED), "{said}");
    assert_eq!(output.stdout, text());
}

#[test]
fn code_for_another_component_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(carrying()).unwrap();
    // The last number is the component's.
    *bytes.last_mut().unwrap() ^= 1;
    let output = output(&mut cold(&written(&folder, &bytes)));
    assert!(output.status.success() && stderr(&output).contains(NOT_CARRIED), "{}", stderr(&output));
}

#[test]
fn a_program_that_carries_an_engine_can_be_given_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = fs::read(carrying()).unwrap();
    let copy = written(&folder, &first);
    let output = output(&mut command(Path::new(PLAIN), &["precompile", "--program", copy.to_str().unwrap()]));
    assert!(output.status.success(), "{}", stderr(&output));
    let second = fs::read(&copy).unwrap();
    assert_eq!(first.len(), second.len());
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o755);
}
