//! A model file to be spoilt: pairs and tensors that can be changed before it is written.

use chord_gguf::{Array, Gguf, Value, Writer};
use std::path::Path;

/// A tensor as the directory tells of it, and its bytes.
#[derive(Clone)]
pub struct DraftTensor {
    /// Name.
    pub name: String,
    /// GGML's number of the type.
    pub dtype: u32,
    /// Extents, row length first.
    pub dims: Vec<u64>,
    /// Offset to write instead of the right one.
    pub offset: Option<u64>,
    /// Data.
    pub bytes: Vec<u8>,
}

/// A model file in parts.
#[derive(Clone)]
pub struct Draft {
    /// Metadata, in order; keys need not be unique.
    pub pairs: Vec<(String, Value)>,
    /// Tensors, in order.
    pub tensors: Vec<DraftTensor>,
}

impl Draft {
    /// The parts of a file.
    pub fn read(path: &Path) -> Draft {
        let file = std::fs::read(path).expect("the model can be read");
        let gguf = Gguf::parse(&file, "model").expect("it is GGUF");
        let pairs = gguf.metadata.iter().map(|(k, v)| (k.to_string(), v.clone())).collect();
        let tensor = |t: &chord_gguf::TensorInfo| DraftTensor {
            name: t.name.clone(),
            dtype: t.dtype.ggml_id(),
            dims: t.dims.clone(),
            offset: None,
            bytes: file[t.offset as usize..(t.offset + t.bytes) as usize].to_vec(),
        };
        Draft { pairs, tensors: gguf.tensors.iter().map(tensor).collect() }
    }

    /// Replaces or adds a pair.
    pub fn set(&mut self, key: &str, value: Value) {
        self.pairs.retain(|p| p.0 != key);
        self.pairs.push((key.into(), value));
    }

    /// Removes a pair.
    pub fn remove(&mut self, key: &str) {
        self.pairs.retain(|p| p.0 != key);
    }

    /// A tensor by name.
    pub fn tensor(&mut self, name: &str) -> &mut DraftTensor {
        self.tensors.iter_mut().find(|t| t.name == name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// The elements of an F32 tensor replaced.
    pub fn fill(&mut self, name: &str, value: f32) {
        let tensor = self.tensor(name);
        tensor.bytes = value.to_le_bytes().repeat(tensor.bytes.len() / 4);
    }

    /// The strings of a metadata array, changed.
    pub fn strings(&mut self, key: &str, change: impl Fn(usize, &str) -> String) {
        let value = self.pairs.iter().find(|p| p.0 == key).map(|p| &p.1);
        let Some(Value::Array(Array::String(old))) = value else { panic!("{key} is no array of strings") };
        let new = old.iter().enumerate().map(|(i, s)| change(i, s)).collect();
        self.set(key, Value::Array(Array::String(new)));
    }

    /// Keeps the first `count` tokens of the vocabulary.
    pub fn cut_vocabulary(&mut self, count: usize) {
        let key = "tokenizer.ggml.tokens";
        let value = self.pairs.iter().find(|p| p.0 == key).map(|p| &p.1);
        let Some(Value::Array(Array::String(old))) = value else { panic!("{key} is no array of strings") };
        let new = old.iter().take(count).collect();
        self.set(key, Value::Array(Array::String(new)));
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        for (key, value) in &self.pairs {
            writer = writer.metadata(key, value.clone());
        }
        for t in &self.tensors {
            writer = writer.raw_tensor(&t.name, t.dtype, &t.dims, t.offset, &t.bytes);
        }
        writer.finish()
    }
}
