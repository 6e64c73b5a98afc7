//! Cut and mutated files: an error or a sound directory, never a panic.

#[expect(dead_code, reason = "each test file uses a part")]
mod common;

use chord_gguf::Gguf;
use common::{parse, sample};

#[test]
fn every_truncation_is_refused() {
    let whole = sample().finish();
    assert!(parse(&whole).is_ok());
    for len in 0..whole.len() {
        let message = parse(&whole[..len]).expect_err("a cut file").to_string();
        assert!(message.starts_with("m.gguf: "), "{len}: {message}");
    }
}

/// What a directory promises of a file of `size` bytes.
fn check(file: &Gguf, size: u64) {
    for t in &file.tensors {
        assert!(t.offset.checked_add(t.bytes).is_some_and(|end| end <= size), "{t:?}");
        assert!(t.offset % file.alignment == 0 && t.offset >= file.data_offset, "{t:?}");
        assert!((1..=4).contains(&t.dims.len()) && !t.dims.contains(&0), "{t:?}");
        assert_eq!(t.dtype.bytes_for(t.dims.iter().product()), Some(t.bytes));
        assert_eq!(file.tensor(&t.name), Some(t));
    }
}

/// xorshift64*, so that a failing round can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n
    }
}

#[test]
fn twenty_thousand_mutations() {
    let whole = sample().finish();
    let (mut parsed, mut refused) = (0, 0);
    for round in 0..20_000u64 {
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ (round + 1));
        (0..9).for_each(|_| _ = random.below(1));
        let mut bytes = whole.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(5) {
                0 => bytes[at] = random.below(256) as u8,
                1 => bytes[at] ^= 1 << random.below(8),
                2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                3 => drop(bytes.remove(at)),
                _ => bytes.insert(at, random.below(256) as u8),
            }
        }
        match parse(&bytes) {
            Ok(file) => {
                check(&file, bytes.len() as u64);
                parsed += 1;
            }
            Err(e) => {
                assert!(!e.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(
        parsed > 1000 && refused > 1000,
        "mutations too weak or too strong: {parsed} parsed, {refused} refused"
    );
}

/// Every byte of the header at its extremes.
#[test]
fn every_byte_at_its_extremes() {
    let whole = sample().finish();
    for at in 0..whole.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            if let Ok(file) = parse(&bytes) {
                check(&file, bytes.len() as u64);
            }
        }
    }
}
