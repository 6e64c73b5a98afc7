//! WordPiece: words are cut into the longest tokens, from the left.

use crate::Error;
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
const WORD: char = '\u{2581}';

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
        let mut word = String::new();
        let mut end = |word: &mut String| {
            self.word(word, out);
            word.clear();
        };
        for c in text.chars() {
            // As llama.cpp: of a decomposed character, only the first part.
            let c = if self.strip_accents { std::iter::once(c).nfd().next().unwrap_or(c) } else { c };
            let class = Class::of(c);
            if class.is_space() {
                end(&mut word);
            } else if self.is_kept(c, class) {
                let lower = c.to_lowercase().next().filter(|_| self.lowercase).unwrap_or(c);
                if is_word_of_its_own(c, class) {
                    end(&mut word);
                    word.push(lower);
                    end(&mut word);
                } else {
                    word.push(lower);
                }
            }
        }
        end(&mut word);
    }

    fn is_kept(&self, c: char, class: Class) -> bool {
        let dropped = c == '\0' || c == char::REPLACEMENT_CHARACTER || class.is_control();
        !(dropped || self.strip_accents && class.is_mark())
    }

    fn word(&self, word: &str, out: &mut Vec<u32>) {
        if word.is_empty() {
            return;
        }
        let (marked, before) = ([&*String::from(WORD), word].concat(), out.len());
        let mut rest = marked.as_bytes();
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

fn is_word_of_its_own(c: char, class: Class) -> bool {
    class.is_punctuation() || (c < '\x7f' && class.is_symbol()) || is_chinese(c)
}

/// The blocks that BERT's tokenizer takes for Chinese.
fn is_chinese(c: char) -> bool {
    matches!(c as u32,
        0x4e00..=0x9fff | 0x3400..=0x4dbf | 0x20000..=0x2a6df | 0x2a700..=0x2b73f | 0x2b740..=0x2b81f
        | 0x2b920..=0x2ceaf | 0xf900..=0xfaff | 0x2f800..=0x2fa1f)
}
