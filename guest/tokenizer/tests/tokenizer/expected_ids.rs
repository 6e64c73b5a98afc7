//! Token ids equal llama.cpp's, on real vocabularies.

use crate::data::{folder, tokenizer};

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
