//! Tokens that stand in the text as they are: found before anything else is split.

use crate::Error;
use crate::vocab::{Kind, Vocab};
use chord_gguf::Metadata;
use std::collections::BTreeSet;
use std::ops::Range;

/// Special tokens, the longest first.
#[derive(Debug)]
pub(crate) struct Specials {
    /// In the order in which they are looked for.
    tokens: Vec<Special>,
    /// Indices into `tokens`, sorted by text: what occurs is found in one pass.
    sorted: Vec<usize>,
    /// By byte: whether some token begins with it, one that is always matched or any.
    first_always: Box<[bool; 256]>,
    first: Box<[bool; 256]>,
}

#[derive(Debug)]
struct Special {
    id: u32,
    text: Box<str>,
    /// Matched even where control tokens are not.
    always: bool,
    /// Takes the white space behind it along.
    strips_right: bool,
    /// Takes the white space before it along.
    strips_left: bool,
}

/// Where control tokens are looked for. User-defined tokens are text, and found everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Controls<'a> {
    Nowhere,
    Everywhere,
    /// Not over any of these byte offsets, which are sorted.
    Around(&'a [usize]),
}

impl Controls<'_> {
    /// Whether a control token may stand at these bytes.
    fn allow(self, bytes: Range<usize>) -> bool {
        match self {
            Controls::Nowhere => false,
            Controls::Everywhere => true,
            Controls::Around(typed) => {
                let next = typed.partition_point(|&at| at < bytes.start);
                typed.get(next).is_none_or(|&at| at >= bytes.end)
            }
        }
    }
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// A special token.
    Token(u32),
    /// What is between them; not empty.
    Text(&'a str),
}

impl Specials {
    /// Which tokens take white space along is in no key: as llama.cpp, it is told by names.
    pub(crate) fn new(vocab: &Vocab, metadata: &Metadata) -> Result<Specials, Error> {
        let text = |key: &str| metadata.shown(key).unwrap_or_default().to_lowercase();
        let (name, pre) = (text("general.name"), text("tokenizer.ggml.pre"));
        let architecture = text("general.architecture");
        let phi3 = name.contains("phi-3") || name.contains("phi3");
        let jina = ["jina-v2-de", "jina-v2-es", "jina-v2-code"].iter().any(|p| pre.contains(p))
            || ["nomic-bert-moe", "jina-bert-v3"].iter().any(|a| architecture.contains(a));
        let special = |id: u32| {
            let kind = vocab.kind(id)?;
            let (text, always) = (vocab.text(id)?, kind == Kind::UserDefined);
            let special = always || matches!(kind, Kind::Control | Kind::Unknown);
            let strips_right = phi3 && !matches!(text, "<unk>" | "<s>" | "<|endoftext|>");
            let strips_left =
                (jina && text == "<mask>") || (name.contains("modern-bert") && text == "[MASK]");
            (special && !text.is_empty()).then(|| Special {
                id,
                text: text.into(),
                always,
                strips_right,
                strips_left,
            })
        };
        let mut tokens: Vec<Special> = (0..vocab.len() as u32).filter_map(special).collect();
        tokens.sort_by_key(|t| std::cmp::Reverse(t.text.len()));
        let mut sorted: Vec<usize> = (0..tokens.len()).collect();
        sorted.sort_by(|&a, &b| tokens[a].text.cmp(&tokens[b].text));
        let (mut first, mut first_always) = (Box::new([false; 256]), Box::new([false; 256]));
        for token in &tokens {
            let byte = token.text.as_bytes()[0] as usize;
            first[byte] = true;
            first_always[byte] |= token.always;
        }
        Ok(Specials { tokens, sorted, first_always, first })
    }

    /// Splits a text at the special tokens in it: all of the longest one first, then the next in what is left.
    pub(crate) fn split<'a>(&self, vocab: &Vocab, text: &'a str, controls: Controls<'_>) -> Vec<Part<'a>> {
        debug_assert!(self.tokens.iter().all(|t| vocab.text(t.id) == Some(&t.text)));
        let mut parts = vec![Part::Text(text)];
        parts.retain(|p| *p != Part::Text(""));
        for special in self.occurring(text, controls != Controls::Nowhere) {
            let special = &self.tokens[special];
            let allowed = |bytes| special.always || controls.allow(bytes);
            parts = parts.into_iter().flat_map(|part| split_at(text, part, special, &allowed)).collect();
        }
        parts
    }

    /// The byte offsets at which some control token begins.
    pub(crate) fn starts(&self, text: &str) -> Vec<usize> {
        let begins = |&at: &usize| {
            let mut found = Vec::new();
            if self.first[text.as_bytes()[at] as usize] {
                self.at(&text.as_bytes()[at..], true, &mut found);
            }
            found.iter().any(|&i| !self.tokens[i].always)
        };
        (0..text.len()).filter(begins).collect()
    }

    /// The characters that control tokens begin or end with.
    pub(crate) fn edges(&self) -> BTreeSet<char> {
        let controls = self.tokens.iter().filter(|t| !t.always);
        controls.flat_map(|t| [t.text.chars().next(), t.text.chars().next_back()]).flatten().collect()
    }

    /// The tokens that occur in a text, in the order in which they are looked for.
    fn occurring(&self, text: &str, parse: bool) -> Vec<usize> {
        let mut found = Vec::new();
        let first = if parse { &self.first } else { &self.first_always };
        for (at, byte) in text.bytes().enumerate() {
            if first[byte as usize] {
                self.at(&text.as_bytes()[at..], parse, &mut found);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Adds the tokens that a text begins with, byte by byte narrowing down those that may.
    fn at(&self, text: &[u8], parse: bool, found: &mut Vec<usize>) {
        let byte = |i: usize, depth: usize| self.tokens[i].text.as_bytes().get(depth).copied();
        let mut range = &self.sorted[..];
        for (depth, &b) in text.iter().enumerate() {
            let start = range.partition_point(|&i| byte(i, depth) < Some(b));
            let end = range.partition_point(|&i| byte(i, depth) <= Some(b));
            range = &range[start..end];
            let complete = range.iter().take_while(|&&i| self.tokens[i].text.len() == depth + 1);
            found.extend(complete.filter(|&&i| parse || self.tokens[i].always));
            if range.is_empty() {
                return;
            }
        }
    }
}

/// C's `isspace`.
const WHITE: [char; 6] = [' ', '\t', '\n', '\x0b', '\x0c', '\r'];

/// A part of `whole`, split at every occurrence of a token that is allowed where it stands.
fn split_at<'a>(
    whole: &str,
    part: Part<'a>,
    special: &Special,
    allowed: &dyn Fn(Range<usize>) -> bool,
) -> Vec<Part<'a>> {
    let Part::Text(mut text) = part else { return vec![part] };
    let mut parts = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(&*special.text).map(|at| from + at) {
        let start = text.as_ptr() as usize - whole.as_ptr() as usize + at;
        if !allowed(start..start + special.text.len()) {
            from = at + text[at..].chars().next().map_or(1, char::len_utf8);
            continue;
        }
        let before = &text[..at];
        let before = if special.strips_left { before.trim_end_matches(WHITE) } else { before };
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(Part::Token(special.id));
        text = &text[at + special.text.len()..];
        if special.strips_right {
            text = text.trim_start_matches(WHITE);
        }
        from = 0;
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}
