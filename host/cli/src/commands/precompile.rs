//! `host precompile`: the last step of a build. Compiles the built-in engine and lets a copy of this program carry it.

use anyhow::{Context, Result};
use chord_runtime::Precompiled;
use clap::Args;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Options of `host precompile`.
#[derive(Args, Debug)]
pub(crate) struct Precompile {
    /// Program to read: another copy of this one, with other debug information or none [default: this program]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// File to write, in one step; it may be the one that runs [default: the program]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Precompile {
    pub(crate) fn run(&self) -> Result<()> {
        let own = || std::env::current_exe().context("cannot find this program's own file");
        let program = self.program.clone().map_or_else(own, Ok)?;
        let output = self.output.as_ref().unwrap_or(&program);
        let mut source =
            File::open(&program).with_context(|| format!("cannot read `{}`", program.display()))?;
        let named = || format!("cannot write `{}`", output.display());
        let mut file = beside(output).with_context(named)?;
        Precompiled::write(&mut source, chord_guests::ENGINE, chord_guests::ENGINE_ID, &mut file)?;
        let as_before = source.metadata().and_then(|m| file.as_file().set_permissions(m.permissions()));
        as_before.with_context(named)?;
        file.as_file().sync_all().with_context(named)?;
        // Closed before it gets its name: nothing runs that is open for writing.
        file.into_temp_path().persist(output).with_context(named)?;
        Ok(())
    }
}

/// A temporary file in the folder of `path`, from where it can be moved there.
fn beside(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::NamedTempFile::new_in(folder)
}
