//! Ids to text, one by one.

use crate::Tokenizer;

/// Collects the bytes of tokens and hands out text as soon as it is complete. What it hands out, joined, is the text of
/// all tokens, with U+FFFD in place of what is no UTF-8.
#[derive(Clone, Debug, Default)]
pub struct Detokenizer {
    /// The beginning of a character; at most 3 bytes.
    pending: Vec<u8>,
}

impl Detokenizer {
    /// The text that the next token completes; may be empty. Control tokens are no text.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> String {
        self.pending.extend_from_slice(tokenizer.piece(id, false));
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(e) => {
                    let (valid, after) = rest.split_at(e.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = after;
                    let Some(bad) = e.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[bad..];
                }
            }
        }
        self.pending = rest.to_vec();
        text
    }

    /// The text of what is left: a character that was never completed.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}
