//! Unigram (SentencePiece): of all ways to cut a text into tokens, the one with the best sum of scores.

use crate::Error;
use crate::charsmap::Charsmap;
use crate::trie::Trie;
use crate::vocab::{Kind, Vocab};
use chord_gguf::Metadata;

const SCORES: &str = "tokenizer.ggml.scores";

/// An unknown character costs so much more than the worst token.
const UNKNOWN_PENALTY: f32 = 10.0;

#[derive(Debug)]
pub(crate) struct Ugm {
    /// Token id by spelling.
    tokens: Trie,
    /// User-defined tokens, which normalisation leaves alone.
    user_defined: Trie,
    scores: Vec<f64>,
    charsmap: Option<Charsmap>,
    unknown: u32,
    unknown_score: f64,
    /// A space goes before the text or, as a suffix, behind it.
    add_space: bool,
    as_suffix: bool,
    /// Spaces in a row are one.
    merge_spaces: bool,
    escape: bool,
}

/// The best way to reach a place in the text.
#[derive(Clone, Copy, Debug)]
struct Best {
    id: u32,
    from: usize,
    score: f64,
}

impl Ugm {
    pub(crate) fn new(metadata: &Metadata, vocab: &Vocab, add_space: bool) -> Result<Ugm, Error> {
        let scores = metadata.f32s(SCORES)?.ok_or(Error::MissingKey(SCORES))?;
        if scores.len() != vocab.len() {
            return Err(Error::Length { key: SCORES, expected: vocab.len(), found: scores.len() });
        }
        let ids = |kinds: &'static [Kind]| {
            let of_kind = move |&id: &u32| vocab.kind(id).is_some_and(|k| kinds.contains(&k));
            (0..vocab.len() as u32)
                .filter(of_kind)
                .map(|id| (vocab.text(id).unwrap_or_default().as_bytes(), id))
        };
        let score = |(id, &score): (usize, &f32)| match vocab.kind(id as u32) {
            // The likeliest there is.
            Some(Kind::UserDefined) => 0.0,
            _ => f64::from(score),
        };
        let normal = scores.iter().enumerate().filter(|&(id, _)| vocab.kind(id as u32) == Some(Kind::Normal));
        let worst = normal.map(|(_, &score)| score).fold(f32::MAX, f32::min);
        let flag = |key: &str, or: bool| Ok::<bool, Error>(metadata.bool(key)?.unwrap_or(or));
        let charsmap = metadata.bytes("tokenizer.ggml.precompiled_charsmap")?;
        let unknown = vocab.id_of_key(metadata, "tokenizer.ggml.unknown_token_id", Some(2))?;
        Ok(Ugm {
            tokens: Trie::new(ids(&[Kind::Normal, Kind::UserDefined, Kind::Unused])),
            user_defined: Trie::new(ids(&[Kind::UserDefined])),
            scores: scores.iter().enumerate().map(score).collect(),
            charsmap: charsmap.map(|bytes| Charsmap::new(&bytes)).transpose()?,
            unknown: unknown.ok_or(Error::MissingKey("tokenizer.ggml.unknown_token_id"))?,
            unknown_score: f64::from(worst - UNKNOWN_PENALTY),
            add_space,
            as_suffix: flag("tokenizer.ggml.treat_whitespace_as_suffix", false)?,
            merge_spaces: flag("tokenizer.ggml.remove_extra_whitespaces", false)?,
            escape: flag("tokenizer.ggml.escape_whitespaces", true)?,
        })
    }

    /// Appends the ids of a text without special tokens; characters without a token are unknown tokens, one for all in
    /// a row.
    pub(crate) fn encode(&self, text: &str, out: &mut Vec<u32>) {
        let text = self.normalise(text);
        let best = self.best(&text);
        let (start, mut at, mut after_unknown) = (out.len(), text.len(), false);
        while at > 0 {
            let Best { id, from, .. } = best[at];
            let unknown = id == self.unknown;
            if !(unknown && after_unknown) {
                out.push(id);
            }
            (at, after_unknown) = (from, unknown);
        }
        out[start..].reverse();
    }

    /// Viterbi over the bytes of the text: by place, the best token that ends there.
    fn best(&self, text: &str) -> Vec<Best> {
        let never = Best { id: self.unknown, from: 0, score: f64::NEG_INFINITY };
        let mut best = vec![never; text.len() + 1];
        best[0].score = 0.0;
        for (at, c) in text.char_indices() {
            let (so_far, mut single) = (best[at].score, false);
            let mut reach = |len: usize, id: u32, score: f64| {
                let champion = &mut best[at + len];
                // A score that is no number loses, but every place can be reached.
                if score > champion.score || champion.score == f64::NEG_INFINITY {
                    *champion = Best { id, from: at, score };
                }
            };
            for (len, id) in self.tokens.prefixes(&text.as_bytes()[at..]) {
                single |= len == c.len_utf8();
                reach(len, id, so_far + self.scores[id as usize]);
            }
            if !single {
                reach(c.len_utf8(), self.unknown, so_far + self.unknown_score);
            }
        }
        best
    }

    /// Characters mapped, spaces merged, escaped and added as the model wants it.
    fn normalise(&self, text: &str) -> String {
        let space = if self.escape { '\u{2581}' } else { ' ' };
        let mut out = String::with_capacity(text.len() + text.len() / 2 + 3);
        let (mut prepended, mut in_word) = (false, false);
        let prepend = self.add_space && !self.as_suffix;
        let mut push = |c: char| {
            if c == ' ' {
                in_word = false;
                out.extend((!self.merge_spaces).then_some(space));
                return;
            }
            if !in_word {
                in_word = true;
                if (prepend && !prepended) || self.merge_spaces {
                    out.push(space);
                    prepended = true;
                }
            }
            out.push(c);
        };
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let user_defined = self.user_defined.prefixes(rest.as_bytes()).last();
            let mapped = || self.charsmap.as_ref().and_then(|map| map.longest(rest));
            let len = if let Some((len, _)) = user_defined {
                rest[..len].chars().for_each(&mut push);
                len
            } else if let Some((len, replacement)) = mapped() {
                replacement.chars().for_each(&mut push);
                len
            } else {
                push(c);
                c.len_utf8()
            };
            rest = &rest[len..];
        }
        out.extend((self.add_space && self.as_suffix).then_some(space));
        out
    }
}
