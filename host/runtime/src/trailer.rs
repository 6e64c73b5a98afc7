//! The last bytes of a program that carries compiled code: where it is, and for which component.
//!
//! ```text
//! program │ zeros to a multiple of 64 KiB │ code │ trailer
//! ```

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

const MAGIC: &[u8; 16] = b"wasm-chord code\0";
/// Of the trailer: magic and four numbers.
const BYTES: usize = 16 + 4 * 8;
/// Code starts at a multiple of this, the largest page of the systems we run on.
const ALIGN: u64 = 64 << 10;

/// What a program carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// Bytes of the program without what it carries.
    pub(crate) program: u64,
    /// Where the code starts.
    pub(crate) start: u64,
    /// Bytes of the code.
    pub(crate) len: u64,
    /// Which component it was compiled from.
    pub(crate) component: u64,
}

impl Trailer {
    /// Reads the end of a program. None if it carries nothing.
    pub(crate) fn read(file: &mut File) -> io::Result<Option<Trailer>> {
        let len = file.seek(SeekFrom::End(0))?;
        if len < BYTES as u64 {
            return Ok(None);
        }
        let end = file.seek(SeekFrom::End(-(BYTES as i64)))?;
        let mut bytes = [0; BYTES];
        file.read_exact(&mut bytes)?;
        Ok(Trailer::parse(&bytes).filter(|t| t.fits(end)))
    }

    fn parse(bytes: &[u8; BYTES]) -> Option<Trailer> {
        let numbers = bytes.strip_prefix(MAGIC)?;
        let (numbers, _) = numbers.as_chunks();
        let [program, start, len, component] =
            numbers.try_into().ok().map(|n: [[u8; 8]; 4]| n.map(u64::from_le_bytes))?;
        Some(Trailer { program, start, len, component })
    }

    /// Whether the code lies behind the program and ends at `end`.
    fn fits(&self, end: u64) -> bool {
        let aligned = self.start.is_multiple_of(ALIGN) && self.program <= self.start;
        aligned && self.len > 0 && self.start.checked_add(self.len) == Some(end)
    }

    /// Writes a copy of `program` that carries `code`, instead of what it may carry already.
    pub(crate) fn write(
        program: &mut File,
        code: &[u8],
        component: u64,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let carried = Trailer::read(program)?;
        let program_len = carried.map_or_else(|| program.seek(SeekFrom::End(0)), |t| Ok(t.program))?;
        let start = program_len.next_multiple_of(ALIGN);
        program.seek(SeekFrom::Start(0))?;
        io::copy(&mut program.take(program_len), out)?;
        io::copy(&mut io::repeat(0).take(start - program_len), out)?;
        out.write_all(code)?;
        out.write_all(MAGIC)?;
        [program_len, start, code.len() as u64, component]
            .iter()
            .try_for_each(|n| out.write_all(&n.to_le_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn carry(program: &[u8], code: &[u8], component: u64) -> Vec<u8> {
        let mut out = Vec::new();
        Trailer::write(&mut file(program), code, component, &mut out).unwrap();
        out
    }

    #[test]
    fn code_is_found_where_it_was_put() {
        let program = vec![7; 70_000];
        let out = carry(&program, b"code", 9);
        assert_eq!((&out[..70_000], &out[131_072..131_076]), (&program[..], &b"code"[..]));
        let trailer = Trailer { program: 70_000, start: 131_072, len: 4, component: 9 };
        assert_eq!(Trailer::read(&mut file(&out)).unwrap(), Some(trailer));
    }

    #[test]
    fn a_second_copy_replaces_the_first() {
        let first = carry(b"program", b"old code", 1);
        assert_eq!(carry(&first, b"new", 2), carry(b"program", b"new", 2));
    }

    #[test]
    fn a_program_cut_short_or_stripped_carries_nothing() {
        let whole = carry(b"program", b"code", 1);
        for len in [0, 7, 47, 48, whole.len() - 48, whole.len() - 1] {
            assert_eq!(Trailer::read(&mut file(&whole[..len])).unwrap(), None, "{len} bytes");
        }
        let mut moved = whole.clone();
        moved.insert(0, 0);
        assert_eq!(Trailer::read(&mut file(&moved)).unwrap(), None, "numbers that do not fit the file");
    }
}
