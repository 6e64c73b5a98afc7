//! Long texts take linear time: what would be quadratic runs into the runner's time limit. Speed itself is measured in
//! `tests/bench`.

use crate::data::tokenizer;

/// Bytes.
const LONG: usize = 10 << 20;

fn all_come_back(name: &str, units: &[&str]) {
    let t = tokenizer(name);
    for unit in units {
        let text = unit.repeat(LONG / unit.len());
        let ids = t.encode(&text, false, false);
        assert!(!ids.is_empty() && ids.len() <= text.len() + 1);
        assert_eq!(t.decode(&ids, false).len(), text.len(), "{name}: {unit:?}");
    }
}

#[test]
fn one_character_by_byte_pairs() {
    all_come_back("gpt-2", &["a", " ", "\n", "'"]);
    all_come_back("llama-bpe", &["a", " ", "\n", "é", " \n"]);
}

#[test]
fn one_character_by_sentence_piece() {
    all_come_back("llama-spm", &["a", " ", "🚀"]);
}

#[test]
fn one_character_by_unigram_and_word_piece() {
    for (name, unit) in
        [("nomic-bert-moe", "a"), ("nomic-bert-moe", "🚀"), ("bert-bge", "a"), ("bert-bge", "中")]
    {
        let ids = tokenizer(name).encode(&unit.repeat(LONG / unit.len()), false, false);
        assert!(!ids.is_empty() && ids.len() <= LONG / unit.len() + 1, "{name}: {unit:?}");
    }
}

#[test]
fn special_tokens_and_their_beginnings() {
    let t = tokenizer("llama-bpe");
    let text = "<|eot_id|>".repeat(100_000);
    assert_eq!(t.encode(&text, false, true), vec![128_009; 100_000]);
    let text = "<|".repeat(500_000);
    assert!(!t.encode(&text, false, true).is_empty());
}
