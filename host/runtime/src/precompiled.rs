//! Code that was compiled when the program was built and lies at the end of its file, so that a fresh install answers
//! at once. It is mapped, readable and executable and never writable: pages are read as they are needed and shared
//! between processes, and systems that refuse to make written memory executable allow it.
//!
//! Machine code cannot be checked; it is trusted as the program itself is. So it is taken from there only: from the file
//! that this process was started from, which nobody may write while it runs.
#![expect(unsafe_code, reason = "machine code is mapped and trusted")]

use crate::trailer::Trailer;
use crate::{Error, config};
use memmap2::MmapOptions;
use std::fs::File;
use std::io::{self, Write};
use std::ptr::NonNull;
use std::sync::Arc;
use wasmtime::component::Component;
use wasmtime::{CustomCodeMemory, Engine};

/// Compiled code of one component, mapped from this program. Cheap to clone; never unmapped.
#[derive(Clone, Copy, Debug)]
pub struct Precompiled {
    code: &'static [u8],
}

impl Precompiled {
    /// What this program carries for the component with this number, if it does. The number is the one that was given to
    /// [`Precompiled::write`].
    pub fn of_this_program(component: u64) -> Option<Precompiled> {
        let absent =
            |why: &dyn std::fmt::Display| tracing::debug!("this program carries no compiled engine: {why}");
        match Precompiled::map(component) {
            Ok(Some(found)) => Some(found),
            Ok(None) => {
                absent(&"none for this component is at its end");
                None
            }
            Err(e) => {
                absent(&e);
                None
            }
        }
    }

    fn map(component: u64) -> io::Result<Option<Precompiled>> {
        let mut file = File::open(own_path()?)?;
        let Some(trailer) = Trailer::read(&mut file)?.filter(|t| t.component == component) else {
            return Ok(None);
        };
        let len = usize::try_from(trailer.len).map_err(io::Error::other)?;
        // SAFETY: the file is the one that this process runs, whose text the system does not let anyone write, so the
        // mapping does not change; the trailer was checked against the file's length.
        let map = unsafe { MmapOptions::new().offset(trailer.start).len(len).map_exec(&file)? };
        // Never unmapped, as the program itself is not: components may run for as long as it does.
        let map = std::mem::ManuallyDrop::new(map);
        // SAFETY: the mapping is never unmapped and never written.
        let code = unsafe { std::slice::from_raw_parts(map.as_ptr(), map.len()) };
        Ok(Some(Precompiled { code }))
    }

    /// The component, ready to be instantiated, on an engine of its own. An error if the code was compiled by another
    /// wasmtime, with other settings or for a better CPU.
    pub(crate) fn load(self) -> wasmtime::Result<Component> {
        let mut config = config::running();
        config.with_custom_code_memory(Some(Arc::new(Executable)));
        let engine = Engine::new(&config)?;
        // SAFETY: the code was made by wasmtime and put there by `write`, since this program is trusted to be what its
        // authors built; it lives forever and does not change. Wasmtime compares version, settings and CPU features.
        unsafe { Component::deserialize_raw(&engine, NonNull::from(self.code)) }
    }

    /// Compiles a component for every CPU of this one's architecture and writes a copy of `program` that carries the
    /// code, under a number that tells this component from others. What `program` carried before is left out.
    pub fn write(
        program: &mut File,
        component: &[u8],
        number: u64,
        out: &mut impl Write,
    ) -> Result<(), Error> {
        let bad = |e: wasmtime::Error| Error::of_component(&e);
        let engine = Engine::new(&portable().map_err(bad)?).map_err(bad)?;
        let code = engine.precompile_component(component).map_err(bad)?;
        Trailer::write(program, &code, number, out)
            .map_err(|e| Error::Host(format!("cannot copy the program: {e}")))
    }
}

/// What every CPU of this architecture has. More made no difference that could be measured: tokenizing 2.9 MB takes
/// 0.36 s to 0.39 s with the baseline of x86-64, with its levels v2 and v3, and with all that a Zen CPU has.
fn portable() -> wasmtime::Result<wasmtime::Config> {
    let mut config = config::common();
    config.target(&format!("{}-unknown-linux-gnu", std::env::consts::ARCH))?;
    Ok(config)
}

/// The file that this process was started from, even if another one has taken its name since.
fn own_path() -> io::Result<std::path::PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

/// Memory that is executable already.
struct Executable;

impl CustomCodeMemory for Executable {
    fn required_alignment(&self) -> usize {
        // No more than what any page size gives: the mapping is aligned to pages.
        4096
    }

    fn publish_executable(&self, _: *const u8, _: usize) -> wasmtime::Result<()> {
        Ok(())
    }

    fn unpublish_executable(&self, _: *const u8, _: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}
