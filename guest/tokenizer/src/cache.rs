//! The tokens of words seen before: ordinary text repeats itself.

use crate::table::hash;

/// Words and their ids, for the time of one text. Direct-mapped: a word takes the place of another with the same slot.
#[derive(Debug)]
pub(crate) struct WordCache {
    slots: Vec<Slot>,
    /// Bytes of the words.
    text: Vec<u8>,
    ids: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: u64,
    text: u32,
    len: u32,
    ids: u32,
    n: u32,
}

const SLOTS: usize = 1 << 13;

/// Texts below this have nothing to repeat, bytes.
const WORTH: usize = 1 << 10;

/// Words beyond this are left alone, bytes.
const LONGEST: usize = 64;

/// When so many bytes of words are held, all are forgotten.
const MOST: usize = 1 << 20;

impl WordCache {
    /// A cache for a text of `len` bytes.
    pub(crate) fn new(len: usize) -> WordCache {
        let slots = vec![Slot::default(); if len < WORTH { 0 } else { SLOTS }];
        WordCache { slots, text: Vec::new(), ids: Vec::new() }
    }

    /// Appends the ids of a word: those it had the last time, or those that `encode` appends.
    pub(crate) fn encode(&mut self, word: &str, out: &mut Vec<u32>, encode: impl FnOnce(&mut Vec<u32>)) {
        let word = word.as_bytes();
        if self.slots.is_empty() || word.is_empty() || word.len() > LONGEST {
            return encode(out);
        }
        let hash = hash(word);
        let at = (hash >> 32) as usize % SLOTS;
        let slot = self.slots[at];
        if slot.hash == hash && self.text[slot.text as usize..][..slot.len as usize] == *word {
            let start = slot.ids as usize;
            return out.extend_from_slice(&self.ids[start..start + slot.n as usize]);
        }
        let before = out.len();
        encode(out);
        if self.text.len() > MOST {
            self.slots.fill(Slot::default());
            self.text.clear();
            self.ids.clear();
        }
        let (text, ids) = (self.text.len() as u32, self.ids.len() as u32);
        self.text.extend_from_slice(word);
        self.ids.extend_from_slice(&out[before..]);
        self.slots[at] = Slot { hash, text, len: word.len() as u32, ids, n: (out.len() - before) as u32 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_encoded_once_and_told_apart() {
        let mut cache = WordCache::new(WORTH);
        let (mut out, mut calls) = (Vec::new(), 0);
        for word in ["a", "b", "a", "", "ab", "b"] {
            cache.encode(word, &mut out, |out| {
                calls += 1;
                out.extend(word.bytes().map(u32::from));
            });
        }
        assert_eq!(out, [97, 98, 97, 97, 98, 98]);
        assert_eq!(calls, 4, "a, b, the empty word, ab");
    }

    #[test]
    fn more_words_than_fit_are_right_too() {
        let mut cache = WordCache::new(WORTH);
        for round in 0..2 {
            for n in 0..60_000u32 {
                let mut out = Vec::new();
                cache.encode(&format!("word number {n}"), &mut out, |out| out.push(n));
                assert_eq!(out, [n], "round {round}");
            }
        }
    }
}
