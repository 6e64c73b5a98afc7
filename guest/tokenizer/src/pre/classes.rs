//! Classes of characters: letters, numbers, white space.
//!
//! Those of Unicode 15.1, as in llama.cpp: characters that are younger have none, or else ids would change with the
//! version of a library.

use std::collections::HashMap;
use std::sync::OnceLock;

/// A set of classes that a character belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(u16);

impl Class {
    const LETTER: u16 = 1;
    const NUMBER: u16 = 2;
    const SPACE: u16 = 4;
    const LINE_END: u16 = 8;
    const PUNCTUATION: u16 = 16;
    const SYMBOL: u16 = 32;
    const MARK: u16 = 64;
    const CONTROL: u16 = 128;
    /// No character.
    pub(crate) const END: Class = Class(256);

    /// `\p{L}`.
    pub(crate) fn is_letter(self) -> bool {
        self.0 & Class::LETTER != 0
    }

    /// `\p{N}`.
    pub(crate) fn is_number(self) -> bool {
        self.0 & Class::NUMBER != 0
    }

    /// `\s`.
    pub(crate) fn is_space(self) -> bool {
        self.0 & Class::SPACE != 0
    }

    /// `[\r\n]`.
    pub(crate) fn is_line_end(self) -> bool {
        self.0 & Class::LINE_END != 0
    }

    /// `[^\s\p{L}\p{N}]`.
    pub(crate) fn is_other(self) -> bool {
        self.0 & (Class::LETTER | Class::NUMBER | Class::SPACE | Class::END.0) == 0
    }

    /// `\p{P}`.
    pub(crate) fn is_punctuation(self) -> bool {
        self.0 & Class::PUNCTUATION != 0
    }

    /// `\p{S}`.
    pub(crate) fn is_symbol(self) -> bool {
        self.0 & Class::SYMBOL != 0
    }

    /// `\p{M}`.
    pub(crate) fn is_mark(self) -> bool {
        self.0 & Class::MARK != 0
    }

    /// `[\p{Cc}\p{Cf}\p{Co}]`.
    pub(crate) fn is_control(self) -> bool {
        self.0 & Class::CONTROL != 0
    }

    /// Whether the character is there, in Unicode 15.1.
    pub(crate) fn is_assigned(self) -> bool {
        self.0 != 0
    }

    /// Of an ASCII character.
    pub(crate) fn of_ascii(byte: u8) -> Class {
        ASCII[byte as usize & 127]
    }

    /// Of any character.
    pub(crate) fn of(c: char) -> Class {
        if c.is_ascii() {
            return Class::of_ascii(c as u8);
        }
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(Table::new).get(c)
    }
}

const ASCII: [Class; 128] = {
    let mut table = [Class(0); 128];
    let mut b = 0;
    while b < 128 {
        let c = b as u8;
        if c.is_ascii_alphabetic() {
            table[b] = Class(Class::LETTER);
        } else if c.is_ascii_digit() {
            table[b] = Class(Class::NUMBER);
        } else if c == b'\r' || c == b'\n' {
            table[b] = Class(Class::SPACE | Class::LINE_END);
        } else if c == b' ' || (c >= 9 && c <= 13) {
            table[b] = Class(Class::SPACE);
        } else if matches!(c, b'$' | b'+' | b'<'..=b'>' | b'^' | b'`' | b'|' | b'~') {
            table[b] = Class(Class::SYMBOL);
        } else if c.is_ascii_punctuation() {
            table[b] = Class(Class::PUNCTUATION);
        }
        if c.is_ascii_control() {
            table[b].0 |= Class::CONTROL;
        }
        b += 1;
    }
    table
};

/// Classes of all characters, in blocks of 256; equal blocks are stored once.
struct Table {
    blocks: Vec<[u8; 256]>,
    /// By number of the block.
    index: Vec<u16>,
}

impl Table {
    fn new() -> Table {
        let mut flat = vec![0u8; 0x11_0000];
        let classes = [
            (r"\p{L}", Class::LETTER),
            (r"\p{N}", Class::NUMBER),
            (r"\s", Class::SPACE),
            (r"\p{P}", Class::PUNCTUATION),
            (r"\p{S}", Class::SYMBOL),
            (r"\p{M}", Class::MARK),
            (r"[\p{Cc}\p{Cf}\p{Co}]", Class::CONTROL),
        ];
        for (class, bit) in classes {
            for (start, end) in ranges(class) {
                flat[start as usize..=end as usize].iter_mut().for_each(|c| *c |= bit as u8);
            }
        }
        let (mut blocks, mut known) = (Vec::new(), HashMap::new());
        let index = flat.as_chunks::<256>().0.iter().map(|block| {
            *known.entry(*block).or_insert_with(|| {
                blocks.push(*block);
                blocks.len() as u16 - 1
            })
        });
        let index = index.collect();
        Table { blocks, index }
    }

    fn get(&self, c: char) -> Class {
        let c = c as usize;
        Class(self.blocks[self.index[c >> 8] as usize][c & 255].into())
    }
}

/// A pattern whose general categories are those of Unicode 15.1.
pub(crate) fn pinned(pattern: &str) -> String {
    let categories = [r"\p{L}", r"\p{N}", r"\p{P}", r"\p{S}", r"\p{M}", r"\p{Cc}", r"\p{Cf}", r"\p{Co}"];
    categories.iter().fold(pattern.into(), |pattern: String, category| {
        pattern.replace(category, &format!(r"[{category}&&\p{{age:15.1}}]"))
    })
}

/// First and last character of each range of a class.
fn ranges(class: &str) -> Vec<(char, char)> {
    let hir = regex_syntax::parse(&pinned(class)).expect("a class of Unicode that the library knows");
    match hir.kind() {
        regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => {
            class.iter().map(|r| (r.start(), r.end())).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_and_the_table_agree() {
        let table = Table::new();
        for c in 0..128u8 {
            let line_end = Class::of_ascii(c).0 & Class::LINE_END;
            assert_eq!(table.get(char::from(c)).0 | line_end, Class::of_ascii(c).0, "{c:#x}");
        }
        assert!(table.blocks.len() < 300, "{} blocks", table.blocks.len());
    }

    #[test]
    fn younger_characters_have_no_class() {
        for c in ['\u{a7db}', '\u{1c89}', '\u{1fbef}', '\u{10d40}'] {
            assert!(!Class::of(c).is_assigned() && Class::of(c).is_other(), "{c:?}");
        }
        assert!(('\0'..='\u{377}').all(|c| Class::of(c).is_assigned()));
        assert!(!Class::of('\u{378}').is_assigned());
    }

    #[test]
    fn characters_beyond_ascii() {
        for c in ['ä', 'ß', '中', 'а', 'ﬁ'] {
            assert!(Class::of(c).is_letter(), "{c}");
        }
        for c in ['²', '½', '٣', 'Ⅷ'] {
            assert!(Class::of(c).is_number(), "{c}");
        }
        for c in ['\u{a0}', '\u{3000}', '\u{2028}', '\u{85}'] {
            assert!(Class::of(c).is_space(), "{c:?}");
        }
        for c in ['€', '😀', '\u{301}', '\u{200d}'] {
            assert!(Class::of(c).is_other(), "{c:?}");
        }
    }
}
