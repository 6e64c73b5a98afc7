//! Token ids equal llama.cpp's, on real vocabularies.

use crate::data::{folder, metadata, pairs, tokenizer};
use chord_gguf::{Metadata, Value};
use chord_tokenizer::Tokenizer;
use std::collections::BTreeMap;

/// Vocabularies with `cases.txt`.
const VOCABS: &[&str] = &[
    "bert-bge",
    "command-r",
    "deepseek-coder",
    "deepseek-llm",
    "falcon",
    "gpt-2",
    "llama-bpe",
    "llama-spm",
    "phi-3",
    "qwen2",
    "starcoder",
];

const SEPARATOR: &str = "\n__ggml_vocab_test__\n";

fn read(file: &str) -> String {
    std::fs::read_to_string(folder().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn check(vocab: &str, tokenizer: &Tokenizer, cases: &str) {
    let (texts, expected) = (read(cases), read(&format!("{vocab}.out")));
    let texts: Vec<&str> = texts.split(SEPARATOR).collect();
    let expected: Vec<&str> = expected.lines().collect();
    assert!(
        expected.len() >= 46 && texts.len() >= expected.len(),
        "{} texts, {} lines",
        texts.len(),
        expected.len()
    );
    for (text, line) in texts.iter().zip(expected) {
        let ids: Vec<u32> = line.split_whitespace().map(|n| n.parse().expect("an id")).collect();
        assert_eq!(tokenizer.encode(text, false, false), ids, "{vocab}: {text:?}");
    }
}

#[test]
fn of_every_vocabulary() {
    for vocab in VOCABS {
        check(vocab, &tokenizer(vocab), "cases.txt");
    }
}

#[test]
fn of_gemma_4() {
    check("gemma-4", &tokenizer("gemma-4"), "cases-gemma-4.txt");
}

/// A vocabulary with another pre-tokenizer.
fn with_pre(vocab: &Metadata, pre: &str) -> Tokenizer {
    let pre_of = |k: &str| (k == "tokenizer.ggml.pre").then(|| Value::String(pre.into()));
    let changed = vocab.iter().map(|(k, v)| (k, pre_of(k).unwrap_or_else(|| v.clone())));
    Tokenizer::from_gguf(&pairs(changed)).unwrap_or_else(|e| panic!("{pre}: {e}"))
}

/// Its vocabulary is Qwen 2's.
#[test]
fn of_qwen_3_5() {
    check("qwen35", &with_pre(&metadata("qwen2"), "qwen35"), "cases-qwen35.txt");
}

/// Texts of all kinds of characters, put together at random, by every vocabulary.
#[test]
fn of_random_texts() {
    let texts = read("random.txt");
    let texts: Vec<&str> = texts.split(SEPARATOR).collect();
    let (mut tokenizers, mut cases) = (BTreeMap::new(), 0);
    for (line, expected) in read("random.out").lines().enumerate() {
        let (name, ids) = expected.split_once('\t').expect("name, tab, ids");
        let ids: Vec<u32> = ids.split_whitespace().map(|n| n.parse().expect("an id")).collect();
        let tokenizer = tokenizers.entry(name.to_owned()).or_insert_with(|| tokenizer(name));
        let text = texts[line % texts.len()];
        assert_eq!(tokenizer.encode(text, false, false), ids, "{name}: {text:?}");
        cases += 1;
    }
    assert_eq!(cases, texts.len() * tokenizers.len());
    assert!(texts.len() >= 50 && tokenizers.len() >= 13, "{cases} cases");
}

/// One text through every pre-tokenizer, with one vocabulary.
#[test]
fn of_every_pre_tokenizer() {
    let (text, expected) = (read("pre.txt"), read("pre.out"));
    let vocab = metadata("gpt-2");
    let (mut names, mut wrong) = (0, Vec::new());
    for line in expected.lines() {
        let (name, ids) = line.split_once('\t').expect("name, tab, ids");
        let ids: Vec<u32> = ids.split_whitespace().map(|n| n.parse().expect("an id")).collect();
        let found = with_pre(&vocab, name);
        let found = found.encode(&text, false, false);
        names += 1;
        if let Some(at) = (0..found.len().max(ids.len())).find(|&i| found.get(i) != ids.get(i)) {
            let (a, b) = (at.saturating_sub(3), at + 6);
            wrong.push(format!("{name} at {at}: {:?} instead of {:?}", found.get(a..b), ids.get(a..b)));
        }
    }
    assert!(names >= 80, "{names} names");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Unigram with a character map, on one long text.
#[test]
fn of_unigram() {
    let expected: Vec<u32> =
        read("nomic-bert-moe.ids").split_whitespace().map(|n| n.parse().expect("an id")).collect();
    let found = tokenizer("nomic-bert-moe").encode(&read("pre.txt"), false, false);
    let at = (0..found.len().max(expected.len())).find(|&i| found.get(i) != expected.get(i));
    assert_eq!(at, None, "{:?} instead of {:?}", &found[..10], &expected[..10]);
}
