//! Files under `tests/golden/`: see the README there.

use crate::{Draft, root};
use chord_gguf::Value;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One model's golden data.
#[derive(Debug, Deserialize)]
pub struct Golden {
    /// Model file, from the root of the repository.
    model: String,
    /// Keys that stand in for the model file's own.
    #[serde(default)]
    metadata: BTreeMap<String, serde_json::Value>,
    /// Values in a row of logits.
    pub vocab: usize,
    /// Prompts.
    pub prompts: Vec<Prompt>,
}

/// One prompt.
#[derive(Debug, Deserialize)]
pub struct Prompt {
    /// `short`, `medium`, `long`.
    pub name: String,
    /// The prompt's text.
    pub text: String,
    /// Its token ids.
    pub ids: Vec<u32>,
    /// Ids chosen greedily: 64, of soft-capped models 32.
    pub greedy: Vec<u32>,
    /// Indices into `ids ++ greedy`: which rows the files hold.
    pub positions: Vec<u32>,
    logits_file: String,
    exact_file: String,
}

impl Golden {
    /// The golden data of `<name>.json`.
    pub fn read(name: &str) -> Golden {
        let path = folder().join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Whether the data is about other metadata than the committed file has.
    pub fn is_derived(&self) -> bool {
        !self.metadata.is_empty()
    }

    /// The committed file.
    pub fn committed(&self) -> PathBuf {
        root().join(&self.model)
    }

    /// The model file: the committed one, or one with other metadata that is written to `folder`.
    pub fn file(&self, folder: &Path) -> PathBuf {
        if !self.is_derived() {
            return self.committed();
        }
        let (mut draft, path) = (Draft::read(&self.committed()), folder.join("derived.gguf"));
        self.metadata.iter().for_each(|(key, value)| draft.set(key, gguf_value(value)));
        std::fs::write(&path, draft.bytes()).expect("the model can be written");
        path
    }
}

/// Whole numbers are u32, others f32.
fn gguf_value(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::String(text) => Value::String(text.clone()),
        number => match number.as_u64() {
            Some(n) => Value::U32(n.try_into().expect("it fits")),
            None => Value::F32(number.as_f64().expect("a string or a number") as f32),
        },
    }
}

impl Prompt {
    /// Rows computed by llama.cpp, `(positions, vocab)`.
    pub fn llama_cpp(&self) -> Vec<f32> {
        floats(&self.logits_file)
    }

    /// The same rows in float64 arithmetic without any rounding of activations or cache.
    pub fn exact(&self) -> Vec<f32> {
        floats(&self.exact_file)
    }

    /// `ids ++ greedy`, as far as `positions` reach.
    pub fn tokens(&self) -> Vec<u32> {
        let mut tokens = [self.ids.as_slice(), &self.greedy].concat();
        tokens.truncate(self.positions.last().map_or(0, |&p| p as usize + 1));
        tokens
    }
}

fn folder() -> PathBuf {
    root().join("tests/golden")
}

fn floats(file: &str) -> Vec<f32> {
    let path = folder().join(file);
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
