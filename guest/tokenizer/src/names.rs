//! What tokens are by their names, where files are silent or wrong.
//!
//! As llama.cpp, but for the tokens of the Harmony format, which it lets any text spell.

use crate::Error;
use crate::vocab::Vocab;
use chord_gguf::Metadata;

/// They end an answer or a turn.
const ENDS: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// What a token does where a model fills in the middle of a text.
struct Part {
    keys: &'static [&'static str],
    /// Of the token, if no key names it: the first one that there is.
    names: &'static [&'static str],
    ends: bool,
}

const MIDDLE: &[Part] = &[
    Part {
        keys: &["tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"],
        names: &[
            "<|fim_prefix|>",
            "<fim-prefix>",
            "<fim_prefix>",
            "<｜fim▁begin｜>",
            "<PRE>",
            "▁<PRE>",
            "<|code_prefix|>",
            "<|prefix|>",
        ],
        ends: false,
    },
    Part {
        keys: &["tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"],
        names: &[
            "<|fim_suffix|>",
            "<fim-suffix>",
            "<fim_suffix>",
            "<｜fim▁hole｜>",
            "<SUF>",
            "▁<SUF>",
            "<|code_suffix|>",
            "<|suffix|>",
        ],
        ends: false,
    },
    Part {
        keys: &["tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"],
        names: &[
            "<|fim_middle|>",
            "<fim-middle>",
            "<fim_middle>",
            "<｜fim▁end｜>",
            "<MID>",
            "▁<MID>",
            "<|code_middle|>",
            "<|middle|>",
        ],
        ends: false,
    },
    Part {
        keys: &["tokenizer.ggml.fim_pad_token_id"],
        names: &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
        ends: true,
    },
    Part {
        keys: &["tokenizer.ggml.fim_rep_token_id"],
        names: &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
        ends: true,
    },
    Part { keys: &["tokenizer.ggml.fim_sep_token_id"], names: &["<|file_sep|>"], ends: true },
];

impl Part {
    fn id(&self, vocab: &Vocab, metadata: &Metadata) -> Result<Option<u32>, Error> {
        Ok(self.by_key(vocab, metadata)?.or_else(|| self.by_name(vocab)))
    }

    fn by_key(&self, vocab: &Vocab, metadata: &Metadata) -> Result<Option<u32>, Error> {
        let ids = self.keys.iter().map(|key| vocab.id_of_key(metadata, key, None));
        Ok(ids.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().next_back())
    }

    fn by_name(&self, vocab: &Vocab) -> Option<u32> {
        self.names.iter().find_map(|name| vocab.id_of_text(name))
    }
}

/// Tokens that control the model, whatever their type: text must not become them unasked.
pub(crate) fn controls(vocab: &Vocab, metadata: &Metadata) -> Result<Vec<u32>, Error> {
    let mut ids: Vec<u32> = ENDS.iter().filter_map(|name| vocab.id_of_text(name)).collect();
    for part in MIDDLE {
        let named = part.by_key(vocab, metadata)?.is_none();
        ids.extend(part.by_name(vocab).filter(|_| named));
    }
    let text = text(vocab);
    ids.retain(|&id| Some(id) != text);
    Ok(ids)
}

/// Tokens that end an answer, sorted.
pub(crate) fn ends(vocab: &Vocab, metadata: &Metadata, eos: Option<u32>) -> Result<Vec<u32>, Error> {
    let mut ids: Vec<u32> = ENDS.iter().filter_map(|name| vocab.id_of_text(name)).chain(eos).collect();
    for key in ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"] {
        ids.extend(vocab.id_of_key(metadata, key, None)?);
    }
    for part in MIDDLE.iter().filter(|part| part.ends) {
        ids.extend(part.id(vocab, metadata)?);
    }
    let (text, end_of_part) = (text(vocab), end_of_part(vocab));
    ids.retain(|&id| Some(id) != text && Some(id) != end_of_part);
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// `</s>` is text where something else ends answers.
pub(crate) fn text(vocab: &Vocab) -> Option<u32> {
    let other = ["<|tool_response>", "<|plamo:eos|>"].iter().any(|name| vocab.id_of_text(name).is_some());
    vocab.id_of_text("</s>").filter(|_| other)
}

/// `<|end|>` ends a part of an answer in the Harmony format and in Solar's: what ends an answer has other names there.
fn end_of_part(vocab: &Vocab) -> Option<u32> {
    let all = |names: &[&str]| names.iter().all(|name| vocab.id_of_text(name).is_some());
    let parts =
        ["<|call|>", "<|calls|>"].iter().any(|call| all(&[call, "<|return|>"]) || all(&[call, "<|flush|>"]));
    vocab.id_of_text("<|end|>").filter(|_| parts)
}
