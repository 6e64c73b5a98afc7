//! SentencePiece BPE: neighbouring symbols are merged as long as the merged text is a token, the best score first.

use crate::Error;
use crate::cache::WordCache;
use crate::vocab::{SPACE, Vocab};
use crate::words::Pairs;
use chord_gguf::Metadata;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

const SCORES: &str = "tokenizer.ggml.scores";

#[derive(Debug)]
pub(crate) struct Spm {
    /// By token id.
    scores: Vec<f32>,
    /// By byte: the token that stands for it.
    bytes: Vec<Option<u32>>,
    unknown: Option<u32>,
    /// Of all tokens: merges stay within parts of a text.
    pairs: Pairs,
}

/// Up to so many characters the best pair of a word is found by looking at all of them; beyond, by a heap.
const SHORT: usize = 48;

/// A piece of the text; `len` is 0 when its left neighbour has taken it.
#[derive(Clone, Copy, Debug)]
struct Symbol {
    start: usize,
    len: usize,
    prev: usize,
    next: usize,
}

const NONE: usize = usize::MAX;

/// Two neighbours whose text is a token.
#[derive(Clone, Copy, Debug)]
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    /// Bytes of both when the pair was found: it is stale if they are others now.
    len: usize,
}

impl Ord for Pair {
    /// The best score, then the leftmost.
    fn cmp(&self, other: &Pair) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Pair) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Pair) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

impl Spm {
    pub(crate) fn new(metadata: &Metadata, vocab: &Vocab) -> Result<Spm, Error> {
        let scores = metadata.f32s(SCORES)?.ok_or(Error::MissingKey(SCORES))?.to_vec();
        if scores.len() != vocab.len() {
            return Err(Error::Length { key: SCORES, expected: vocab.len(), found: scores.len() });
        }
        let bytes = (0..=255u8).map(|b| {
            let raw = || vocab.id_of_text(char::from(b).encode_utf8(&mut [0; 4])).filter(|_| b.is_ascii());
            vocab.id_of_text(&format!("<0x{b:02X}>")).or_else(raw)
        });
        let unknown = vocab.id_of_key(metadata, "tokenizer.ggml.unknown_token_id", Some(0))?;
        let mut pairs = Pairs::new();
        (0..vocab.len() as u32).filter_map(|id| vocab.text(id)).for_each(|text| pairs.add(text));
        Ok(Spm { scores, bytes: bytes.collect(), unknown, pairs })
    }

    /// Appends the ids of a text without special tokens, with a space before it if so wanted.
    pub(crate) fn encode(&self, vocab: &Vocab, text: &str, space: bool, out: &mut Vec<u32>) {
        let mut escaped = String::with_capacity(text.len() + text.len() / 2 + 3);
        escaped.extend(space.then_some(SPACE));
        for (i, part) in text.split(' ').enumerate() {
            escaped.extend((i > 0).then_some(SPACE));
            escaped.push_str(part);
        }
        let (mut pieces, mut cache) = (Vec::new(), WordCache::new(escaped.len()));
        for word in self.pairs.split(&escaped) {
            cache.encode(word, out, |out| match word.chars().count() {
                n if n > SHORT => self.long(vocab, word, out),
                _ => self.short(vocab, word, &mut pieces, out),
            });
        }
    }

    /// Merges many characters, in n log n.
    fn long(&self, vocab: &Vocab, text: &str, out: &mut Vec<u32>) {
        let mut merger = Merger::new(self, vocab, text);
        merger.run();
        for symbol in merger.symbols.iter().filter(|s| s.len > 0) {
            self.push(vocab, &text[symbol.start..symbol.start + symbol.len], out);
        }
    }

    /// Merges few characters.
    fn short(&self, vocab: &Vocab, word: &str, pieces: &mut Vec<Piece>, out: &mut Vec<u32>) {
        pieces.clear();
        let ends = word.char_indices().map(|(i, c)| i + c.len_utf8());
        pieces.extend(ends.map(|end| Piece { end, id: None, pair: None }));
        (0..pieces.len()).for_each(|i| self.pair(vocab, word, pieces, i));
        loop {
            let mut best: Option<(f32, usize)> = None;
            for (i, piece) in pieces.iter().enumerate() {
                if let Some(id) = piece.pair {
                    let score = self.scores[id as usize];
                    if best.is_none_or(|(b, _)| score.total_cmp(&b) == Ordering::Greater) {
                        best = Some((score, i));
                    }
                }
            }
            let Some((_, at)) = best else { break };
            pieces[at].id = pieces[at].pair;
            pieces[at].end = pieces[at + 1].end;
            pieces.remove(at + 1);
            self.pair(vocab, word, pieces, at);
            if at > 0 {
                self.pair(vocab, word, pieces, at - 1);
            }
        }
        let mut start = 0;
        for piece in pieces.iter() {
            match piece.id {
                Some(id) => out.push(id),
                None => self.push(vocab, &word[start..piece.end], out),
            }
            start = piece.end;
        }
    }

    /// Looks up what piece `i` and the one behind it become.
    fn pair(&self, vocab: &Vocab, word: &str, pieces: &mut [Piece], i: usize) {
        let start = if i == 0 { 0 } else { pieces[i - 1].end };
        let end = pieces.get(i + 1).map(|p| p.end);
        pieces[i].pair = end.and_then(|end| vocab.id_of_text(&word[start..end]));
    }

    /// Appends the token of a symbol, or tokens of its bytes.
    fn push(&self, vocab: &Vocab, symbol: &str, out: &mut Vec<u32>) {
        match vocab.id_of_text(symbol) {
            Some(id) => out.push(id),
            None => out.extend(symbol.bytes().filter_map(|b| self.bytes[b as usize].or(self.unknown))),
        }
    }
}

/// A part of a short word; it begins where the one before it ends.
#[derive(Clone, Copy, Debug)]
struct Piece {
    end: usize,
    /// Its token, if it is more than a character.
    id: Option<u32>,
    /// The token that it and the next piece become.
    pair: Option<u32>,
}

struct Merger<'a> {
    spm: &'a Spm,
    vocab: &'a Vocab,
    text: &'a str,
    symbols: Vec<Symbol>,
    pairs: BinaryHeap<Pair>,
}

impl<'a> Merger<'a> {
    fn new(spm: &'a Spm, vocab: &'a Vocab, text: &'a str) -> Merger<'a> {
        let n = text.chars().count();
        let symbol = |(i, (start, c)): (usize, (usize, char))| Symbol {
            start,
            len: c.len_utf8(),
            prev: i.checked_sub(1).unwrap_or(NONE),
            next: if i + 1 < n { i + 1 } else { NONE },
        };
        let symbols: Vec<Symbol> = text.char_indices().enumerate().map(symbol).collect();
        let mut merger = Merger { spm, vocab, text, symbols, pairs: BinaryHeap::with_capacity(n) };
        (1..n).for_each(|right| merger.consider(right - 1, right));
        merger
    }

    /// Two neighbours are a pair if their text is a token.
    fn consider(&mut self, left: usize, right: usize) {
        if left == NONE || right == NONE {
            return;
        }
        let (start, len) = (self.symbols[left].start, self.symbols[left].len + self.symbols[right].len);
        if let Some(id) = self.vocab.id_of_text(&self.text[start..start + len]) {
            self.pairs.push(Pair { score: self.spm.scores[id as usize], left, right, len });
        }
    }

    fn run(&mut self) {
        while let Some(Pair { left, right, len, .. }) = self.pairs.pop() {
            let (l, r) = (self.symbols[left], self.symbols[right]);
            if l.len == 0 || r.len == 0 || l.len + r.len != len {
                continue;
            }
            self.symbols[left].len = len;
            self.symbols[right].len = 0;
            self.symbols[left].next = r.next;
            if r.next != NONE {
                self.symbols[r.next].prev = left;
            }
            self.consider(l.prev, left);
            self.consider(left, r.next);
        }
    }
}
