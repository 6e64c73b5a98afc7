//! Token ids equal llama.cpp's, on real vocabularies.

use crate::data::{folder, metadata, pairs, tokenizer};
use chord_tokenizer::Tokenizer;

/// Vocabularies with `cases.txt`.
const VOCABS: &[&str] = &[
    "bert-bge",
    "command-r",
    "deepseek-coder",
    "gpt-2",
    "llama-bpe",
    "llama-spm",
    "phi-3",
    "qwen2",
    "starcoder",
];

const SEPARATOR: &str = "\n__ggml_vocab_test__\n";

fn check(vocab: &str, cases: &str) {
    let read = |file: String| {
        std::fs::read_to_string(folder().join(&file)).unwrap_or_else(|e| panic!("{file}: {e}"))
    };
    let (texts, expected) = (read(cases.into()), read(format!("{vocab}.out")));
    let tokenizer = tokenizer(vocab);
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
        check(vocab, "cases.txt");
    }
}

#[test]
fn of_gemma_4() {
    check("gemma-4", "cases-gemma-4.txt");
}

/// One text through every pre-tokenizer, with one vocabulary.
#[test]
fn of_every_pre_tokenizer() {
    let text = std::fs::read_to_string(folder().join("pre.txt")).expect("pre.txt");
    let expected = std::fs::read_to_string(folder().join("pre.out")).expect("pre.out");
    let vocab = metadata("gpt-2");
    let (mut names, mut wrong) = (0, Vec::new());
    for line in expected.lines() {
        let (name, ids) = line.split_once('\t').expect("name, tab, ids");
        let ids: Vec<u32> = ids.split_whitespace().map(|n| n.parse().expect("an id")).collect();
        let pre = chord_gguf::Value::String(name.into());
        let changed =
            vocab.iter().map(|(k, v)| (k, if k == "tokenizer.ggml.pre" { pre.clone() } else { v.clone() }));
        let found = Tokenizer::from_gguf(&pairs(changed)).unwrap_or_else(|e| panic!("{name}: {e}"));
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
    let read = |file| std::fs::read_to_string(folder().join(file)).expect("it reads");
    let expected: Vec<u32> =
        read("nomic-bert-moe.ids").split_whitespace().map(|n| n.parse().expect("an id")).collect();
    let found = tokenizer("nomic-bert-moe").encode(&read("pre.txt"), false, false);
    let at = (0..found.len().max(expected.len())).find(|&i| found.get(i) != expected.get(i));
    assert_eq!(at, None, "{:?} instead of {:?}", &found[..10], &expected[..10]);
}
