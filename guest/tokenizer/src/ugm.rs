//! Unigram (SentencePiece): of all ways to cut a text into tokens, the one with the best sum of scores.
//!
//! Parts of a text that no token crosses are cut on their own, and each only once.

use crate::Error;
use crate::cache::WordCache;
use crate::normaliser::Normaliser;
use crate::trie::Trie;
use crate::vocab::{Kind, Vocab};
use crate::words::Pairs;
use chord_gguf::Metadata;

const SCORES: &str = "tokenizer.ggml.scores";

/// An unknown character costs so much more than the worst token.
const UNKNOWN_PENALTY: f32 = 10.0;

/// Tokens that text may become.
const TEXT: [Kind; 3] = [Kind::Normal, Kind::UserDefined, Kind::Unused];

#[derive(Debug)]
pub(crate) struct Ugm {
    normaliser: Normaliser,
    /// Token id by spelling.
    tokens: Trie,
    scores: Vec<f64>,
    unknown: u32,
    unknown_score: f64,
    /// Of all tokens: none crosses from one part of a text to the next.
    pairs: Pairs,
    /// In texts of at most so many bytes no sum of scores is rounded: those of parts compare as those of texts do.
    exact: f64,
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
            (0..vocab.len() as u32).filter(of_kind)
        };
        let spelled = |id| (vocab.text(id).unwrap_or_default().as_bytes(), id);
        let worst = ids(&[Kind::Normal]).map(|id| scores[id as usize]).fold(f32::MAX, f32::min);
        let score = |(id, &score): (usize, &f32)| match vocab.kind(id as u32) {
            // The likeliest there is.
            Some(Kind::UserDefined) => 0.0,
            _ => f64::from(score),
        };
        let scores: Vec<f64> = scores.iter().enumerate().map(score).collect();
        let unknown_score = worst - UNKNOWN_PENALTY;
        let unknown = vocab.id_of_key(metadata, "tokenizer.ggml.unknown_token_id", Some(2))?;
        let single = |id| vocab.text(id).is_some_and(|text| text.chars().nth(1).is_none());
        let scored = |id: u32| (scores[id as usize], single(id));
        let mut pairs = Pairs::new();
        ids(&TEXT).filter_map(|id| vocab.text(id)).for_each(|text| pairs.add(text));
        let user_defined = Trie::new(ids(&[Kind::UserDefined]).map(spelled));
        Ok(Ugm {
            normaliser: Normaliser::new(metadata, user_defined, add_space)?,
            tokens: Trie::new(ids(&TEXT).map(spelled)),
            exact: exact(ids(&TEXT).map(scored).chain([(unknown_score.into(), true)])),
            scores,
            unknown: unknown.ok_or(Error::MissingKey("tokenizer.ggml.unknown_token_id"))?,
            unknown_score: unknown_score.into(),
            pairs,
        })
    }

    /// Appends the ids of a text without special tokens; characters without a token are unknown tokens, one for all in
    /// a row.
    pub(crate) fn encode(&self, text: &str, out: &mut Vec<u32>) {
        let (text, start, mut best) = (self.normaliser.normalise(text), out.len(), Vec::new());
        if text.len() as f64 > self.exact {
            self.viterbi(&text, &mut best, out);
        } else {
            let mut cache = WordCache::new(text.len());
            for word in self.pairs.split(&text) {
                cache.encode(word, out, |out| self.viterbi(word, &mut best, out));
            }
        }
        self.merge_unknown(out, start);
    }

    /// Appends the best ids of a text.
    fn viterbi(&self, text: &str, best: &mut Vec<Best>, out: &mut Vec<u32>) {
        self.best(text, best);
        let (start, mut at) = (out.len(), text.len());
        while at > 0 {
            out.push(best[at].id);
            at = best[at].from;
        }
        out[start..].reverse();
    }

    /// By place, the best token that ends there.
    fn best(&self, text: &str, best: &mut Vec<Best>) {
        let never = Best { id: self.unknown, from: 0, score: f64::NEG_INFINITY };
        best.clear();
        best.resize(text.len() + 1, never);
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
    }

    /// Of unknown tokens in a row, leaves one.
    fn merge_unknown(&self, ids: &mut Vec<u32>, start: usize) {
        let (mut kept, mut before) = (start, None);
        for at in start..ids.len() {
            let id = ids[at];
            if id != self.unknown || before != Some(id) {
                ids[kept] = id;
                kept += 1;
            }
            before = Some(id);
        }
        ids.truncate(kept);
    }
}

/// Bytes of text whose scores can be added without rounding. Scores are multiples of some power of two, and so are their
/// sums, which are exact up to 2^53 of it. A best sum lies between those of the worst and of the best tokens alone, of
/// which no more are needed than there are characters: the worst of single characters, whose tokens are marked.
fn exact(scores: impl Iterator<Item = (f64, bool)>) -> f64 {
    let (mut unit, mut largest, mut step) = (f64::MAX, 0.0f64, f64::MIN_POSITIVE);
    for (score, single) in scores.filter(|&(score, _)| score != 0.0) {
        if !score.is_finite() {
            return 0.0;
        }
        (unit, largest) = (unit.min(lowest_bit(score)), largest.max(score.abs()));
        step = step.max(if single { score.abs() } else { score });
    }
    (unit * (1u64 << 53) as f64 - largest) / step
}

/// The largest power of two of which a number is a multiple; the number is an `f32`, finite and not zero.
fn lowest_bit(number: f64) -> f64 {
    let fraction = number.to_bits() | 1 << 52;
    let exponent = (number.to_bits() >> 52 & 0x7ff) as i32 - 1075 + (fraction.trailing_zeros() as i32);
    2f64.powi(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocab::Bytes;
    use chord_gguf::{Array, StringArray, Value};
    use proptest::prelude::*;

    /// A vocabulary of these tokens behind `<unk>`, which is token 0.
    fn ugm(tokens: &[(String, f32)], merge_spaces: bool) -> (Vocab, Ugm) {
        let (mut texts, mut scores) = (StringArray::new(), vec![0.0]);
        texts.push("<unk>");
        for (text, score) in tokens {
            texts.push(text);
            scores.push(*score);
        }
        let types = std::iter::once(2).chain(tokens.iter().map(|_| 1)).collect();
        let mut metadata = Metadata::default();
        metadata.insert("tokenizer.ggml.tokens", Value::Array(Array::String(texts)));
        metadata.insert("tokenizer.ggml.token_type", Value::Array(Array::I32(types)));
        metadata.insert(SCORES, Value::Array(Array::F32(scores)));
        metadata.insert("tokenizer.ggml.unknown_token_id", Value::U32(0));
        metadata.insert("tokenizer.ggml.remove_extra_whitespaces", Value::Bool(merge_spaces));
        let vocab = Vocab::read(&metadata, Bytes::Text).expect("it is a vocabulary");
        let ugm = Ugm::new(&metadata, &vocab, true).expect("it is a tokenizer");
        (vocab, ugm)
    }

    /// By the definition: at each place every token is tried, over the whole text.
    fn straightforward(vocab: &Vocab, ugm: &Ugm, text: &str) -> Vec<u32> {
        let text = ugm.normaliser.normalise(text);
        let mut best: Vec<Option<(f64, usize, u32)>> = vec![None; text.len() + 1];
        best[0] = Some((0.0, 0, 0));
        for (at, c) in text.char_indices() {
            let (so_far, ..) = best[at].expect("every place is reached");
            let c = &text[at..at + c.len_utf8()];
            let found = |&id: &u32| vocab.text(id).is_some_and(|t| text[at..].starts_with(t));
            // Of tokens spelled alike the last counts.
            let found = (1..vocab.len() as u32)
                .filter(found)
                .filter(|&id| vocab.id_of_text(vocab.text(id).unwrap()) == Some(id));
            let mut found: Vec<u32> = found.collect();
            found.sort_by_key(|&id| vocab.text(id).map(str::len));
            let unknown = found.iter().all(|&id| vocab.text(id) != Some(c));
            let tokens = found.iter().map(|&id| (vocab.text(id).unwrap().len(), id, ugm.scores[id as usize]));
            for (len, id, score) in tokens.chain(unknown.then_some((c.len(), 0, ugm.unknown_score))) {
                let sum = so_far + score;
                if best[at + len].is_none_or(|(score, ..)| sum > score || score == f64::NEG_INFINITY) {
                    best[at + len] = Some((sum, at, id));
                }
            }
        }
        let (mut ids, mut at) = (Vec::new(), text.len());
        while let Some((_, from, id)) = best[at].filter(|_| at > 0) {
            ids.push(id);
            at = from;
        }
        ids.dedup_by(|a, b| *a == 0 && *b == 0);
        ids.reverse();
        ids
    }

    fn tokens() -> impl Strategy<Value = Vec<(String, f32)>> {
        let score = prop_oneof![
            // Ties are frequent.
            8 => (-8i8..1).prop_map(f32::from),
            2 => -16.0f32..0.5,
            // Sums are rounded, or no numbers.
            1 => prop_oneof![Just(-1e-9), Just(-1e9), Just(f32::NAN), Just(f32::NEG_INFINITY)],
        ];
        prop::collection::vec(("\u{2581}?[abé]{1,3}|\u{2581}|[ab]\u{2581}[ab]?", score), 1..30)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn the_best_tokens_are_found(tokens in tokens(), merge: bool, text in "[abéx \u{2581}]{0,40}") {
            let (vocab, ugm) = ugm(&tokens, merge);
            // Long enough for words to be remembered.
            for text in [text.clone(), text.repeat(30)] {
                let mut ids = Vec::new();
                ugm.encode(&text, &mut ids);
                prop_assert_eq!(ids, straightforward(&vocab, &ugm, &text));
            }
        }
    }

    #[test]
    fn unknown_words_in_a_row_are_one_token() {
        let (_, ugm) = ugm(&[("a".into(), -1.0)], true);
        let mut ids = vec![0];
        ugm.encode("xx x aa x", &mut ids);
        assert_eq!(ids, [0, 0, 1, 1, 0], "what was there before stays");
    }

    #[test]
    fn how_long_sums_are_exact() {
        let scores = |scores: &[(f64, bool)]| exact(scores.iter().copied());
        assert_eq!(scores(&[]), f64::INFINITY);
        assert_eq!(scores(&[(-1.0, true)]), (1u64 << 53) as f64 - 1.0);
        // Whole words do not count, other than by their last bits.
        assert_eq!(scores(&[(-2.0, true), (-10000.5, false)]), ((1u64 << 52) as f64 - 10000.5) / 2.0);
        assert_eq!(scores(&[(-1.0, true), (f64::NAN, false)]), 0.0);
        assert_eq!(scores(&[(-1.0, true), (f64::NEG_INFINITY, false)]), 0.0);
        for (number, bit) in
            [(1.0, 1.0), (-6.0, 2.0), (0.75, 0.25), (f64::from(f32::from_bits(3)), 2f64.powi(-149))]
        {
            assert_eq!(lowest_bit(number), bit);
        }
    }
}
