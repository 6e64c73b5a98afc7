//! SentencePiece's normalisation, before Unigram: characters mapped, spaces merged, escaped and added as the model wants it.

use crate::Error;
use crate::charsmap::Charsmap;
use crate::trie::Trie;
use chord_gguf::Metadata;

#[derive(Debug)]
pub(crate) struct Normaliser {
    /// User-defined tokens, which are left alone.
    user_defined: Trie,
    charsmap: Option<Charsmap>,
    /// By ASCII character: it stays as it is wherever another one follows.
    plain: Box<[bool; 128]>,
    /// A space goes before the text or, as a suffix, behind it.
    add_space: bool,
    as_suffix: bool,
    /// Spaces in a row are one.
    merge_spaces: bool,
    /// What a space becomes.
    space: char,
}

impl Normaliser {
    pub(crate) fn new(metadata: &Metadata, user_defined: Trie, add_space: bool) -> Result<Normaliser, Error> {
        let flag = |key: &str, or: bool| Ok::<bool, Error>(metadata.bool(key)?.unwrap_or(or));
        let charsmap = metadata.bytes("tokenizer.ggml.precompiled_charsmap")?;
        let charsmap = charsmap.map(|bytes| Charsmap::new(&bytes)).transpose()?;
        let escape = flag("tokenizer.ggml.escape_whitespaces", true)?;
        Ok(Normaliser {
            plain: Box::new(std::array::from_fn(|b| is_plain(b as u8, &user_defined, charsmap.as_ref()))),
            user_defined,
            charsmap,
            add_space,
            as_suffix: flag("tokenizer.ggml.treat_whitespace_as_suffix", false)?,
            merge_spaces: flag("tokenizer.ggml.remove_extra_whitespaces", false)?,
            space: if escape { '\u{2581}' } else { ' ' },
        })
    }

    /// The text that is cut into tokens.
    pub(crate) fn normalise(&self, text: &str) -> String {
        let mut out = Output::new(self, text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let plain = self.plain(rest.as_bytes());
            let len = if plain > 0 {
                out.push(&rest[..plain]);
                plain
            } else {
                self.mapped(rest, &mut out)
            };
            rest = &rest[len..];
        }
        let mut text = out.text;
        text.extend((self.add_space && self.as_suffix).then_some(self.space));
        text
    }

    /// How many bytes at the start no rule changes; those of ASCII characters only.
    fn plain(&self, text: &[u8]) -> usize {
        let is_plain = |b: u8| b.is_ascii() && self.plain[b as usize & 127];
        let n = text.iter().take_while(|&&b| is_plain(b)).count();
        // The last one may begin a rule that ends beyond ASCII.
        if text.get(n).is_none_or(u8::is_ascii) { n } else { n.saturating_sub(1) }
    }

    /// Appends what the text begins with, mapped; its length.
    fn mapped(&self, text: &str, out: &mut Output) -> usize {
        let user_defined = self.user_defined.prefixes(text.as_bytes()).last();
        let mapped = || self.charsmap.as_ref().and_then(|map| map.longest(text));
        if let Some((len, _)) = user_defined {
            out.push(&text[..len]);
            len
        } else if let Some((len, replacement)) = mapped() {
            out.push(replacement);
            len
        } else {
            let len = text.chars().next().map_or(0, char::len_utf8);
            out.push(&text[..len]);
            len
        }
    }
}

/// Whether no rule begins with this ASCII character, be it alone or with another one behind it.
fn is_plain(b: u8, user_defined: &Trie, charsmap: Option<&Charsmap>) -> bool {
    let begins = |map: &Charsmap| {
        map.longest(char::from(b).encode_utf8(&mut [0; 4])).is_some()
            || (0..128).any(|c| map.has_rules_of(&[b, c]))
    };
    !user_defined.begins(b) && !charsmap.is_some_and(begins)
}

/// Text with spaces as the model wants them.
struct Output<'n> {
    normaliser: &'n Normaliser,
    text: String,
    in_word: bool,
    /// The text's first word has its space.
    prepended: bool,
}

impl Output<'_> {
    fn new(normaliser: &Normaliser, len: usize) -> Output<'_> {
        let text = String::with_capacity(len + len / 2 + 3);
        Output { normaliser, text, in_word: false, prepended: false }
    }

    fn push(&mut self, text: &str) {
        for (i, word) in text.split(' ').enumerate() {
            if i > 0 {
                self.space();
            }
            if !word.is_empty() {
                self.word(word);
            }
        }
    }

    fn space(&mut self) {
        self.in_word = false;
        let space = (!self.normaliser.merge_spaces).then_some(self.normaliser.space);
        self.text.extend(space);
    }

    /// A word or its continuation; not empty.
    fn word(&mut self, word: &str) {
        if !self.in_word {
            self.in_word = true;
            let Normaliser { add_space, as_suffix, merge_spaces, space, .. } = *self.normaliser;
            if (add_space && !as_suffix && !self.prepended) || merge_spaces {
                self.text.push(space);
                self.prepended = true;
            }
        }
        self.text.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chord_gguf::{Gguf, Value};
    use proptest::prelude::*;
    use std::io::Read;

    /// A real map of characters, and two user-defined tokens.
    fn normaliser([as_suffix, merge_spaces, add_space]: [bool; 3]) -> Normaliser {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/vocab/nomic-bert-moe.gguf.gz");
        let mut file = Vec::new();
        let packed = std::fs::File::open(path).expect("it is there");
        flate2::read::GzDecoder::new(packed).read_to_end(&mut file).expect("it is gzip");
        let real = Gguf::parse(&file, path).expect("it is GGUF").metadata;
        let key = "tokenizer.ggml.precompiled_charsmap";
        let mut metadata = Metadata::default();
        metadata.insert(key, real.get(key).expect("it has a map").clone());
        metadata.insert("tokenizer.ggml.treat_whitespace_as_suffix", Value::Bool(as_suffix));
        metadata.insert("tokenizer.ggml.remove_extra_whitespaces", Value::Bool(merge_spaces));
        let user_defined = [(&b"<m>"[..], 0), (b"a  b", 1)];
        Normaliser::new(&metadata, Trie::new(user_defined.into_iter()), add_space)
            .expect("it is a normaliser")
    }

    /// By the definition: every place is looked up, every character put on its own.
    fn one_by_one(n: &Normaliser, text: &str) -> String {
        let (mut out, mut rest, mut in_word, mut prepended) = (String::new(), text, false, false);
        while let Some(c) = rest.chars().next() {
            let user_defined =
                ["<m>", "a  b"].into_iter().find(|t| rest.starts_with(t)).map(|t| (t.len(), t));
            let mapped = user_defined.or_else(|| n.charsmap.as_ref().and_then(|map| map.longest(rest)));
            let (len, to) = mapped.unwrap_or((c.len_utf8(), &rest[..c.len_utf8()]));
            for c in to.chars() {
                if c == ' ' {
                    in_word = false;
                    out.extend((!n.merge_spaces).then_some('\u{2581}'));
                    continue;
                }
                if !in_word && (n.merge_spaces || (n.add_space && !n.as_suffix && !prepended)) {
                    out.push('\u{2581}');
                    prepended = true;
                }
                in_word = true;
                out.push(c);
            }
            rest = &rest[len..];
        }
        out.extend((n.add_space && n.as_suffix).then_some('\u{2581}'));
        out
    }

    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<String>(),
            "[ -~]{0,12}",
            "[ a\t\n\u{0}\u{1}\u{7f}]{1,5}",
            "<m>|a  b|a |<",
            "[a-e ][\u{300}-\u{308}]",
            "[ﬁ①Ａ㌀㎏…½é가ｶﾞ\u{3000}\u{a0}\u{200b}]{1,3}",
        ];
        prop::collection::vec(piece, 0..8).prop_map(|parts| parts.concat())
    }

    #[test]
    fn characters_that_begin_rules_are_not_plain() {
        let (map, none) = (crate::charsmap::tests::one_rule_of_two_letters(), Trie::new(std::iter::empty()));
        assert_eq!([b'a', b'b'].map(|b| is_plain(b, &none, Some(&map))), [false, true]);
        let user_defined = Trie::new(std::iter::once((&b"bc"[..], 0)));
        assert_eq!([b'a', b'b', b'c'].map(|b| is_plain(b, &user_defined, None)), [true, false, true]);
    }

    #[test]
    fn runs_of_plain_characters_change_nothing() {
        let mut runner = proptest::test_runner::TestRunner::default();
        for flags in 0..8 {
            let normaliser = normaliser([1, 2, 4].map(|bit| flags & bit != 0));
            assert!(normaliser.plain.iter().filter(|&&p| p).count() > 60, "there are plain characters");
            let same = |text: String| {
                prop_assert_eq!(normaliser.normalise(&text), one_by_one(&normaliser, &text));
                Ok(())
            };
            runner.run(&text(), same).expect("both agree");
        }
    }
}
