//! Tokenizers as GGUF files describe them: text to token ids and back.
//!
//! Ids are those of llama.cpp on the same file. One file per kind of tokenizer (`spm`, `bpe`, `wpm`, `ugm`), one row per
//! pre-tokenizer in `pre/table.rs`.

mod bpe;
mod cache;
mod charsmap;
mod detokenize;
mod error;
mod names;
mod normaliser;
mod pre;
mod special;
mod spm;
mod table;
mod trie;
mod ugm;
mod vocab;
mod words;
mod wpm;

pub use detokenize::Detokenizer;
pub use error::Error;

use bpe::Bpe;
use chord_gguf::Metadata;
use pre::Spelling;
use special::{Controls, Part, Specials};
use spm::Spm;
use std::collections::BTreeSet;
use ugm::Ugm;
use vocab::{Kind, Vocab};
use wpm::Wpm;

/// A tokenizer. Encoding and decoding never fail.
#[derive(Debug)]
pub struct Tokenizer {
    vocab: Vocab,
    specials: Specials,
    algorithm: Algorithm,
    bos: Option<u32>,
    eos: Option<u32>,
    add_bos: bool,
    /// Appended where special tokens are wanted.
    last: Option<u32>,
    /// Put a space before text at the start and after special tokens.
    add_space_prefix: bool,
    /// Sorted ids that end an answer.
    ends: Vec<u32>,
    /// The file does not name its pre-tokenizer.
    guessed: bool,
}

#[derive(Debug)]
enum Algorithm {
    Spm(Spm),
    Bpe(Bpe),
    Wpm(Wpm),
    Ugm(Ugm),
    /// The model reads token ids only.
    None,
}

/// Values of `tokenizer.ggml.model` that are supported.
const MODELS: &str =
    "llama (SentencePiece), gpt2 (byte-level BPE), gemma4 (BPE on text), bert (WordPiece), t5 (Unigram)";

impl Tokenizer {
    /// Reads the tokenizer of a model from the `tokenizer.ggml.*` keys of its file.
    pub fn from_gguf(metadata: &Metadata) -> Result<Tokenizer, Error> {
        let Some(model) = metadata.str("tokenizer.ggml.model")? else { return Err(Error::Missing) };
        match model {
            "llama" => Tokenizer::spm(metadata),
            "gpt2" => Tokenizer::bpe(metadata, metadata.str("tokenizer.ggml.pre")?),
            "gemma4" => Tokenizer::bpe(metadata, Some("gemma4")),
            "bert" => Tokenizer::wpm(metadata),
            "t5" => Tokenizer::ugm(metadata),
            // llama.cpp's own tests write the last one.
            "no_vocab" | "none" | "test" => Tokenizer::none(),
            other => Err(Error::Model { found: other.into(), supported: MODELS }),
        }
    }

    /// Of a model that reads and writes token ids only: it has no tokens, and [`Tokenizer::check_text`] says so.
    fn none() -> Result<Tokenizer, Error> {
        Tokenizer::new(&Metadata::default(), Vocab::none(), Algorithm::None, &Defaults::NONE)
    }

    fn spm(metadata: &Metadata) -> Result<Tokenizer, Error> {
        let vocab = Vocab::read(metadata, vocab::Bytes::Text)?;
        let spm = Spm::new(metadata, &vocab)?;
        let defaults =
            Defaults { bos: Some(1), eos: Some(2), add_bos: true, add_space_prefix: true, ..Defaults::NONE };
        Tokenizer::new(metadata, vocab, Algorithm::Spm(spm), &defaults)
    }

    fn bpe(metadata: &Metadata, pre: Option<&str>) -> Result<Tokenizer, Error> {
        let guessed = pre.is_none_or(str::is_empty);
        let pre = pre::find(pre)?;
        let mapped = pre.spelling == Spelling::ByteLevel;
        let vocab = Vocab::read(metadata, if mapped { vocab::Bytes::Mapped } else { vocab::Bytes::Text })?;
        let bpe = Bpe::new(metadata, &vocab, pre)?;
        let or = Some(11).filter(|_| mapped);
        let defaults =
            Defaults { bos: or.filter(|_| !pre.no_bos), eos: or, add_bos: pre.add_bos, ..Defaults::NONE };
        let tokenizer = Tokenizer::new(metadata, vocab, Algorithm::Bpe(bpe), &defaults)?;
        Ok(Tokenizer { guessed, ..tokenizer })
    }

    fn wpm(metadata: &Metadata) -> Result<Tokenizer, Error> {
        let vocab = Vocab::read(metadata, vocab::Bytes::Text)?;
        let wpm = Wpm::new(metadata, &vocab)?;
        let defaults =
            Defaults { bos: Some(101), sep: Some(102), add_bos: true, add_sep: true, ..Defaults::NONE };
        Tokenizer::new(metadata, vocab, Algorithm::Wpm(wpm), &defaults)
    }

    fn ugm(metadata: &Metadata) -> Result<Tokenizer, Error> {
        let vocab = Vocab::read(metadata, vocab::Bytes::Text)?;
        let add_space = metadata.bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(false);
        let ugm = Ugm::new(metadata, &vocab, add_space)?;
        let defaults = Defaults { eos: Some(1), add_eos: true, ..Defaults::NONE };
        Tokenizer::new(metadata, vocab, Algorithm::Ugm(ugm), &defaults)
    }

    fn new(
        metadata: &Metadata,
        vocab: Vocab,
        algorithm: Algorithm,
        or: &Defaults,
    ) -> Result<Tokenizer, Error> {
        let id = |key: &str, or: Option<u32>| vocab.id_of_key(metadata, key, or);
        let bos = id("tokenizer.ggml.bos_token_id", or.bos)?;
        let eos = id("tokenizer.ggml.eos_token_id", or.eos)?;
        let sep = id("tokenizer.ggml.seperator_token_id", or.sep)?;
        let flag = |key: &str, or: bool| Ok::<bool, Error>(metadata.bool(key)?.unwrap_or(or));
        let add_eos = flag("tokenizer.ggml.add_eos_token", or.add_eos)?;
        Ok(Tokenizer {
            specials: Specials::new(&vocab, metadata)?,
            ends: names::ends(&vocab, metadata, eos)?,
            add_bos: flag("tokenizer.ggml.add_bos_token", or.add_bos)? && bos.is_some(),
            last: sep.filter(|_| or.add_sep).or(eos.filter(|_| add_eos)),
            add_space_prefix: flag("tokenizer.ggml.add_space_prefix", or.add_space_prefix)?,
            vocab,
            algorithm,
            bos,
            eos,
            guessed: false,
        })
    }

    /// Whether text can become tokens and back; an error says why not.
    pub fn check_text(&self) -> Result<(), Error> {
        match self.algorithm {
            Algorithm::None => Err(Error::NoText),
            _ => Ok(()),
        }
    }

    /// What the file leaves open about its tokenizer, for people.
    pub fn warnings(&self) -> Vec<String> {
        let guessed = "tokenizer.ggml.pre is missing, so how text is split is a guess (llama.cpp's `default`): \
                       token ids may not be those that the model was trained with; convert the model again";
        self.guessed.then(|| guessed.into()).into_iter().collect()
    }

    /// Token ids of `text`; none where [`Tokenizer::check_text`] fails. `add_special`: beginning- and end-of-sequence as the model says. `parse_special`: control
    /// tokens written in the text become these tokens; do not set it for text from untrusted users.
    pub fn encode(&self, text: &str, add_special: bool, parse_special: bool) -> Vec<u32> {
        let controls = if parse_special { Controls::Everywhere } else { Controls::Nowhere };
        let mut out = Vec::with_capacity(text.len() / 3 + 2);
        out.extend(self.bos.filter(|_| add_special && self.add_bos));
        self.encode_parts(text, controls, &mut out);
        out.extend(self.last.filter(|_| add_special));
        out
    }

    /// Token ids of a prompt that is partly typed by others: beginning-of-sequence as the model says, and control tokens
    /// where they touch none of the characters at the byte offsets `typed`, which are sorted. Text between control tokens
    /// gets the ids that [`Tokenizer::encode`] gives it without `parse_special`.
    pub fn encode_prompt(&self, text: &str, typed: &[usize]) -> Vec<u32> {
        let mut out = Vec::with_capacity(text.len() / 3 + 2);
        out.extend(self.bos.filter(|_| self.add_bos));
        self.encode_parts(text, Controls::Around(typed), &mut out);
        out
    }

    /// The byte offsets of a text at which it spells a control token, overlapping ones included.
    pub fn control_starts(&self, text: &str) -> Vec<usize> {
        self.specials.starts(text)
    }

    /// The characters that the spelling of control tokens begins or ends with.
    pub fn control_edges(&self) -> BTreeSet<char> {
        self.specials.edges()
    }

    fn encode_parts(&self, text: &str, controls: Controls<'_>, out: &mut Vec<u32>) {
        let mut after_special = true;
        for part in self.specials.split(&self.vocab, text, controls) {
            match part {
                Part::Token(id) => {
                    out.push(id);
                    after_special = true;
                }
                Part::Text(text) => {
                    match &self.algorithm {
                        Algorithm::Spm(spm) => {
                            spm.encode(&self.vocab, text, after_special && self.add_space_prefix, out);
                        }
                        Algorithm::Bpe(bpe) => bpe.encode(&self.vocab, text, out),
                        Algorithm::Wpm(wpm) => wpm.encode(text, out),
                        Algorithm::Ugm(ugm) => ugm.encode(text, out),
                        Algorithm::None => {}
                    }
                    after_special = false;
                }
            }
        }
    }

    /// The bytes of tokens, which need not be UTF-8. Ids outside the vocabulary have none; control tokens only with
    /// `special`. The space that [`Tokenizer::encode`] puts before the first word is taken off again, if the first id
    /// is a word.
    pub fn decode(&self, ids: &[u32], special: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(ids.len() * 4);
        for (i, &id) in ids.iter().enumerate() {
            let piece = self.piece(id, special);
            let strip = i == 0 && self.add_space_prefix && self.vocab.kind(id) == Some(Kind::Normal);
            out.extend_from_slice(if strip { piece.strip_prefix(b" ").unwrap_or(piece) } else { piece });
        }
        out
    }

    /// Turns ids into text one by one.
    pub fn stream(&self) -> Detokenizer {
        Detokenizer::default()
    }

    /// Number of tokens; ids are below it.
    pub fn vocab_size(&self) -> usize {
        self.vocab.len()
    }

    /// A token as the file spells it.
    pub fn token_text(&self, id: u32) -> Option<&str> {
        self.vocab.text(id)
    }

    /// Whether the token controls the model and is no text.
    pub fn is_control(&self, id: u32) -> bool {
        self.vocab.kind(id) == Some(Kind::Control)
    }

    /// Whether the token ends an answer.
    pub fn is_end_of_generation(&self, id: u32) -> bool {
        self.ends.binary_search(&id).is_ok()
    }

    /// Whether [`Tokenizer::encode`] begins with beginning-of-sequence if asked for special tokens.
    pub fn adds_bos(&self) -> bool {
        self.add_bos && self.bos.is_some()
    }

    /// Beginning-of-sequence token.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// End-of-sequence token.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Bytes of one token.
    pub(crate) fn piece(&self, id: u32, special: bool) -> &[u8] {
        match self.vocab.kind(id) {
            Some(Kind::Control | Kind::Unknown) if !special => &[],
            _ => self.vocab.bytes(id),
        }
    }
}

/// What holds where the metadata is silent.
struct Defaults {
    bos: Option<u32>,
    eos: Option<u32>,
    sep: Option<u32>,
    add_bos: bool,
    add_eos: bool,
    add_sep: bool,
    add_space_prefix: bool,
}

impl Defaults {
    const NONE: Defaults = Defaults {
        bos: None,
        eos: None,
        sep: None,
        add_bos: false,
        add_eos: false,
        add_sep: false,
        add_space_prefix: false,
    };
}
