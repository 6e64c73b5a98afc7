//! WordPiece: words are cut into the longest tokens, from the left.

use crate::Error;
use crate::cache::WordCache;
use crate::pre::Class;
use crate::trie::Trie;
use crate::vocab::Vocab;
use chord_gguf::Metadata;
use unicode_normalization::UnicodeNormalization;

#[derive(Debug)]
pub(crate) struct Wpm {
    tokens: Trie,
    unknown: Option<u32>,
    lowercase: bool,
    strip_accents: bool,
}

/// Before the first piece of a word, in the file's spelling.
const WORD: &str = "\u{2581}";

impl Wpm {
    pub(crate) fn new(metadata: &Metadata, vocab: &Vocab) -> Result<Wpm, Error> {
        let tokens = (0..vocab.len() as u32).map(|id| (vocab.text(id).unwrap_or_default().as_bytes(), id));
        let lowercase = metadata.bool("tokenizer.ggml.normalizer.lowercase")?.unwrap_or(true);
        let strip_accents = metadata.bool("tokenizer.ggml.normalizer.strip_accents")?;
        Ok(Wpm {
            tokens: Trie::new(tokens),
            unknown: vocab.id_of_key(metadata, "tokenizer.ggml.unknown_token_id", Some(100))?,
            lowercase,
            strip_accents: strip_accents.unwrap_or(lowercase),
        })
    }

    /// Appends the ids of a text without special tokens; a word that cannot be cut into tokens is one unknown token.
    pub(crate) fn encode(&self, text: &str, out: &mut Vec<u32>) {
        let (mut word, mut cache) = (String::from(WORD), WordCache::new(text.len()));
        for part in parts(text) {
            cache.encode(part, out, |out| self.words(part, &mut word, out));
        }
    }

    /// Appends the ids of a part's words. `word` is there to be reused.
    fn words(&self, part: &str, word: &mut String, out: &mut Vec<u32>) {
        for c in part.chars() {
            let c = self.without_accents(c);
            let class = Class::of(c);
            if class.is_space() {
                self.end(word, out);
            } else if self.is_kept(c, class) {
                let alone = is_word_of_its_own(c, class);
                if alone {
                    self.end(word, out);
                }
                word.push(self.lower(c, class));
                if alone {
                    self.end(word, out);
                }
            }
        }
        self.end(word, out);
    }

    /// As llama.cpp: of a decomposed character, only the first part.
    fn without_accents(&self, c: char) -> char {
        match self.strip_accents && !c.is_ascii() && Class::of(c).is_assigned() {
            true => std::iter::once(c).nfd().next().unwrap_or(c),
            false => c,
        }
    }

    fn lower(&self, c: char, class: Class) -> char {
        c.to_lowercase().next().filter(|_| self.lowercase && class.is_assigned()).unwrap_or(c)
    }

    fn is_kept(&self, c: char, class: Class) -> bool {
        let dropped = c == '\0' || c == char::REPLACEMENT_CHARACTER || class.is_control();
        !(dropped || self.strip_accents && class.is_mark())
    }

    /// Appends the ids of a word, if there is one, and leaves none.
    fn end(&self, word: &mut String, out: &mut Vec<u32>) {
        if word.len() > WORD.len() {
            self.cut(word.as_bytes(), out);
            word.truncate(WORD.len());
        }
    }

    fn cut(&self, mut rest: &[u8], out: &mut Vec<u32>) {
        let before = out.len();
        while !rest.is_empty() {
            let Some((len, id)) = self.tokens.prefixes(rest).last() else {
                out.truncate(before);
                out.extend(self.unknown);
                return;
            };
            out.push(id);
            rest = &rest[len..];
        }
    }
}

/// Parts of a text that words do not cross: each punctuation character of ASCII, and what is between them and white
/// space of ASCII.
fn parts(mut text: &str) -> impl Iterator<Item = &str> {
    let class = |c: char| Class::of_ascii(c as u8);
    let is_space = move |c: char| c.is_ascii() && class(c).is_space();
    let is_end = move |c: char| c.is_ascii() && (class(c).is_space() || is_word_of_its_own(c, class(c)));
    std::iter::from_fn(move || {
        text = text.trim_start_matches(is_space);
        let len = match text.find(is_end) {
            Some(0) => 1,
            Some(len) => len,
            None => text.len(),
        };
        let (part, rest) = text.split_at(len);
        text = rest;
        (!part.is_empty()).then_some(part)
    })
}

fn is_word_of_its_own(c: char, class: Class) -> bool {
    class.is_punctuation() || (c < '\x7f' && class.is_symbol()) || is_chinese(c)
}

/// The blocks that BERT's tokenizer takes for Chinese.
fn is_chinese(c: char) -> bool {
    matches!(c as u32,
        0x4e00..=0x9fff | 0x3400..=0x4dbf | 0x20000..=0x2a6df | 0x2a700..=0x2b73f | 0x2b740..=0x2b81f
        | 0x2b920..=0x2ceaf | 0xf900..=0xfaff | 0x2f800..=0x2fa1f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocab::Bytes;
    use chord_gguf::{Array, StringArray, Value};
    use proptest::prelude::*;

    /// Tokens of one and two letters, some of which begin words.
    fn wpm(lowercase: bool) -> Wpm {
        let mut texts = StringArray::new();
        [
            "[UNK]",
            "\u{2581}a",
            "\u{2581}b",
            "a",
            "b",
            "ab",
            "\u{2581}e",
            "e",
            "\u{2581}.",
            "\u{2581}$",
            "\u{2581}中",
            "E",
        ]
        .iter()
        .for_each(|text| texts.push(text));
        let mut metadata = Metadata::default();
        metadata.insert("tokenizer.ggml.tokens", Value::Array(Array::String(texts)));
        metadata.insert("tokenizer.ggml.unknown_token_id", Value::U32(0));
        metadata.insert("tokenizer.ggml.normalizer.lowercase", Value::Bool(lowercase));
        let vocab = Vocab::read(&metadata, Bytes::Text).expect("it is a vocabulary");
        Wpm::new(&metadata, &vocab).expect("it is a tokenizer")
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        #[test]
        fn words_do_not_cross_parts(lowercase: bool, text in "[abeEéx中.$ \n\u{1}\u{301}\u{3000}。~]{0,40}") {
            let wpm = wpm(lowercase);
            // Long enough for parts to be remembered.
            for text in [text.clone(), text.repeat(50)] {
                let (mut ids, mut whole) = (Vec::new(), Vec::new());
                wpm.encode(&text, &mut ids);
                wpm.words(&text, &mut String::from(WORD), &mut whole);
                prop_assert_eq!(ids, whole);
            }
        }
    }
}
