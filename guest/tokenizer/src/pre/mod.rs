//! Pre-tokenizers: how text is split into the words within which BPE merges.
//!
//! Each is one regular expression in llama.cpp and in the tokenizer's own description; here it is a function that
//! follows the expression's alternatives by hand, in linear time. Tests compare it with the expression itself.

mod classes;
mod gpt2;
mod llama3;
#[cfg(test)]
mod tests;

use crate::Error;
pub(crate) use classes::Class;

/// A way to split text.
#[derive(Debug)]
pub(crate) struct Pre {
    /// Values of `tokenizer.ggml.pre`.
    names: &'static [&'static str],
    /// Bytes of the first word of a text that is not empty.
    first: fn(&str) -> usize,
    /// A word that is a token is that token, whatever merges say.
    pub(crate) ignore_merges: bool,
    /// Beginning-of-sequence is added unless metadata says otherwise.
    pub(crate) add_bos: bool,
}

/// Every pre-tokenizer.
pub(crate) const TABLE: &[Pre] = &[
    Pre {
        names: &[
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "gigachat",
            "jina-v2-es",
            "jina-v2-de",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "exaone4",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
        ],
        first: gpt2::first,
        ignore_merges: false,
        add_bos: false,
    },
    Pre {
        names: &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        first: llama3::first::<3>,
        ignore_merges: true,
        add_bos: true,
    },
    Pre {
        names: &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "megrez",
            "stablelm2",
            "hunyuan",
            "solar-open",
        ],
        first: llama3::first::<1>,
        ignore_merges: false,
        add_bos: false,
    },
    Pre {
        names: &["dbrx", "smaug-bpe", "chatglm-bpe"],
        first: llama3::first::<3>,
        ignore_merges: false,
        add_bos: false,
    },
    Pre { names: &["glm4", "glm5"], first: llama3::first::<3>, ignore_merges: true, add_bos: false },
];

/// The pre-tokenizer of a name.
pub(crate) fn find(name: Option<&str>) -> Result<&'static Pre, Error> {
    let found = name.and_then(|name| TABLE.iter().find(|p| p.names.contains(&name)));
    found.ok_or_else(|| {
        let supported = TABLE.iter().flat_map(|p| p.names).copied().collect::<Vec<_>>().join(", ");
        Error::Pre { found: name.map_or("(none given)".into(), |n| format!("`{n}`")), supported }
    })
}

impl Pre {
    /// Calls `f` with every word of a text, in order; joined, they are the text.
    pub(crate) fn split<'t>(&self, mut text: &'t str, f: &mut dyn FnMut(&'t str)) {
        while !text.is_empty() {
            let (word, rest) = text.split_at((self.first)(text));
            f(word);
            text = rest;
        }
    }
}

/// A position in a text, for following an expression.
#[derive(Clone, Copy)]
pub(crate) struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scan<'t> {
    pub(crate) fn new(text: &'t str) -> Scan<'t> {
        Scan { text, at: 0 }
    }

    /// Bytes passed.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Class of the next character; [`Class::END`] at the end.
    pub(crate) fn class(&self) -> Class {
        match self.text.as_bytes().get(self.at) {
            None => Class::END,
            Some(&b) if b.is_ascii() => Class::of_ascii(b),
            Some(_) => self.char().map_or(Class::END, Class::of),
        }
    }

    /// The next character.
    pub(crate) fn char(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    /// Passes the next character.
    pub(crate) fn pass(&mut self) {
        self.at += self.char().map_or(0, char::len_utf8);
    }

    /// Passes characters of a class, at most `most`; how many.
    pub(crate) fn pass_while(&mut self, most: usize, is: impl Fn(Class) -> bool) -> usize {
        let mut n = 0;
        while n < most && self.class() != Class::END && is(self.class()) {
            self.pass();
            n += 1;
        }
        n
    }
}

/// Bytes of an English contraction ('s 't 're 've 'm 'll 'd) that a text begins with; upper case counts with `any_case`.
pub(crate) fn contraction(text: &str, any_case: bool) -> Option<usize> {
    let rest = text.strip_prefix('\'')?.as_bytes();
    let is =
        |i: usize, c: u8| rest.get(i).is_some_and(|&b| b == c || (any_case && b.to_ascii_lowercase() == c));
    let one = [b's', b't', b'm', b'd'].iter().any(|&c| is(0, c));
    let two = [*b"re", *b"ve", *b"ll"].iter().any(|&[a, b]| is(0, a) && is(1, b));
    if one { Some(2) } else { two.then_some(3) }
}

/// Bytes of white space at the start of a text as `\s+(?!\S)|\s+` takes it: the last one is left for the word behind it,
/// unless it is the only one. 0: there is none.
pub(crate) fn white_space(text: &str) -> usize {
    let mut scan = Scan::new(text);
    let (mut n, mut before_last) = (0, 0);
    while scan.class().is_space() {
        before_last = scan.at();
        scan.pass();
        n += 1;
    }
    if n > 1 && scan.class() != Class::END { before_last } else { scan.at() }
}
