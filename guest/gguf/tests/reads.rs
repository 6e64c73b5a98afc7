//! How a file is read: in few ranges, and nothing behind the end of what a header may be.

use chord_gguf::{Array, Error, Gguf, ReadAt, Value, Writer};
use chord_quant::DType;
use std::cell::RefCell;

/// Notes the ranges that are read: offset and length.
struct Noted {
    bytes: Vec<u8>,
    reads: RefCell<Vec<(u64, usize)>>,
}

impl ReadAt for Noted {
    fn size(&self) -> u64 {
        self.bytes.size()
    }

    fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut reads = self.reads.borrow_mut();
        reads.push((offset, len));
        assert!(reads.len() < 100, "read again and again: {reads:?}");
        self.bytes.read_at(offset, len)
    }
}

fn reads(bytes: Vec<u8>) -> Vec<(u64, usize)> {
    let file = Noted { bytes, reads: RefCell::default() };
    Gguf::parse(&file, "m.gguf").expect("it parses");
    file.reads.into_inner()
}

/// Its last byte is the last one that is read.
#[test]
fn a_small_header_is_read_at_once() {
    let file =
        Writer::new().metadata("k", Value::U32(1)).metadata("l", Value::String("text".into())).finish();
    let size = file.len();
    assert_eq!(reads(file), [(0, size)]);
}

#[test]
fn a_large_header_is_read_by_the_mebibyte() {
    let texts = (0..300_000).map(|i| format!("token {i}")).collect();
    let writer = Writer::new().metadata("k", Value::Array(Array::String(texts)));
    let file = writer.tensor("t", DType::I8, &[3 << 20], &vec![0; 3 << 20]).finish();
    let header = file.len() - (3 << 20);
    let reads = reads(file);
    assert!(reads.len() <= header / (1 << 20) + 2, "{reads:?}");
    assert!(reads.iter().all(|&(_, len)| len == 1 << 20), "{reads:?}");
    // Each begins where the last one ends, but for the item that did not fit.
    for pair in reads.windows(2) {
        let (end, next) = (pair[0].0 + pair[0].1 as u64, pair[1].0);
        assert!(next <= end && next + 64 > end, "{pair:?}");
    }
}

/// An array of bytes that ends where a header must have ended, in a file that cannot be read so far: whether it was tried is
/// in the error.
#[test]
fn a_header_may_have_256_mib() {
    struct Beginning(Vec<u8>);
    impl ReadAt for Beginning {
        fn size(&self) -> u64 {
            1 << 40
        }
        fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
            if len > 1 << 20 {
                return Err(Error::read("m.gguf", "tried"));
            }
            let mut bytes = self.0.clone();
            bytes.resize(offset as usize + len, 0);
            Ok(bytes.split_off(offset as usize))
        }
    }
    // Up to its elements: 24 of header, 9 of key, 4 of type, 4 of element type, 8 of count.
    let message = |count: u64| {
        let mut start = Writer::new().metadata("k", Value::Array(Array::U8(vec![]))).finish();
        start[41..49].copy_from_slice(&count.to_le_bytes());
        Gguf::parse(&Beginning(start), "m.gguf").expect_err("it cannot be read").to_string()
    };
    assert_eq!(message((256 << 20) - 49), "m.gguf: cannot be read: tried");
    assert_eq!(
        message((256 << 20) - 48),
        "m.gguf: value of `k`: expected to end in the first 268435456 bytes, as metadata and directory must, \
         found an end at 268435457"
    );
}
