//! A model file in parts, to be written again in another way.

use crate::memory::{Memory, bytes};
use chord_engine::{Error, LoadOptions};
use chord_gguf::{Gguf, Value, Writer};
use chord_quant::DType;

/// A tensor and its bytes.
#[derive(Clone)]
pub struct DraftTensor {
    pub name: String,
    pub dtype: DType,
    /// Row length first.
    pub dims: Vec<u64>,
    pub bytes: Vec<u8>,
}

/// Metadata and tensors, in order.
#[derive(Clone, Default)]
pub struct Draft {
    pub pairs: Vec<(String, Value)>,
    pub tensors: Vec<DraftTensor>,
}

impl Draft {
    /// A model of the repository's test data.
    pub fn model(name: &str) -> Draft {
        Draft::read(&bytes(name))
    }

    pub fn read(file: &[u8]) -> Draft {
        let gguf = Gguf::parse(&file.to_vec(), "model.gguf").expect("it is GGUF");
        let pairs = gguf.metadata.iter().map(|(k, v)| (k.to_string(), v.clone())).collect();
        let tensor = |t: &chord_gguf::TensorInfo| DraftTensor {
            name: t.name.clone(),
            dtype: t.dtype,
            dims: t.dims.clone(),
            bytes: file[t.offset as usize..(t.offset + t.bytes) as usize].to_vec(),
        };
        Draft { pairs, tensors: gguf.tensors.iter().map(tensor).collect() }
    }

    /// The value of a key that is there.
    pub fn get(&self, key: &str) -> Value {
        self.pairs.iter().find(|p| p.0 == key).unwrap_or_else(|| panic!("no key {key}")).1.clone()
    }

    /// The integer of a key that is there.
    pub fn number(&self, key: &str) -> u32 {
        self.get(key).integer().and_then(|n| n.try_into().ok()).unwrap_or_else(|| panic!("{key} is no u32"))
    }

    /// Replaces or adds a pair.
    pub fn set(&mut self, key: &str, value: Value) {
        match self.pairs.iter_mut().find(|p| p.0 == key) {
            Some(pair) => pair.1 = value,
            None => self.pairs.push((key.into(), value)),
        }
    }

    /// The same with another value.
    pub fn with(mut self, key: &str, value: Value) -> Draft {
        self.set(key, value);
        self
    }

    /// The same without a key.
    pub fn without(mut self, key: &str) -> Draft {
        self.pairs.retain(|p| p.0 != key);
        self
    }

    pub fn tensor(&mut self, name: &str) -> &mut DraftTensor {
        self.tensors.iter_mut().find(|t| t.name == name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let pairs = self.pairs.iter().fold(Writer::new(), |w, (k, v)| w.metadata(k, v.clone()));
        self.tensors.iter().fold(pairs, |w, t| w.tensor(&t.name, t.dtype, &t.dims, &t.bytes)).finish()
    }

    pub fn host(&self) -> Memory {
        Memory::of("model.gguf", self.bytes())
    }

    /// Logits after each token of a text that all vocabularies have.
    pub fn logits(&self) -> Vec<f32> {
        let model = self.host().load(&LoadOptions::default()).unwrap_or_else(|e| panic!("refused: {e}"));
        let tokens: Vec<u32> = (0..40).map(|i| (i * 7 + 3) % 100).collect();
        let wanted: Vec<u32> = (0..40).collect();
        model.open().unwrap().evaluate(&tokens, &wanted).expect("it runs")
    }

    /// Why it is not loaded.
    pub fn refused(&self) -> Error {
        match self.host().load(&LoadOptions::default()) {
            Ok(_) => panic!("it is loaded"),
            Err(e) => e,
        }
    }
}

impl DraftTensor {
    /// The elements as f32.
    pub fn floats(&self) -> Vec<f32> {
        let format = chord_quant::format(self.dtype).expect("it can be read");
        let mut out = vec![0.0; self.dims.iter().product::<u64>() as usize];
        (format.dequantise)(&self.bytes, &mut out);
        out
    }

    /// Stores the elements as another type.
    pub fn store(&mut self, dtype: DType, floats: &[f32]) {
        let quantise = chord_quant::format(dtype).and_then(|f| f.quantise).expect("it can be written");
        self.bytes = Vec::new();
        quantise(floats, &mut self.bytes);
        self.dtype = dtype;
    }
}
