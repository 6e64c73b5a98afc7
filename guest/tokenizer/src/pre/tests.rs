//! Splitters against the expressions that they follow.

use super::{Splitter, TABLE, find};
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
            let regex = Regex::new(&super::classes::pinned(expression(name))).unwrap();
            let mut words = Vec::new();
            Splitter::new(find(Some(name)).unwrap()).split(&text, &mut |word| words.push(word));
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

/// Every splitter, compiled: all text is in some word, in order, and no word is empty but for an empty text.
#[test]
fn every_splitter_keeps_the_text() {
    let texts = [
        "Hello, World! It's 1234567 o'clock,  isn't it?\r\n\n  Tab\there ",
        "我想在apple工作1314151天～ нещо на Български កាន់តែ 한국어 ภาษา",
        "x\u{301}e\u{301} 🚀\u{200d}🌫️ <sentinel:12>IMGIMGABZ {}[]`~^|<=>$+ ……。，",
        " \u{3000}\u{a0} \t \n",
    ];
    for pre in TABLE {
        let splitter = Splitter::new(pre);
        for text in texts {
            let mut words = Vec::new();
            splitter.split(text, &mut |word| words.push(word));
            assert_eq!(words.concat(), text, "{:?}", pre.names);
            assert!(words.iter().all(|w| !w.is_empty()), "{:?}: {words:?}", pre.names);
        }
    }
}

fn words(name: &str, text: &'static str) -> Vec<&'static str> {
    let mut words = Vec::new();
    Splitter::new(find(Some(name)).unwrap()).split(text, &mut |word| words.push(word));
    words
}

#[test]
fn expressions_split_as_their_models_do() {
    assert_eq!(words("gpt-4o", "HelloWorld it's  ok"), ["Hello", "World", " it's", " ", " ok"]);
    assert_eq!(words("tekken", "it's 123"), ["it", "'s", " ", "1", "2", "3"]);
    assert_eq!(words("deepseek-v3", "a1234 你好!"), ["a", "123", "4", " ", "你好", "!"]);
    assert_eq!(words("kimi-k2", "你好abc 1234"), ["你好", "abc", " ", "123", "4"]);
    assert_eq!(words("tiny_aya", "1234567 x"), ["1", "234", "567", " x"]);
    assert_eq!(words("superbpe", "a b 1234"), ["a b ", "1", "234"]);
    assert_eq!(words("bloom", "hi, you"), ["hi", ",", " you"]);
    assert_eq!(words("gemma4", "a b\n\nc"), ["a b", "\n\n", "c"]);
    // A letter since Unicode 16.
    assert_eq!(words("qwen2", "a\u{a7db}<s>"), ["a", "\u{a7db}<", "s", ">"]);
    assert_eq!(words("qwen35", "a\u{a7db}<s>"), ["a", "\u{a7db}<", "s", ">"]);
    assert_eq!(words("default", "a,b 1234"), ["a", ",", "b", " ", "123", "4"]);
}
