//! SentencePiece's compiled normalisation rules: a double array over the bytes of what is replaced, and the
//! replacements.

use crate::Error;

/// Rules `prefix -> replacement`; the longest prefix wins.
#[derive(Debug)]
pub(crate) struct Charsmap {
    /// The double array (Darts): per unit a label, an offset, and whether a value follows.
    units: Vec<u32>,
    /// Replacements, each ended by a zero byte.
    replacements: Vec<u8>,
}

const KEY: &str = "tokenizer.ggml.precompiled_charsmap";

impl Charsmap {
    /// Reads `u32 length, double array, replacements`.
    pub(crate) fn new(bytes: &[u8]) -> Result<Charsmap, Error> {
        let bad = |why: &str| Error::Charsmap(format!("{KEY}: {why}"));
        let (length, rest) =
            bytes.split_first_chunk::<4>().ok_or_else(|| bad("expected a length of 4 bytes"))?;
        let length = u32::from_le_bytes(*length) as usize;
        if !length.is_multiple_of(4) || length > rest.len() {
            let left = rest.len();
            return Err(bad(&format!(
                "expected an array of 4-byte units within {left} bytes, found {length} bytes"
            )));
        }
        let (array, replacements) = rest.split_at(length);
        let units = array.as_chunks::<4>().0.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        Ok(Charsmap { units, replacements: replacements.to_vec() })
    }

    /// Bytes of the longest rule that `text` begins with, and its replacement. A rule that leads out of the array, into
    /// the middle of a character, or to what is no text, is none.
    pub(crate) fn longest(&self, text: &str) -> Option<(usize, &str)> {
        let mut at = self.root()?;
        let mut longest = None;
        for (i, &byte) in text.as_bytes().iter().enumerate() {
            let Some((next, has_value)) = self.step(at, byte) else { break };
            at = next;
            if has_value && text.is_char_boundary(i + 1) {
                let value = self.units.get(at).map(|&unit| unit & 0x7fff_ffff);
                longest = value.and_then(|v| self.replacement(v as usize)).map(|r| (i + 1, r)).or(longest);
            }
        }
        longest
    }

    /// Whether some rule may begin with these bytes.
    pub(crate) fn has_rules_of(&self, bytes: &[u8]) -> bool {
        let step = |at: usize, &byte: &u8| self.step(at, byte).map(|(next, _)| next);
        self.root().is_some_and(|root| bytes.iter().try_fold(root, step).is_some())
    }

    /// Where children of the root are looked for.
    fn root(&self) -> Option<usize> {
        Some(offset(*self.units.first()?) as usize)
    }

    /// Where children of the next unit are looked for, and whether its value is there.
    fn step(&self, at: usize, byte: u8) -> Option<(usize, bool)> {
        let at = at ^ byte as usize;
        let unit = *self.units.get(at)?;
        let is_child = byte != 0 && label(unit) == byte.into();
        is_child.then(|| (at ^ offset(unit) as usize, has_leaf(unit)))
    }

    fn replacement(&self, at: usize) -> Option<&str> {
        let rest = self.replacements.get(at..)?;
        let end = rest.iter().position(|&b| b == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    }
}

/// Distance to a unit's children.
fn offset(unit: u32) -> u32 {
    (unit >> 10) << ((unit & (1 << 9)) >> 6)
}

/// The byte that leads to a unit; with the highest bit, the unit is a value.
fn label(unit: u32) -> u32 {
    unit & (1 << 31 | 0xff)
}

fn has_leaf(unit: u32) -> bool {
    unit >> 8 & 1 == 1
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One rule: "a" becomes "xy". Unit 0 is the root with its children at 0 ^ 0 = 0, unit 97 ('a') has a leaf, its
    /// value at 97 ^ 1 = 96.
    fn one_rule() -> Vec<u8> {
        let mut units = vec![0u32; 128];
        units[97] = 1 << 10 | 1 << 8 | 97;
        units[96] = 1 << 31;
        let mut bytes = 512u32.to_le_bytes().to_vec();
        units.iter().for_each(|u| bytes.extend(u.to_le_bytes()));
        bytes.extend(b"xy\0");
        bytes
    }

    /// One rule: "ab" becomes "". Unit 97 has its children at 97 ^ 256, unit 259 ('b') has its value at 259 ^ 1.
    pub(crate) fn one_rule_of_two_letters() -> Charsmap {
        let mut units = vec![0u32; 512];
        (units[97], units[259], units[258]) = (256 << 10 | 97, 1 << 10 | 1 << 8 | 98, 1 << 31);
        Charsmap { units, replacements: vec![0] }
    }

    #[test]
    fn the_longest_rule_is_found() {
        let map = Charsmap::new(&one_rule()).unwrap();
        assert_eq!(map.longest("ab"), Some((1, "xy")));
        assert_eq!(
            (map.longest("b"), map.longest(""), map.longest("\0"), map.longest("\u{ff}")),
            (None, None, None, None)
        );
        let begins = |bytes| map.has_rules_of(bytes);
        assert!(begins(b"") && begins(b"a") && !begins(b"b") && !begins(b"ab") && !begins(b"\0"));
        let map = one_rule_of_two_letters();
        assert_eq!((map.longest("abc"), map.longest("a")), (Some((2, "")), None));
    }

    #[test]
    fn damaged_maps_are_refused_or_hold_no_rule() {
        for bad in [&[][..], &[1, 2, 3], &[8, 0, 0, 0, 1], &[3, 0, 0, 0, 1, 2, 3]] {
            assert!(matches!(Charsmap::new(bad), Err(Error::Charsmap(_))), "{bad:?}");
        }
        let mut cut = one_rule();
        cut.truncate(cut.len() - 1);
        assert_eq!(Charsmap::new(&cut).unwrap().longest("a"), None, "an unterminated replacement");
        let mut far = one_rule();
        far[4 + 96 * 4..][..4].copy_from_slice(&(1u32 << 31 | 99).to_le_bytes());
        assert_eq!(Charsmap::new(&far).unwrap().longest("a"), None, "a replacement beyond the end");
        assert_eq!(Charsmap::new(&[0, 0, 0, 0]).unwrap().longest("a"), None, "no units");
    }
}
