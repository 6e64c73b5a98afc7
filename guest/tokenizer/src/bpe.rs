//! Byte-level BPE: the bytes of a word are merged pair by pair, the lowest rank first.

use crate::Error;
use crate::pre::Pre;
use crate::table::Merges;
use crate::vocab::{Vocab, byte_of_char, char_of_byte};
use chord_gguf::Metadata;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const MERGES: &str = "tokenizer.ggml.merges";

#[derive(Debug)]
pub(crate) struct Bpe {
    pre: &'static Pre,
    merges: Merges,
    /// By byte: the token that stands for it alone.
    bytes: Box<[u32; 256]>,
}

/// No token: a byte that the vocabulary lacks.
const NONE: u32 = u32::MAX;

/// Up to so many symbols the best pair is found by looking at all of them; beyond, by a heap.
const SHORT: usize = 32;

/// A token of a word being merged; in long words, linked.
#[derive(Clone, Copy, Debug)]
struct Symbol {
    id: u32,
    prev: u32,
    next: u32,
}

impl Bpe {
    pub(crate) fn new(metadata: &Metadata, vocab: &Vocab, pre: &'static Pre) -> Result<Bpe, Error> {
        let list = metadata.strings(MERGES)?.ok_or(Error::MissingKey(MERGES))?;
        let mut merges = Merges::new(list.len());
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (index, merge) in list.iter().enumerate() {
            let (a, b) = parts(merge).ok_or_else(|| Error::Merge { index, found: merge.into() })?;
            // Merges of or into what is no token cannot happen.
            let spelled = spell(a, &mut left) && spell(b, &mut right);
            let ids = (vocab.id_of_bytes(&left), vocab.id_of_bytes(&right));
            left.extend_from_slice(&right);
            if let ((Some(a), Some(b)), Some(merged), true) = (ids, vocab.id_of_bytes(&left), spelled) {
                merges.insert(a, b, index as u32, merged);
            }
        }
        let bytes = Box::new(std::array::from_fn(|b| {
            vocab.id_of_text(char_of_byte(b as u8).encode_utf8(&mut [0; 4])).unwrap_or(NONE)
        }));
        Ok(Bpe { pre, merges, bytes })
    }

    /// Appends the ids of a text without special tokens. Bytes that the vocabulary lacks are left out.
    pub(crate) fn encode(&self, vocab: &Vocab, text: &str, out: &mut Vec<u32>) {
        let mut symbols = Vec::new();
        self.pre.split(text, &mut |word| self.word(vocab, word.as_bytes(), &mut symbols, out));
    }

    fn word(&self, vocab: &Vocab, word: &[u8], symbols: &mut Vec<u32>, out: &mut Vec<u32>) {
        if let [byte] = word {
            return out.extend(Some(self.bytes[*byte as usize]).filter(|&id| id != NONE));
        }
        if self.pre.ignore_merges
            && let Some(id) = vocab.id_of_bytes(word)
        {
            return out.push(id);
        }
        if word.len() > SHORT {
            return self.long(word, out);
        }
        symbols.clear();
        symbols.extend(word.iter().map(|&b| self.bytes[b as usize]));
        self.short(symbols);
        out.extend(symbols.iter().filter(|&&id| id != NONE));
    }

    /// Merges few symbols.
    fn short(&self, symbols: &mut Vec<u32>) {
        loop {
            let mut best: Option<(u32, usize, u32)> = None;
            for (i, pair) in symbols.windows(2).enumerate() {
                if let Some(m) = self.merges.get(pair[0], pair[1])
                    && best.is_none_or(|(rank, ..)| m.rank < rank)
                {
                    best = Some((m.rank, i, m.merged));
                }
            }
            let Some((_, at, merged)) = best else { return };
            symbols[at] = merged;
            symbols.remove(at + 1);
        }
    }

    /// Merges many symbols, in n log n.
    fn long(&self, word: &[u8], out: &mut Vec<u32>) {
        let last = word.len() as u32 - 1;
        let symbol = |(i, &b): (usize, &u8)| Symbol {
            id: self.bytes[b as usize],
            prev: (i as u32).wrapping_sub(1),
            next: if i as u32 == last { NONE } else { i as u32 + 1 },
        };
        let mut symbols: Vec<Symbol> = word.iter().enumerate().map(symbol).collect();
        let mut heap = BinaryHeap::new();
        let consider = |symbols: &[Symbol], heap: &mut BinaryHeap<_>, left: u32, right: u32| {
            if left == NONE || right == NONE {
                return;
            }
            let (a, b) = (symbols[left as usize].id, symbols[right as usize].id);
            if let Some(m) = self.merges.get(a, b) {
                heap.push(Reverse((m.rank, left, right, a, b, m.merged)));
            }
        };
        (0..last).for_each(|i| consider(&symbols, &mut heap, i, i + 1));
        let gone = Symbol { id: NONE, prev: NONE, next: NONE };
        while let Some(Reverse((_, left, right, a, b, merged))) = heap.pop() {
            let (l, r) = (symbols[left as usize], symbols[right as usize]);
            // Stale: one of them has been merged since, or they are no neighbours any more.
            if (l.id, r.id) != (a, b) || l.next != right {
                continue;
            }
            symbols[left as usize] = Symbol { id: merged, next: r.next, ..l };
            symbols[right as usize] = gone;
            if r.next != NONE {
                symbols[r.next as usize].prev = left;
            }
            consider(&symbols, &mut heap, l.prev, left);
            consider(&symbols, &mut heap, left, r.next);
        }
        out.extend(symbols.iter().map(|s| s.id).filter(|&id| id != NONE));
    }
}

/// The two parts of a merge. A part may begin with a space where bytes are spelled by other means; the one between them
/// is not the first character.
fn parts(merge: &str) -> Option<(&str, &str)> {
    let first = merge.chars().next()?.len_utf8();
    let at = first + merge[first..].find(' ')?;
    let (left, right) = (&merge[..at], &merge[at + 1..]);
    (!right.is_empty()).then_some((left, right))
}

/// The bytes that a part of a merge spells; false if it spells none.
fn spell(part: &str, to: &mut Vec<u8>) -> bool {
    to.clear();
    to.extend(part.chars().map_while(byte_of_char));
    part.chars().count() == to.len()
}
