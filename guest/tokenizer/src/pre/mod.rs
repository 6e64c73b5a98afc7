//! Pre-tokenizers: how text is split into the words within which BPE merges.
//!
//! Each is a list of passes, each over the pieces of the one before, as in llama.cpp and in the tokenizer's own
//! description. A pass is a regular expression, or, where many models use it or no linear expression can say it, a
//! function. Tests compare the functions with the expressions that they stand for.

mod classes;
mod digits;
mod expression;
mod gpt2;
mod llama3;
mod table;
#[cfg(test)]
mod tests;

use crate::Error;
pub(crate) use classes::Class;
use expression::Expression;
pub(crate) use table::TABLE;

/// A way to split text, and what else its name implies.
#[derive(Debug)]
pub(crate) struct Pre {
    /// Values of `tokenizer.ggml.pre`.
    names: &'static [&'static str],
    passes: &'static [Pass],
    /// How tokens spell text.
    pub(crate) spelling: Spelling,
    /// A word that is a token is that token, whatever merges say.
    pub(crate) ignore_merges: bool,
    /// Beginning-of-sequence is added unless metadata says otherwise.
    pub(crate) add_bos: bool,
    /// There is no beginning-of-sequence token unless metadata names one.
    pub(crate) no_bos: bool,
}

/// How the tokens of a byte-pair vocabulary spell text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// Each byte as a character (GPT-2's table).
    ByteLevel,
    /// As it is.
    Raw,
    /// As it is, with U+2581 for spaces.
    Escaped {
        /// Line ends in a row are one token, if there is one, whatever merges say.
        line_ends_are_tokens: bool,
    },
}

/// One step of splitting.
#[derive(Debug)]
pub(crate) enum Pass {
    /// Bytes of the first piece of a text that is not empty.
    First(fn(&str) -> usize),
    /// Matches of an expression, and what is between them.
    Expression(&'static str, Spaces),
}

/// What happens to white space that an expression does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spaces {
    /// Nothing: it is part of what is between matches.
    Part,
    /// `\s+(?!\S)|\s+`: a word of its own, but its last character is left for the word behind it.
    LeaveLast,
    /// The same, in pieces of 512, 256, … 4, 2 and 1.
    Powers,
}

/// The pre-tokenizer of a name; without one, the one that llama.cpp takes then.
pub(crate) fn find(name: Option<&str>) -> Result<&'static Pre, Error> {
    let name = name.unwrap_or("default");
    let found = TABLE.iter().find(|p| p.names.contains(&name));
    found.ok_or_else(|| {
        let names = TABLE.iter().flat_map(|p| p.names).copied().filter(|n| !n.is_empty());
        Error::Pre { found: name.into(), supported: names.collect::<Vec<_>>().join(", ") }
    })
}

/// A pre-tokenizer ready to be used.
#[derive(Debug)]
pub(crate) struct Splitter {
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    First(fn(&str) -> usize),
    Expression(Expression),
}

impl Splitter {
    pub(crate) fn new(pre: &Pre) -> Splitter {
        let step = |pass: &Pass| match *pass {
            Pass::First(first) => Step::First(first),
            Pass::Expression(pattern, spaces) => Step::Expression(Expression::new(pattern, spaces)),
        };
        Splitter { steps: pre.passes.iter().map(step).collect() }
    }

    /// Calls `f` with every word of a text, in order; joined, they are the text.
    pub(crate) fn split<'t>(&self, text: &'t str, f: &mut dyn FnMut(&'t str)) {
        split(&self.steps, text, f);
    }
}

fn split<'t>(steps: &[Step], mut text: &'t str, f: &mut dyn FnMut(&'t str)) {
    let Some((step, rest)) = steps.split_first() else { return f(text) };
    match step {
        Step::Expression(e) => e.split(text, &mut |piece| split(rest, piece, f)),
        Step::First(first) => {
            while !text.is_empty() {
                let (piece, after) = text.split_at(first(text));
                split(rest, piece, f);
                text = after;
            }
        }
    }
}

/// Bytes of the first run of line feeds, or of anything else: `[^\n]+|[\n]+`.
fn newlines(text: &str) -> usize {
    let line_feed = text.starts_with('\n');
    text.find(|c| (c == '\n') != line_feed).unwrap_or(text.len())
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
/// unless it is the only one or the text ends with it and `end` is the text's end. 0: there is none.
pub(crate) fn white_space(text: &str, end: bool) -> usize {
    let mut scan = Scan::new(text);
    let (mut n, mut before_last) = (0, 0);
    while scan.class().is_space() {
        before_last = scan.at();
        scan.pass();
        n += 1;
    }
    if n > 1 && !(end && scan.class() == Class::END) { before_last } else { scan.at() }
}
