//! BPE: the symbols of a word (bytes or characters) are merged pair by pair, the lowest rank first.

use crate::Error;
use crate::cache::WordCache;
use crate::pre::{Pre, Spelling, Splitter};
use crate::table::Merges;
use crate::vocab::{Vocab, byte_of_char, char_of_byte};
use crate::words::Pairs;
use chord_gguf::Metadata;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const MERGES: &str = "tokenizer.ggml.merges";

#[derive(Debug)]
pub(crate) struct Bpe {
    pre: &'static Pre,
    splitter: Splitter,
    merges: Merges,
    /// By byte: the token that stands for it alone.
    bytes: Box<[u32; 256]>,
    /// Of all that merges make: they stay within parts of a text.
    pairs: Pairs,
}

/// No token: a byte or character that the vocabulary lacks.
const UNKNOWN: u32 = u32::MAX;

/// No symbol: merged into its left neighbour.
const GONE: u32 = u32::MAX - 1;

/// No neighbour.
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
        let mut pairs = Pairs::new();
        for (index, merge) in list.iter().enumerate() {
            let (a, b) = parts(merge).ok_or_else(|| Error::Merge { index, found: merge.into() })?;
            // Merges of or into what is no token cannot happen.
            let ids = match pre.spelling {
                Spelling::ByteLevel => spelled_ids(vocab, a, b),
                Spelling::Raw | Spelling::Escaped { .. } => text_ids(vocab, a, b),
            };
            if let Some((a, b, merged)) = ids {
                pairs.add(vocab.text(merged).unwrap_or_default());
                merges.insert(a, b, index as u32, merged);
            }
        }
        let byte = |b: usize| match pre.spelling {
            Spelling::ByteLevel => vocab.id_of_text(char_of_byte(b as u8).encode_utf8(&mut [0; 4])),
            Spelling::Raw | Spelling::Escaped { .. } => vocab.id_of_text(&format!("<0x{b:02X}>")),
        };
        let bytes = Box::new(std::array::from_fn(|b| byte(b).unwrap_or(UNKNOWN)));
        Ok(Bpe { pre, pairs, splitter: Splitter::new(pre), merges, bytes })
    }

    /// Appends the ids of a text without special tokens. Bytes that the vocabulary lacks are left out.
    pub(crate) fn encode(&self, vocab: &Vocab, text: &str, out: &mut Vec<u32>) {
        let mut symbols = Vec::new();
        match self.pre.spelling {
            Spelling::ByteLevel => {
                self.splitter.split(text, &mut |word| self.word(vocab, word.as_bytes(), &mut symbols, out));
            }
            Spelling::Raw => {
                self.splitter.split(text, &mut |word| self.raw_word(vocab, word, &mut symbols, out))
            }
            Spelling::Escaped { line_ends_are_tokens } => {
                let text: Cow<str> =
                    if text.contains(' ') { text.replace(' ', "\u{2581}").into() } else { text.into() };
                let mut cache = WordCache::new(text.len());
                self.splitter.split(&text, &mut |word| {
                    let line_ends = line_ends_are_tokens && word.starts_with('\n');
                    match vocab.id_of_text(word).filter(|_| line_ends) {
                        Some(id) => out.push(id),
                        None => self.pairs.split(word).for_each(|w| {
                            cache.encode(w, out, |out| self.raw_word(vocab, w, &mut symbols, out));
                        }),
                    }
                });
            }
        }
    }

    fn word(&self, vocab: &Vocab, word: &[u8], symbols: &mut Vec<u32>, out: &mut Vec<u32>) {
        if let [byte] = word {
            return out.extend(Some(self.bytes[*byte as usize]).filter(|&id| id != UNKNOWN));
        }
        if self.pre.ignore_merges
            && let Some(id) = vocab.id_of_bytes(word)
        {
            return out.push(id);
        }
        let ids = word.iter().map(|&b| self.bytes[b as usize]);
        if word.len() > SHORT {
            return out.extend(self.long(ids).filter(|&id| id != UNKNOWN));
        }
        symbols.clear();
        symbols.extend(ids);
        self.short(symbols);
        out.extend(symbols.iter().filter(|&&id| id != UNKNOWN));
    }

    /// A word whose symbols are characters; those that are no tokens become the tokens of their bytes.
    fn raw_word(&self, vocab: &Vocab, word: &str, symbols: &mut Vec<u32>, out: &mut Vec<u32>) {
        let id = |c: char| vocab.id_of_text(c.encode_utf8(&mut [0; 4])).unwrap_or(UNKNOWN);
        let ids = word.chars().map(id);
        symbols.clear();
        if word.len() > SHORT {
            symbols.extend(self.long(ids));
        } else {
            symbols.extend(ids);
            self.short(symbols);
        }
        let mut rest = word;
        for &id in symbols.iter() {
            let len = match id {
                UNKNOWN => rest.chars().next().map_or(0, char::len_utf8),
                id => vocab.text(id).unwrap_or_default().len(),
            };
            let (symbol, after) = rest.split_at(len);
            rest = after;
            match id {
                UNKNOWN => {
                    out.extend(symbol.bytes().map(|b| self.bytes[b as usize]).filter(|&id| id != UNKNOWN))
                }
                id => out.push(id),
            }
        }
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
    fn long(&self, ids: impl Iterator<Item = u32>) -> impl Iterator<Item = u32> {
        let symbol = |(i, id): (usize, u32)| {
            let i = i as u32;
            Symbol { id, prev: i.wrapping_sub(1), next: i + 1 }
        };
        let mut symbols: Vec<Symbol> = ids.enumerate().map(symbol).collect();
        if let Some(last) = symbols.last_mut() {
            last.next = NONE;
        }
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
        (1..symbols.len() as u32).for_each(|i| consider(&symbols, &mut heap, i - 1, i));
        while let Some(Reverse((_, left, right, a, b, merged))) = heap.pop() {
            let (l, r) = (symbols[left as usize], symbols[right as usize]);
            // Stale: one of them has been merged since, or they are no neighbours any more.
            if (l.id, r.id) != (a, b) || l.next != right {
                continue;
            }
            symbols[left as usize] = Symbol { id: merged, next: r.next, ..l };
            symbols[right as usize] = Symbol { id: GONE, prev: NONE, next: NONE };
            if r.next != NONE {
                symbols[r.next as usize].prev = left;
            }
            consider(&symbols, &mut heap, l.prev, left);
            consider(&symbols, &mut heap, left, r.next);
        }
        symbols.into_iter().map(|s| s.id).filter(|&id| id != GONE)
    }
}

/// Ids of both parts and of what they become, where tokens spell bytes.
fn spelled_ids(vocab: &Vocab, a: &str, b: &str) -> Option<(u32, u32, u32)> {
    let (left, right) = (spell(a)?, spell(b)?);
    Some((vocab.id_of_bytes(&left)?, vocab.id_of_bytes(&right)?, vocab.id_of_bytes(&[left, right].concat())?))
}

/// The same where tokens spell text.
fn text_ids(vocab: &Vocab, a: &str, b: &str) -> Option<(u32, u32, u32)> {
    Some((vocab.id_of_text(a)?, vocab.id_of_text(b)?, vocab.id_of_text(&[a, b].concat())?))
}

/// The two parts of a merge. A part may begin with a space where bytes are spelled by other means; the one between them
/// is not the first character.
fn parts(merge: &str) -> Option<(&str, &str)> {
    let first = merge.chars().next()?.len_utf8();
    let at = first + merge[first..].find(' ')?;
    let (left, right) = (&merge[..at], &merge[at + 1..]);
    (!right.is_empty()).then_some((left, right))
}

/// The bytes that a part of a merge spells, if it spells any.
fn spell(part: &str) -> Option<Vec<u8>> {
    part.chars().map(byte_of_char).collect()
}
