//! The files that one instance may read, and the contract's `weights` interface over them.

use crate::mapping::Mapping;
use crate::state::{State, table_error};
use crate::unmapped::Readable;
use crate::{Error, Limits};
use cap_std::fs::Dir;
use chord_wit::weights as w;
use memmap2::Mmap;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
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
    /// Name of the model file.
    name: String,
    /// Its folder, for siblings only.
    folder: Option<Dir>,
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
    Read(Mmap),
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
    /// Offers the model file at `path`. Siblings `…-00002-of-0000N.gguf` are found in its folder, and only there.
    pub fn open(path: &Path) -> Result<Weights, Error> {
        Weights::open_within(path, &Limits::default())
    }

    /// The same, reading at most [`Limits::read_bytes`] into memory where files cannot be mapped.
    pub fn open_within(path: &Path, limits: &Limits) -> Result<Weights, Error> {
        let fail = |why: String| Error::Model { path: path.display().to_string(), why };
        let file = std::fs::File::open(path).map_err(|e| fail(plain(&e)))?;
        let meta = file.metadata().map_err(|e| fail(plain(&e)))?;
        if meta.is_dir() {
            return Err(fail("expected a GGUF file, found a directory".into()));
        }
        if !meta.is_file() {
            return Err(fail("expected a regular file".into()));
        }
        let name = path.file_name().and_then(|n| n.to_str());
        let name = name.ok_or_else(|| fail("the file name is not UTF-8".into()))?.to_owned();
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder =
            Dir::open_ambient_dir(parent, cap_std::ambient_authority()).map_err(|e| fail(plain(&e)))?;
        let readable = Readable::new(limits.read_bytes);
        let source = Source::open(&file, &readable).map_err(|e| fail(format!("cannot map it: {e}")))?;
        Ok(Weights::with(name, Some(folder), source, readable))
    }

    /// Offers a model that is part of the program. `bytes` should be aligned to 64 bytes.
    pub fn embedded(name: &str, bytes: &'static [u8]) -> Weights {
        Weights::with(name.into(), None, Source::Static(bytes), Readable::new(0))
    }

    fn with(name: String, folder: Option<Dir>, source: Source, readable: Readable) -> Weights {
        let mapped = Mutex::new(BTreeMap::from([(name.clone(), Arc::new(source))]));
        Weights { shared: Arc::new(Offered { name, folder, mapped, readable }) }
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
        let mut mapped = self.shared.mapped.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(map) = mapped.get(name) {
            return Ok(map.clone());
        }
        let not_found = |why: &str| w::Error::NotFound(format!("`{name}`: {why}"));
        if !is_sibling(&self.shared.name, name) {
            return Err(not_found("not the model, nor a part of it"));
        }
        let folder = self.shared.folder.as_ref().ok_or_else(|| not_found("the model has no folder"))?;
        let file = folder.open(name).map_err(|e| not_found(&plain(&e)))?;
        let source = Source::open(&file.into_std(), &self.shared.readable);
        let map = Arc::new(source.map_err(|e| w::Error::Other(format!("`{name}`: {e}")))?);
        mapped.insert(name.into(), map.clone());
        Ok(map)
    }
}

/// An error of the operating system without its number.
fn plain(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => e.to_string(),
    }
}

/// `base-00001-of-00003.gguf` and `base-00002-of-00003.gguf` are siblings.
fn is_sibling(model: &str, name: &str) -> bool {
    fn split(name: &str) -> Option<(&str, &str)> {
        let stem = name.strip_suffix(".gguf")?;
        let (rest, count) = stem.rsplit_once("-of-")?;
        let (base, index) = rest.rsplit_once('-')?;
        let five = |s: &str| s.len() == 5 && s.bytes().all(|b| b.is_ascii_digit());
        (five(index) && five(count)).then_some((base, count))
    }
    split(model).is_some_and(|m| split(name) == Some(m)) && !name.contains(['/', '\\', '\0'])
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

#[cfg(test)]
mod tests {
    use super::is_sibling;

    #[test]
    fn only_parts_of_the_same_model_are_siblings() {
        let model = "a-00001-of-00003.gguf";
        assert!(is_sibling(model, "a-00002-of-00003.gguf"));
        for name in [
            "b-00002-of-00003.gguf",
            "a-00002-of-00004.gguf",
            "../a-00002-of-00003.gguf",
            "a-2-of-00003.gguf",
            "a-0000x-of-00003.gguf",
            "/etc/passwd",
            "",
        ] {
            assert!(!is_sibling(model, name), "{name}");
        }
        assert!(!is_sibling("a.gguf", "a-00002-of-00003.gguf"), "a model that is not split has none");
    }
}
