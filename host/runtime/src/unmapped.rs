//! Model files that cannot be mapped, as on some network and user file systems, are read into memory.

use memmap2::{Mmap, MmapMut};
use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

/// Memory left for the files of one model.
#[derive(Debug)]
pub(crate) struct Readable {
    most: u64,
    left: AtomicU64,
}

impl Readable {
    pub(crate) fn new(bytes: u64) -> Readable {
        Readable { most: bytes, left: AtomicU64::new(bytes) }
    }

    /// Reads a whole file that could not be mapped because of `why`.
    pub(crate) fn read(&self, mut file: &File, why: &io::Error) -> io::Result<Mmap> {
        let bytes = file.metadata()?.len();
        let charge = |left: u64| left.checked_sub(bytes);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, charge).is_err() {
            let (needed, most) = (bytes.div_ceil(1 << 20), self.most >> 20);
            let text =
                format!("{why}; reading its {needed} MiB into memory would exceed the {most} MiB for that");
            return Err(io::Error::other(text));
        }
        tracing::warn!("the model file cannot be mapped ({why}) and is read into memory");
        let mut memory = MmapMut::map_anon(usize::try_from(bytes).map_err(io::Error::other)?)?;
        file.read_exact(&mut memory)?;
        memory.make_read_only()
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
        assert_eq!(readable.read(&file, &why).unwrap()[..], [7; 3000]);
        let refused = readable.read(&file, &why).unwrap_err().to_string();
        assert!(refused.contains("reading its 1 MiB") && refused.contains("exceed"), "{refused}");
    }
}
