//! The tokens of a vocabulary: spelling, bytes, kind.

use crate::Error;
use crate::names;
use crate::table::Ids;
use chord_gguf::{Metadata, StringArray};

/// What a token is for; `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text.
    Normal,
    /// Stands for what has no token.
    Unknown,
    /// Controls the model.
    Control,
    /// Text that is never split.
    UserDefined,
    /// Does not occur.
    Unused,
    /// One byte, spelled `<0x0A>`.
    Byte,
}

/// How normal tokens spell their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// As text, with U+2581 for spaces.
    Text,
    /// Each byte as a character (GPT-2's table).
    Mapped,
}

#[derive(Debug)]
pub(crate) struct Vocab {
    texts: StringArray,
    /// Bytes of all tokens, one behind the other.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    kinds: Vec<Kind>,
    /// By text.
    by_text: Ids,
    /// By bytes, of tokens that spell bytes.
    by_bytes: Ids,
}

/// What stands for a space in the text of tokens.
pub(crate) const SPACE: char = '\u{2581}';

const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";

impl Vocab {
    /// No tokens.
    pub(crate) fn none() -> Vocab {
        let (texts, by_text, by_bytes) = (StringArray::new(), Ids::new(0), Ids::new(0));
        Vocab { texts, bytes: Vec::new(), ends: Vec::new(), kinds: Vec::new(), by_text, by_bytes }
    }

    pub(crate) fn read(metadata: &Metadata, spelling: Bytes) -> Result<Vocab, Error> {
        let texts = metadata.strings(TOKENS)?.ok_or(Error::MissingKey(TOKENS))?.clone();
        let n = texts.len();
        match n {
            0 => return Err(Error::Empty),
            n if n >= 1 << 31 => return Err(Error::TooMany(n)),
            _ => {}
        }
        let kinds = match metadata.i32s(TYPES)? {
            None => vec![Kind::Normal; n],
            Some(types) if types.len() != n => {
                return Err(Error::Length { key: TYPES, expected: n, found: types.len() });
            }
            Some(types) => types.iter().map(|&t| Kind::from_number(t)).collect(),
        };
        let by_text = Ids::new(n);
        let mut vocab = Vocab {
            texts,
            bytes: Vec::new(),
            ends: Vec::with_capacity(n),
            kinds,
            by_text,
            by_bytes: Ids::new(n),
        };
        for id in 0..n as u32 {
            let Vocab { texts, by_text, .. } = &mut vocab;
            by_text.insert(id, |id| texts.get(id as usize).unwrap_or_default().as_bytes());
        }
        vocab.correct_kinds(metadata)?;
        for id in 0..n as u32 {
            let spells = vocab.push_bytes(id, spelling);
            let Vocab { bytes, ends, by_bytes, .. } = &mut vocab;
            if spells {
                by_bytes.insert(id, |id| slice(bytes, ends, id));
            }
        }
        Ok(vocab)
    }

    /// Gives tokens that are known by their names the kinds that they should have.
    fn correct_kinds(&mut self, metadata: &Metadata) -> Result<(), Error> {
        for id in names::controls(self, metadata)? {
            self.kinds[id as usize] = Kind::Control;
        }
        if let Some(id) = names::text(self) {
            self.kinds[id as usize] = Kind::Normal;
        }
        Ok(())
    }

    /// Appends the bytes of a token; whether they are what its text spells.
    fn push_bytes(&mut self, id: u32, spelling: Bytes) -> bool {
        let text = self.texts.get(id as usize).unwrap_or_default();
        let start = self.bytes.len();
        let spells = match (self.kinds[id as usize], spelling) {
            (Kind::Byte, _) => {
                self.bytes.extend(byte_of(text));
                false
            }
            (Kind::Normal | Kind::Unused | Kind::UserDefined, Bytes::Text) => {
                self.bytes.extend_from_slice(text.replace('\u{2581}', " ").as_bytes());
                true
            }
            (kind, Bytes::Mapped) => {
                let spells = text.chars().all(|c| byte_of_char(c).is_some());
                if spells && matches!(kind, Kind::Normal | Kind::Unused) {
                    self.bytes.extend(text.chars().filter_map(byte_of_char));
                } else {
                    self.bytes.extend_from_slice(text.as_bytes());
                }
                spells
            }
            (_, Bytes::Text) => {
                self.bytes.extend_from_slice(text.as_bytes());
                false
            }
        };
        self.ends.push(self.bytes.len());
        spells && self.bytes.len() > start
    }

    pub(crate) fn len(&self) -> usize {
        self.kinds.len()
    }

    pub(crate) fn text(&self, id: u32) -> Option<&str> {
        self.texts.get(id as usize)
    }

    pub(crate) fn kind(&self, id: u32) -> Option<Kind> {
        self.kinds.get(id as usize).copied()
    }

    /// What the token is in text; nothing for ids that are not there.
    pub(crate) fn bytes(&self, id: u32) -> &[u8] {
        if (id as usize) < self.len() { slice(&self.bytes, &self.ends, id) } else { &[] }
    }

    /// The token spelled like this in the file.
    pub(crate) fn id_of_text(&self, text: &str) -> Option<u32> {
        self.by_text.get(text.as_bytes(), |id| self.text(id).unwrap_or_default().as_bytes())
    }

    /// The token that stands for these bytes.
    pub(crate) fn id_of_bytes(&self, bytes: &[u8]) -> Option<u32> {
        self.by_bytes.get(bytes, |id| self.bytes(id))
    }

    /// The token id that a key holds, or a default where it is silent and the vocabulary has it.
    pub(crate) fn id_of_key(
        &self,
        metadata: &Metadata,
        key: &str,
        or: Option<u32>,
    ) -> Result<Option<u32>, Error> {
        let tokens = self.len();
        // Some converters write -1 or its bits for "none".
        let none = metadata.get(key).is_some_and(|v| matches!(v.integer(), Some(-1 | 0xffff_ffff)));
        match metadata.u32(key) {
            _ if none => Ok(None),
            Ok(None) => Ok(or.filter(|&id| (id as usize) < tokens)),
            Ok(Some(id)) if (id as usize) < tokens => Ok(Some(id)),
            Ok(Some(found)) => Err(Error::Id { key: key.into(), tokens, found }),
            Err(e) => Err(e.into()),
        }
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[usize], id: u32) -> &'a [u8] {
    let id = id as usize;
    let start = if id == 0 { 0 } else { ends[id - 1] };
    &bytes[start..ends[id]]
}

impl Kind {
    fn from_number(n: i32) -> Kind {
        match n {
            2 => Kind::Unknown,
            3 => Kind::Control,
            4 => Kind::UserDefined,
            5 => Kind::Unused,
            6 => Kind::Byte,
            // 0 is "undefined"; others do not exist yet: text, as far as anyone knows.
            _ => Kind::Normal,
        }
    }
}

/// The byte that `<0x0A>` spells.
fn byte_of(text: &str) -> Option<u8> {
    let hex = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let digits = hex.len() == 2 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u8::from_str_radix(hex, 16).ok()).flatten()
}

/// GPT-2's table: printable bytes of Latin-1 stand for themselves, the others for U+0100 and up, in order.
pub(crate) fn char_of_byte(byte: u8) -> char {
    let own = |b: u8| matches!(b, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    if own(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&b| !own(b)).count() as u32;
    char::from_u32(0x100 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The byte that a character stands for in GPT-2's table.
pub(crate) fn byte_of_char(c: char) -> Option<u8> {
    match c as u32 {
        n @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => Some(n as u8),
        n @ 0x100..=0x120 => Some((n - 0x100) as u8),
        n @ 0x121..=0x142 => Some((n - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_bytes_is_one_to_one() {
        for byte in 0..=255 {
            assert_eq!(byte_of_char(char_of_byte(byte)), Some(byte));
        }
        assert_eq!(char_of_byte(b' '), 'Ġ');
        assert_eq!(char_of_byte(b'\n'), 'Ċ');
        assert_eq!(
            (0..0x2000).filter_map(char::from_u32).filter(|&c| byte_of_char(c).is_some()).count(),
            256
        );
    }

    #[test]
    fn byte_tokens_are_two_hex_digits() {
        assert_eq!(byte_of("<0x0A>"), Some(10));
        for text in ["<0xA>", "<0x+A>", "<0x0A", "0x0A", "<0x00A>"] {
            assert_eq!(byte_of(text), None, "{text}");
        }
    }
}
