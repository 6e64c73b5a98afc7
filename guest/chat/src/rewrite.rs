//! Jinja2's syntax where `minijinja` has none of it: what a template says instead before it is parsed.
//!
//! `a % b` becomes a filter, since the operator knows numbers only; `{% generation %}` (a tag of `transformers` that marks
//! answers for training) becomes a block that always runs; `\U0001F600` becomes its character; line ends become `\n`.

use crate::Error;
use crate::lexer::{long_escapes, token};

/// The filter that `%` becomes.
pub(crate) const PERCENT: &str = "python_percent";

pub(crate) fn rewrite(source: &str) -> Result<String, Error> {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(source.len());
    let mut rest = source.as_str();
    while let Some(at) = next_tag(rest) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let kept = match &rest[..2] {
            "{#" => rest.find("#}").map_or(rest.len(), |end| end + 2),
            opening => match inside(rest, if opening == "{{" { "}}" } else { "%}" }) {
                Some(end) => {
                    let is_raw = opening == "{%" && rest[2..end].trim_matches(MARKS) == "raw";
                    out.push_str(opening);
                    out.push_str(&tag(&rest[2..end], opening == "{%")?);
                    rest = &rest[end..];
                    2 + if is_raw { raw(&rest[2..]) } else { 0 }
                }
                None => rest.len(),
            },
        };
        out.push_str(&rest[..kept]);
        rest = &rest[kept..];
    }
    Ok(out + rest)
}

fn next_tag(text: &str) -> Option<usize> {
    text.match_indices('{').map(|(at, _)| at).find(|&at| text[at + 1..].starts_with(['{', '%', '#']))
}

/// Where a tag's closing mark is: outside of strings and brackets.
fn inside(text: &str, close: &str) -> Option<usize> {
    let mut depth = 0u32;
    let mut at = 2;
    while at < text.len() {
        if depth == 0 && text[at..].starts_with(close) {
            return Some(at);
        }
        let token = token(&text[at..]);
        match token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += token.len();
    }
    None
}

const MARKS: [char; 7] = ['-', '+', ' ', '\t', '\n', '\u{b}', '\u{c}'];

/// How far the text of a raw block goes.
fn raw(text: &str) -> usize {
    let ends = |&(at, _): &(usize, &str)| text[at + 2..].trim_start_matches(MARKS).starts_with("endraw");
    text.match_indices("{%").find(ends).map_or(text.len(), |(at, _)| at)
}

fn tag(inner: &str, is_block: bool) -> Result<String, Error> {
    match inner.trim_matches(MARKS) {
        "generation" if is_block => return Ok(inner.replace("generation", "if true")),
        "endgeneration" if is_block => return Ok(inner.replace("endgeneration", "endif")),
        _ => {}
    }
    // The marks of white space are no signs.
    let start = inner.len() - inner.trim_start_matches(['-', '+']).len();
    let start = start.min(1);
    let end = inner.len() - usize::from(inner.len() > start && inner.ends_with(['-', '+']));
    Ok(inner[..start].to_string() + &expression(&inner[start..end])? + &inner[end..])
}

/// Most tokens of one tag. Each operator is an operand of the next, and the parser's work on these is recursive.
const TOKENS: usize = 1000;

/// Most `%` of one tag that are rewritten, as each is an operand of the next.
const OPERATORS: usize = 100;

/// An expression with `%` as a filter.
fn expression(inner: &str) -> Result<String, Error> {
    let mut tokens = Vec::new();
    let mut rest = inner;
    while !rest.is_empty() {
        let next = token(rest);
        tokens.push(next);
        rest = &rest[next.len()..];
    }
    let count = tokens.iter().filter(|t| !t.trim().is_empty()).count();
    if count > TOKENS {
        let why = format!("a tag has {count} tokens: expected at most {TOKENS}");
        return Err(Error::Syntax(why));
    }
    let operators = tokens.iter().filter(|&&t| t == "%").count();
    if operators > OPERATORS || (operators == 0 && !inner.contains("\\U")) {
        return Ok(inner.into());
    }
    let mut at = 0;
    let mut out = String::new();
    while at < tokens.len() {
        // An unmatched closing bracket is a syntax error, which the parser tells.
        out += &Rewriter { tokens: &tokens, at: &mut at, depth: 0 }.group();
        if let Some(close) = tokens.get(at) {
            out += close;
            at += 1;
        }
    }
    Ok(out)
}

/// Deepest nesting of brackets that is rewritten; the parser allows less.
const DEPTH: u32 = 200;

struct Rewriter<'a> {
    tokens: &'a [&'a str],
    at: &'a mut usize,
    depth: u32,
}

/// Words that end an operand.
const KEYWORDS: [&str; 20] = [
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "elif",
    "set",
    "for",
    "print",
    "call",
    "filter",
    "with",
    "macro",
    "recursive",
    "ignore",
    "missing",
    "block",
    "do",
];

impl Rewriter<'_> {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(*self.at).copied()
    }

    fn next(&mut self) -> String {
        let token = self.tokens.get(*self.at).copied().unwrap_or_default();
        *self.at += 1;
        match token.starts_with(['"', '\'']) {
            true => long_escapes(token),
            false => token.into(),
        }
    }

    /// Up to a closing bracket or the end.
    fn group(&mut self) -> String {
        let mut pieces: Vec<String> = Vec::new();
        while let Some(token) = self.peek() {
            match token {
                ")" | "]" | "}" => break,
                "(" | "[" | "{" => pieces.push(self.brackets()),
                "%" => {
                    *self.at += 1;
                    let left = pieces.split_off(operand_start(&pieces));
                    let right = self.operand();
                    pieces.push(format!("({})|{PERCENT}({right})", left.concat()));
                }
                _ => pieces.push(self.next()),
            }
        }
        pieces.concat()
    }

    fn brackets(&mut self) -> String {
        let mut out = self.next();
        if self.depth >= DEPTH {
            return out;
        }
        out += &Rewriter { tokens: self.tokens, at: self.at, depth: self.depth + 1 }.group();
        if self.peek().is_some() {
            out += &self.next();
        }
        out
    }

    fn space(&mut self) -> String {
        if self.peek().is_some_and(|t| t.trim().is_empty()) { self.next() } else { String::new() }
    }

    /// A signed value with what is looked up in it, called, or filtered.
    fn operand(&mut self) -> String {
        let mut out = self.space();
        while matches!(self.peek(), Some("-" | "+")) {
            out += &self.next();
            out += &self.space();
        }
        let mut strings = false;
        loop {
            let space = self.space();
            let token = self.peek().unwrap_or_default();
            let string = token.starts_with(['"', '\'']);
            let more = match token {
                "(" | "[" | "{" => self.brackets(),
                "." | "|" | "**" => {
                    let joint = self.next();
                    joint
                        + &self.space()
                        + &if self.peek() == Some("-") { self.next() } else { String::new() }
                        + &self.next()
                }
                _ if out.trim().is_empty() || out.trim() == "-" || (string && strings) => self.next(),
                _ => {
                    *self.at -= usize::from(!space.is_empty());
                    return out;
                }
            };
            strings = string;
            out = out + &space + &more;
            if *self.at > self.tokens.len() {
                return out;
            }
        }
    }
}

/// Where the left operand of `%` begins: behind an operator that binds less, or a keyword.
fn operand_start(pieces: &[String]) -> usize {
    let ends_operand = |at: usize| {
        let before = pieces[..at].iter().rev().map(|p| p.trim()).find(|p| !p.is_empty());
        before.is_some_and(|p| {
            !KEYWORDS.contains(&p) && p.ends_with(|c: char| c.is_alphanumeric() || "_\"')]}".contains(c))
        })
    };
    let stops = |at: usize| match pieces[at].trim() {
        "," | ":" | "=" | "==" | "!=" | "<" | ">" | "<=" | ">=" | "~" => true,
        "+" | "-" => ends_operand(at),
        word => KEYWORDS.contains(&word) && (at == 0 || !pieces[at - 1].ends_with(['.', '|'])),
    };
    (0..pieces.len()).rev().find(|&at| stops(at)).map_or(0, |at| at + 1)
}
