//! What is shipped: `host` without its debug lines, which lie beside it, and with its engine compiled.

use crate::cargo::{command, output, root, run};
use crate::progress;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Builds `host` and returns where it is. What is up to date is left as it is.
pub(crate) fn host() -> Result<PathBuf> {
    progress::build("chord-cli")?;
    let target = target_folder()?;
    let (built, folder) = (target.join("release/host"), target.join("dist"));
    let shipped = folder.join("host");
    if is_newer(&shipped, &built) {
        return Ok(shipped);
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let small = folder.join("host.small");
    strip(&built, &small, &folder.join("host.debug"))?;
    precompile(&built, &small, &shipped)?;
    std::fs::remove_file(&small).with_context(|| format!("cannot remove `{}`", small.display()))?;
    Ok(shipped)
}

fn target_folder() -> Result<PathBuf> {
    let set = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let folder = root().join(set);
    folder.canonicalize().with_context(|| format!("cannot find `{}`", folder.display()))
}

fn is_newer(a: &Path, b: &Path) -> bool {
    let time = |path: &Path| path.metadata().and_then(|m| m.modified());
    matches!((time(a), time(b)), (Ok(a), Ok(b)) if a >= b)
}

/// Moves the debug lines of a program into a file of their own, which debuggers and backtraces find by its name.
fn strip(program: &Path, small: &Path, debug: &Path) -> Result<()> {
    let words = |path: &Path| path.display().to_string();
    let link = format!("--add-gnu-debuglink={}", words(debug));
    objcopy(&["--only-keep-debug", &words(program), &words(debug)])?;
    objcopy(&["--strip-all", &link, &words(program), &words(small)])
}

/// Runs the `objcopy` that comes with rustc, which needs rustc's own libraries.
fn objcopy(args: &[&str]) -> Result<()> {
    let libraries = PathBuf::from(output("rustc", &["--print", "target-libdir"])?.trim());
    let sysroot = PathBuf::from(output("rustc", &["--print", "sysroot"])?.trim());
    let program = libraries.with_file_name("bin").join("rust-objcopy");
    if !program.is_file() {
        bail!("`{}` is missing; rustc 1.95 from rustup has it", program.display());
    }
    let mut command = command(&program.display().to_string(), args);
    command.env("LD_LIBRARY_PATH", sysroot.join("lib"));
    run(command)
}

/// Lets the program that was built compile its engine, and a copy of the small one carry it.
fn precompile(built: &Path, small: &Path, shipped: &Path) -> Result<()> {
    let mut command = command(&built.display().to_string(), &["precompile"]);
    command.arg("--program").arg(small).arg("--output").arg(shipped);
    run(command)
}
