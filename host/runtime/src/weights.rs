//! The files that one instance may read, and the contract's `weights` interface over them.

use crate::files::{ModelFiles, open_regular};
use crate::mapping::Mapping;
use crate::state::{State, table_error};
use crate::unmapped::{InMemory, Readable};
use crate::{Error, Limits};
use chord_wit::weights as w;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use wasmtime::component::Resource;

/// Most bytes of one read, as the contract says.
const MAX_READ: u32 = 16 << 20;

/// A model file, and the siblings that belong to it if it is split. An engine can open nothing else. Cheap to clone;
/// clones share the mappings.
#[derive(Clone, Debug)]
pub struct Weights {
    shared: Arc<Offered>,
}

#[derive(Debug)]
struct Offered {
    /// Name of the model.
    name: String,
    /// Where it and its siblings are, unless it is part of the program.
    files: Option<ModelFiles>,
    /// Mapped so far, by name.
    mapped: Mutex<BTreeMap<String, Arc<Source>>>,
    /// For files that cannot be mapped.
    readable: Readable,
}

/// Where the bytes of a file are.
#[derive(Debug)]
pub(crate) enum Source {
    /// In the page cache.
    Mapped(Mapping),
    /// Read into memory.
    Read(InMemory),
    /// In the program itself.
    Static(&'static [u8]),
}

impl Source {
    /// Maps a file, or reads it where the file system cannot map it.
    fn open(file: &File, readable: &Readable) -> io::Result<Source> {
        match Mapping::new(file) {
            Ok(map) => Ok(Source::Mapped(map)),
            // Reading would not find more memory.
            Err(e) if e.kind() == io::ErrorKind::OutOfMemory => Err(e),
            Err(e) => readable.read(file, &e).map(Source::Read),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Source::Mapped(map) => map.bytes(),
            Source::Read(memory) => memory,
            Source::Static(bytes) => bytes,
        }
    }

    /// Whether a part of the file was found missing.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Source::Mapped(map) if map.is_lost())
    }

    fn prefetch(&self, offset: usize, len: usize) {
        if let Source::Mapped(map) = self {
            map.prefetch(offset, len);
        }
    }
}

impl Weights {
    /// Offers the model file at `path`. Siblings `…-00002-of-0000N.gguf` are found in its folder, and only there; links
    /// are followed. Engines find a file whose name is not UTF-8 under one with U+FFFD in it.
    pub fn open(path: &Path) -> Result<Weights, Error> {
        Weights::open_within(path, &Limits::default())
    }

    /// The same, reading at most [`Limits::read_bytes`] into memory where files cannot be mapped.
    pub fn open_within(path: &Path, limits: &Limits) -> Result<Weights, Error> {
        let fail = |why: String| Error::Model { path: path.display().to_string(), why };
        let file = open_regular(path).map_err(|e| fail(plain(&e)))?;
        let files = ModelFiles::at(path).map_err(|e| fail(plain(&e)))?;
        let readable = Readable::new(limits.read_bytes);
        let source = Source::open(&file, &readable).map_err(|e| fail(format!("cannot map it: {e}")))?;
        Ok(Weights::with(files.name().into(), Some(files), source, readable))
    }

    /// Offers a model that is part of the program. `bytes` should be aligned to 64 bytes.
    pub fn embedded(name: &str, bytes: &'static [u8]) -> Weights {
        Weights::with(name.into(), None, Source::Static(bytes), Readable::new(0))
    }

    fn with(name: String, files: Option<ModelFiles>, source: Source, readable: Readable) -> Weights {
        let mapped = Mutex::new(BTreeMap::from([(name.clone(), Arc::new(source))]));
        Weights { shared: Arc::new(Offered { name, files, mapped, readable }) }
    }

    /// The name under which the engine finds the model.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The bytes of the file `name`, in place, if it is the model or one of its siblings: what engines find under that
    /// name, for use without one.
    pub fn file(&self, name: &str) -> Result<chord_cpu::WeightBytes, Error> {
        let fail = |e: w::Error| Error::Model { path: name.into(), why: e.to_string() };
        self.map(name).map(|source| source as chord_cpu::WeightBytes).map_err(fail)
    }

    /// Maps the file `name`, if it is the model or one of its siblings.
    fn map(&self, name: &str) -> Result<Arc<Source>, w::Error> {
        if let Some(source) = self.mapped().get(name) {
            return Ok(source.clone());
        }
        let not_found = |why: &str| w::Error::NotFound(format!("`{name}`: {why}"));
        let files =
            self.shared.files.as_ref().ok_or_else(|| not_found("the model is part of the program"))?;
        // Without the lock: a file system may take its time.
        let file = files.open(name).map_err(|e| not_found(&plain(&e)))?;
        let source = Source::open(&file, &self.shared.readable);
        let source = source.map_err(|e| w::Error::Other(format!("`{name}`: {e}")))?;
        // Another instance may have been faster: its mapping is the one to share.
        Ok(self.mapped().entry(name.into()).or_insert_with(|| Arc::new(source)).clone())
    }

    fn mapped(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Source>>> {
        self.shared.mapped.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// An error of the operating system without its number.
fn plain(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound if e.raw_os_error().is_some() => "no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => e.to_string(),
    }
}

/// An open file of the `weights` interface.
pub(crate) struct OpenFile {
    pub(crate) name: String,
    pub(crate) source: Arc<Source>,
}

impl chord_cpu::Bytes for Source {
    fn bytes(&self) -> &[u8] {
        Source::bytes(self)
    }

    fn is_lost(&self) -> bool {
        Source::is_lost(self)
    }

    fn can_be_lost(&self) -> bool {
        matches!(self, Source::Mapped(_))
    }
}

impl w::Host for State {
    fn open(&mut self, name: String) -> wasmtime::Result<Result<Resource<w::File>, w::Error>> {
        match self.weights.map(&name) {
            Ok(source) => Ok(Ok(self.push(OpenFile { name, source })?)),
            Err(e) => Ok(Err(e)),
        }
    }
}

impl w::HostFile for State {
    fn size(&mut self, file: Resource<w::File>) -> wasmtime::Result<u64> {
        Ok(self.get::<OpenFile, _>(&file)?.source.bytes().len() as u64)
    }

    fn read(
        &mut self,
        file: Resource<w::File>,
        offset: u64,
        len: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, w::Error>> {
        let file = self.get::<OpenFile, _>(&file)?;
        let bytes = file.source.bytes();
        let size = bytes.len();
        let out_of_range = |what: String| Ok(Err(w::Error::OutOfRange(what)));
        if len > MAX_READ {
            return out_of_range(format!("read of {len} bytes: at most {MAX_READ} at once"));
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let Some(part) = start.checked_add(len as usize).and_then(|end| bytes.get(start..end)) else {
            return out_of_range(format!("{len} bytes at {offset} of `{}`, which has {size}", file.name));
        };
        // Looked at before, so that a lost file is not touched again, and after, since it may be lost now.
        let lost = || Ok(Err(w::Error::Lost(format!("`{}` was truncated while in use", file.name))));
        if file.source.is_lost() {
            return lost();
        }
        let part = part.to_vec();
        if file.source.is_lost() { lost() } else { Ok(Ok(part)) }
    }

    fn prefetch(&mut self, file: Resource<w::File>, offset: u64, len: u64) -> wasmtime::Result<()> {
        let map = &self.get::<OpenFile, _>(&file)?.source;
        let size = map.bytes().len();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(size);
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(size - start);
        if len > 0 {
            map.prefetch(start, len);
        }
        Ok(())
    }

    fn drop(&mut self, file: Resource<w::File>) -> wasmtime::Result<()> {
        self.delete::<OpenFile, _>(file).map_err(table_error)?;
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// As a hub's cache has them: names that link to blobs elsewhere.
    #[test]
    fn parts_are_found_where_their_links_lead() {
        let cache = tempfile::tempdir().unwrap();
        let at = |name: &str| cache.path().join(name);
        std::fs::create_dir_all(at("snapshots/x")).unwrap();
        std::fs::create_dir(at("blobs")).unwrap();
        for part in ["1", "2"] {
            std::fs::write(at("blobs").join(part), part).unwrap();
            let name = format!("snapshots/x/m-0000{part}-of-00003.gguf");
            symlink(format!("../../blobs/{part}"), at(&name)).unwrap();
        }
        let weights = Weights::open(&at("snapshots/x/m-00001-of-00003.gguf")).unwrap();
        let bytes = |name: &str| weights.map(name).map(|source| source.bytes().to_vec());
        assert_eq!(bytes("m-00001-of-00003.gguf").unwrap(), b"1");
        assert_eq!(bytes("m-00002-of-00003.gguf").unwrap(), b"2");
        let missing = bytes("m-00003-of-00003.gguf").unwrap_err();
        assert!(matches!(&missing, w::Error::NotFound(m) if m.ends_with("no such file")), "{missing:?}");
        let other = bytes("blobs/1").unwrap_err();
        assert!(matches!(&other, w::Error::NotFound(m) if m.contains("nor a part of it")), "{other:?}");
    }

    #[test]
    fn a_part_is_mapped_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let names = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
        names.iter().for_each(|name| std::fs::write(at(name), name).unwrap());
        let weights = Weights::open(&at(names[0])).unwrap();
        let [first, again] = [0, 1].map(|_| weights.map(names[1]).unwrap());
        assert!(Arc::ptr_eq(&first, &again));
    }

    #[test]
    fn a_part_that_is_a_pipe_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("m-00001-of-00002.gguf"), "1").unwrap();
        let made = std::process::Command::new("mkfifo").arg(at("m-00002-of-00002.gguf")).status();
        assert!(made.unwrap().success());
        let weights = Weights::open(&at("m-00001-of-00002.gguf")).unwrap();
        let refused = weights.map("m-00002-of-00002.gguf").unwrap_err();
        assert!(
            matches!(&refused, w::Error::NotFound(m) if m.ends_with("found a named pipe")),
            "{refused:?}"
        );
    }
}
