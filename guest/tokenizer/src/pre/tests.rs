//! Splitters against the expressions that they follow.

use super::{TABLE, find};
use proptest::prelude::*;
use regex_automata::meta::Regex;

/// llama.cpp's expression, without look-ahead: `\s+(?!\S)|\s+` is `\s+`, of which all but the last character is taken if
/// a word follows.
fn expression(name: &str) -> &'static str {
    match name {
        "gpt-2" => r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+",
        "qwen2" => {
            r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
        }
        _ => {
            r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
        }
    }
}

fn by_expression<'t>(regex: &Regex, text: &'t str) -> Vec<&'t str> {
    let (mut words, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let found = regex.find(&text[at..]).expect("every character is in some word");
        assert_eq!(found.start(), 0, "nothing is left out");
        let mut word = &text[at..at + found.end()];
        // By its last alternative, as no other takes only white space that does not end in a line end.
        let spaces =
            word.chars().all(char::is_whitespace) && !(word.ends_with(['\r', '\n']) && by_lines(regex));
        if spaces && word.chars().count() > 1 && at + word.len() < text.len() {
            let last = word.chars().next_back().map_or(0, char::len_utf8);
            word = &word[..word.len() - last];
        }
        words.push(word);
        at += word.len();
    }
    words
}

/// Whether the expression has `\s*[\r\n]+`.
fn by_lines(regex: &Regex) -> bool {
    regex.find("\n\n").is_some()
        && regex.find(" \nx").is_some_and(|m| m.end() == 2)
        && regex.find("!\n").is_some_and(|m| m.end() == 2)
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[a-zA-Z]{1,3}",
        "[ \t\r\n\u{a0}\u{3000}\u{2028}\u{b}\u{85}]{1,5}",
        "'(s|S|t|re|RE|rE|ve|m|ll|lL|d|x)",
        "[0-9²٣Ⅷ]{1,9}",
        "[а-я一-龥é]{1,4}",
        "[!?.,'/_€😀\u{301}\u{200d}]{1,4}",
    ];
    prop::collection::vec(piece, 0..10).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn follow_their_expressions(text in text()) {
        for name in ["gpt-2", "llama-bpe", "qwen2"] {
            let regex = Regex::new(expression(name)).unwrap();
            let mut words = Vec::new();
            find(Some(name)).unwrap().split(&text, &mut |word| words.push(word));
            prop_assert_eq!(words, by_expression(&regex, &text), "{}", name);
        }
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = TABLE.iter().flat_map(|p| p.names).collect();
    let n = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), n);
}
