//! Reading forward through a file in buffered ranges.

use crate::{Error, ReadAt};

/// Bytes read at once: in the engine each read is a host call.
const CHUNK: u64 = 1 << 20;

/// Most bytes of metadata and directory together. Real ones have some ten MiB; without a limit, a count in a file of
/// many GiB could ask for more memory than a 32-bit address space has.
const MAX_HEADER: u64 = 256 << 20;

/// A position in a file with a buffer around it.
pub(crate) struct Cursor<'a> {
    source: &'a dyn ReadAt,
    pub(crate) file: &'a str,
    size: u64,
    buffer: Vec<u8>,
    /// Offset of the buffer's first byte.
    start: u64,
    /// Offset of the next byte.
    pub(crate) at: u64,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(source: &'a dyn ReadAt, file: &'a str) -> Cursor<'a> {
        Cursor { source, file, size: source.size(), buffer: Vec::new(), start: 0, at: 0 }
    }

    /// Bytes that are left in the file.
    pub(crate) fn left(&self) -> u64 {
        self.size.saturating_sub(self.at)
    }

    /// Checks that `count` items of at least `each` bytes can still follow, and returns the count.
    pub(crate) fn room(&self, what: &str, count: u64, each: u64) -> Result<usize, Error> {
        let needed = count.saturating_mul(each);
        if needed > self.left() {
            return Err(self.truncated(what, needed));
        }
        self.small(what, needed)?;
        usize::try_from(count).map_err(|_| self.truncated(what, needed))
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, what: &str, len: usize) -> Result<&[u8], Error> {
        if len as u64 > self.left() {
            return Err(self.truncated(what, len as u64));
        }
        self.small(what, len as u64)?;
        let mut from = (self.at - self.start) as usize;
        if from.saturating_add(len) > self.buffer.len() {
            let want = (len as u64).max(CHUNK).min(self.left());
            // Not two of them at the same time.
            self.buffer = Vec::new();
            self.buffer = self.source.read_at(self.at, want as usize)?;
            if self.buffer.len() < len {
                return Err(self.truncated(what, len as u64));
            }
            self.start = self.at;
            from = 0;
        }
        self.at += len as u64;
        Ok(&self.buffer[from..from + len])
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Error> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(what, N)?);
        Ok(out)
    }

    pub(crate) fn u32(&mut self, what: &str) -> Result<u32, Error> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &str) -> Result<u64, Error> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A string: length in bytes, then UTF-8.
    pub(crate) fn string(&mut self, what: &str) -> Result<&str, Error> {
        let (file, start) = (self.file, self.at + 8);
        core::str::from_utf8(self.text(what)?).map_err(|e| {
            let bad = start + e.valid_up_to() as u64;
            Error::header(file, what, "UTF-8", format!("another byte at offset {bad}"))
        })
    }

    /// A string whose bytes need not be UTF-8.
    pub(crate) fn text(&mut self, what: &str) -> Result<&[u8], Error> {
        let len = self.u64(what)?;
        let len = self.room(what, len, 1)?;
        self.take(what, len)
    }

    /// Checks that the header may be `more` bytes longer than what has been read of it.
    fn small(&self, what: &str, more: u64) -> Result<(), Error> {
        let found = self.at.saturating_add(more);
        if found > MAX_HEADER {
            let expected = format!("to end in the first {MAX_HEADER} bytes, as metadata and directory must");
            return Err(Error::header(self.file, what, expected, format!("an end at {found}")));
        }
        Ok(())
    }

    fn truncated(&self, what: &str, needed: u64) -> Error {
        Error::Truncated {
            file: self.file.into(),
            what: what.into(),
            needed,
            offset: self.at,
            size: self.size,
        }
    }
}
