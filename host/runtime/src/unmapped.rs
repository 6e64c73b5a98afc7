//! Model files that cannot be mapped, as on some network and user file systems, are read into memory.

use chord_ops::{Budget, Charge};
use memmap2::{Mmap, MmapMut};
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

/// Memory for the files of one model.
#[derive(Debug)]
pub(crate) struct Readable(Arc<Budget>);

/// A whole file in memory.
#[derive(Debug)]
pub(crate) struct InMemory {
    bytes: Mmap,
    _charge: Charge,
}

impl std::ops::Deref for InMemory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Readable {
    pub(crate) fn new(bytes: u64) -> Readable {
        Readable(Budget::new(usize::try_from(bytes).unwrap_or(usize::MAX)))
    }

    /// Reads a whole file that could not be mapped because of `why`.
    pub(crate) fn read(&self, mut file: &File, why: &io::Error) -> io::Result<InMemory> {
        let bytes = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let exceeds = |_| {
            let (needed, most) = (bytes.div_ceil(1 << 20), self.0.limit() >> 20);
            let text = "would exceed the";
            io::Error::other(format!(
                "{why}; reading its {needed} MiB into memory {text} {most} MiB for that"
            ))
        };
        let charge = self.0.charge("a model file", bytes).map_err(exceeds)?;
        tracing::warn!("the model file cannot be mapped ({why}) and is read into memory");
        let mut memory = MmapMut::map_anon(bytes)?;
        file.read_exact(&mut memory)?;
        Ok(InMemory { bytes: memory.make_read_only()?, _charge: charge })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    #[test]
    fn files_are_read_within_the_budget() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 3000]).unwrap();
        file.rewind().unwrap();
        let (readable, why) = (Readable::new(5000), io::Error::from_raw_os_error(19));
        let first = readable.read(&file, &why).unwrap();
        assert_eq!(first[..], [7; 3000]);
        let refused = readable.read(&file, &why).unwrap_err().to_string();
        assert!(refused.contains("reading its 1 MiB") && refused.contains("exceed"), "{refused}");
    }
}
