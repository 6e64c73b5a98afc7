//! What is encoded comes back, at once and token by token.

use crate::data::tokenizer;
use chord_tokenizer::Tokenizer;
use proptest::prelude::*;
use std::sync::LazyLock;

static GPT2: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer("gpt-2"));
static LLAMA3: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer("llama-bpe"));
static SPM: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer("llama-spm"));

/// Text of every kind of character, the rare ones often.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[ -~]{0,12}",
        "[ \t\r\n]{1,5}",
        "(it's|I'LL|'re|don't| 'd){1,2}",
        "[0-9]{1,9}",
        "[а-я一-龥가-힣]{1,8}",
        "[😀🚀é̂\u{200d}]{1,4}",
    ];
    prop::collection::vec(piece, 0..6).prop_map(|parts| parts.concat())
}

/// The text of ids pushed one by one.
fn streamed(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let mut stream = tokenizer.stream();
    let mut text: String = ids.iter().map(|&id| stream.push(tokenizer, id)).collect();
    text.push_str(&stream.finish());
    text
}

proptest! {
    #[test]
    fn byte_level(text in text()) {
        for tokenizer in [&*GPT2, &*LLAMA3] {
            let ids = tokenizer.encode(&text, false, false);
            prop_assert_eq!(String::from_utf8(tokenizer.decode(&ids, false)).unwrap(), text.clone());
            prop_assert_eq!(streamed(tokenizer, &ids), text.clone());
        }
    }

    #[test]
    fn sentence_piece(text in text()) {
        let ids = SPM.encode(&text, false, false);
        // U+2581 is a space to SentencePiece.
        let expected = text.replace('\u{2581}', " ");
        let bytes = SPM.decode(&ids, false);
        prop_assert_eq!(String::from_utf8_lossy(&bytes), expected.clone());
        // A stream continues a text: it keeps the space before the first word.
        let first = if text.is_empty() { "" } else { " " };
        prop_assert_eq!(streamed(&SPM, &ids), format!("{first}{expected}"));
    }

    #[test]
    fn any_ids_decode_as_they_stream(ids in prop::collection::vec(0u32..60_000, 0..40)) {
        for tokenizer in [&*GPT2, &*LLAMA3] {
            let all = String::from_utf8_lossy(&tokenizer.decode(&ids, false)).into_owned();
            prop_assert_eq!(streamed(tokenizer, &ids), all);
        }
    }
}

#[test]
fn a_character_in_pieces_is_handed_out_whole() {
    let ids = GPT2.encode("🚀", false, false);
    assert!(ids.len() > 1);
    let mut stream = GPT2.stream();
    let parts: Vec<String> = ids.iter().map(|&id| stream.push(&GPT2, id)).collect();
    assert_eq!(parts.last().unwrap(), "🚀");
    assert!(parts[..parts.len() - 1].iter().all(String::is_empty), "{parts:?}");
    let mut cut = GPT2.stream();
    assert_eq!(cut.push(&GPT2, ids[0]), "");
    assert_eq!(cut.finish(), "\u{fffd}");
    assert_eq!(cut.finish(), "", "it is finished");
}
