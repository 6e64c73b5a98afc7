//! Long texts take linear time. What is quadratic would take hours here, and is given up after minutes: [`within`]. Speed
//! itself is measured in `tests/bench`.

use crate::data::tokenizer;
use chord_tokenizer::Tokenizer;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Bytes. (10 MiB go through the engine: `ten_megabytes_of_one_character` in `tests/tests/hostile_models.rs`.)
const LONG: usize = 2 << 20;

/// Bytes of the text that a long one must agree with at its beginning.
const BRIEF: usize = 64 << 10;

/// What `f` returns. Panics if that takes minutes, so that quadratic time fails under any runner.
fn within<T: Send + 'static>(what: &str, f: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || sender.send(f()));
    let result = receiver.recv_timeout(Duration::from_secs(240));
    assert!(result.is_ok() || thread.is_finished(), "{what:?}: not done after minutes");
    result.unwrap_or_else(|_| panic!("{what}: it panicked"))
}

/// Ids of a brief and of a long text of one unit: as many for its bytes.
fn ids(t: &Arc<Tokenizer>, unit: &'static str) -> (Vec<u32>, Vec<u32>) {
    let of = |bytes: usize| {
        let (t, text) = (t.clone(), unit.repeat(bytes / unit.len()));
        within(unit, move || t.encode(&text, false, false))
    };
    let (brief, long) = (of(BRIEF), of(LONG));
    let (found, expected) = (long.len(), brief.len() * (LONG / BRIEF));
    assert!(found.abs_diff(expected) <= expected / 50, "{unit:?}: {found} ids, expected {expected}");
    (brief, long)
}

fn all_come_back(name: &str, units: &[&'static str]) {
    let t = Arc::new(tokenizer(name));
    for unit in units {
        let (brief, long) = ids(&t, unit);
        // The end of a run may be cut in its own way.
        let common = brief.len().saturating_sub(64);
        assert!(brief[..common] == long[..common], "{name}: {unit:?} begins otherwise in a long text");
        assert!(t.decode(&long, false) == unit.repeat(LONG / unit.len()).as_bytes(), "{name}: {unit:?}");
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
    let t = Arc::new(tokenizer("nomic-bert-moe"));
    for unit in ["a", "🚀"] {
        let decoded = t.decode(&ids(&t, unit).1, false);
        let text = unit.repeat(LONG / unit.len());
        assert!(decoded.trim_ascii_start() == text.as_bytes(), "{unit:?}");
    }
    let t = Arc::new(tokenizer("bert-bge"));
    assert_eq!(ids(&t, "中").1.len(), LONG / 3, "each is a word");
    // One word, cut from its beginning on.
    let (brief, long) = ids(&t, "a");
    assert!(brief[..brief.len() - 64] == long[..brief.len() - 64]);
}

#[test]
fn special_tokens_and_their_beginnings() {
    let t = Arc::new(tokenizer("llama-bpe"));
    let encode = |text: String| {
        let t = t.clone();
        within("special tokens", move || t.encode(&text, false, true))
    };
    assert_eq!(encode("<|eot_id|>".repeat(100_000)), vec![128_009; 100_000]);
    let beginnings = "<|".repeat(500_000);
    assert!(t.decode(&encode(beginnings.clone()), true) == beginnings.as_bytes());
}
