//! Parts of a text that no token crosses: each can be cut into tokens on its own.

use crate::vocab::SPACE;
use std::collections::BTreeSet;

/// Characters that stand side by side in some token.
#[derive(Debug)]
pub(crate) struct Pairs {
    /// Of ASCII: by the first, a bit for the second.
    ascii: Box<[u128; 128]>,
    /// Before U+2581, but not U+2581 itself.
    before_space: BTreeSet<char>,
}

impl Pairs {
    /// Of no tokens.
    pub(crate) fn new() -> Pairs {
        Pairs { ascii: Box::new([0; 128]), before_space: BTreeSet::new() }
    }

    /// Adds those of a token.
    pub(crate) fn add(&mut self, token: &str) {
        for (a, b) in token.chars().zip(token.chars().skip(1)) {
            if a.is_ascii() && b.is_ascii() {
                self.ascii[a as usize] |= 1 << b as u32;
            } else if a != SPACE && b == SPACE {
                self.before_space.insert(a);
            }
        }
    }

    /// The parts of a text. A run of U+2581 stays with what is behind it, and characters beyond ASCII with their
    /// neighbours.
    pub(crate) fn split<'t>(&self, mut text: &'t str) -> impl Iterator<Item = &'t str> {
        std::iter::from_fn(move || {
            let (part, rest) = text.split_at(self.first(text));
            text = rest;
            (!part.is_empty()).then_some(part)
        })
    }

    /// Bytes of the first part.
    fn first(&self, text: &str) -> usize {
        let bytes = text.as_bytes();
        for (at, pair) in bytes.windows(2).enumerate() {
            let (a, b) = (pair[0], pair[1]);
            let end = match b {
                _ if b.is_ascii() => a.is_ascii() && self.ascii[a as usize] >> b & 1 == 0,
                // The first byte of U+2581.
                0xe2 => self.ends_before_space(&text[..=at], &bytes[at + 1..]),
                _ => false,
            };
            if end {
                return at + 1;
            }
        }
        text.len()
    }

    fn ends_before_space(&self, before: &str, rest: &[u8]) -> bool {
        let last = before.chars().next_back();
        rest.starts_with(SPACE_BYTES) && last.is_some_and(|c| c != SPACE && !self.before_space.contains(&c))
    }
}

const SPACE_BYTES: &[u8] = "\u{2581}".as_bytes();

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(tokens: &[&str]) -> Pairs {
        let mut pairs = Pairs::new();
        tokens.iter().for_each(|token| pairs.add(token));
        pairs
    }

    #[test]
    fn parts_end_where_no_token_goes_on() {
        let pairs = pairs(&["abc", "\u{2581}a", "c\u{2581}", "é\u{2581}é"]);
        let parts = |text| pairs.split(text).collect::<Vec<_>>();
        assert_eq!(parts("abcab"), ["abc", "ab"]);
        assert_eq!(parts("a\u{2581}\u{2581}abc\u{2581}a"), ["a", "\u{2581}\u{2581}abc\u{2581}a"]);
        assert_eq!(
            parts("aéa\u{2581}é\u{2581}ü\u{2581}\u{2580}"),
            ["aéa", "\u{2581}é\u{2581}ü", "\u{2581}\u{2580}"]
        );
        assert_eq!((parts(""), parts("\u{2581}")), (vec![], vec!["\u{2581}"]));
    }

    proptest! {
        #[test]
        fn no_token_crosses(tokens in prop::collection::vec("[abé\u{2581}]{1,4}", 0..4), text in "[abé\u{2581}]{0,30}") {
            let pairs = pairs(&tokens.iter().map(String::as_str).collect::<Vec<_>>());
            let parts: Vec<&str> = pairs.split(&text).collect();
            prop_assert_eq!(parts.concat(), text.clone());
            let ends: Vec<usize> = parts.iter().scan(0, |at, part| { *at += part.len(); Some(*at) }).collect();
            for token in &tokens {
                for (start, _) in text.match_indices(token.as_str()) {
                    prop_assert!(!ends.iter().any(|&end| start < end && end < start + token.len()), "{parts:?}");
                }
            }
        }
    }
}
