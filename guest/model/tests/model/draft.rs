//! Small model files of each family: metadata that can be changed, tensors of zeros.
//!
//! No two extents are alike, so that none can stand for another.

use chord_gguf::{Array, Gguf, Value, Writer};
use chord_quant::DType;

pub const VOCABULARY: u64 = 7;
pub const D: u64 = 16;
pub const HEADS: u64 = 4;
pub const KV_HEADS: u64 = 2;
pub const K_DIM: u64 = 6;
pub const V_DIM: u64 = 5;
pub const FF: u64 = 20;
pub const CONTEXT: u64 = 100;
/// Experts, and their hidden width in a family with a key for it.
pub const EXPERTS: u64 = 3;
pub const EXPERT_FF: u64 = 9;

/// Every supported family.
pub const FAMILIES: [&str; 7] = ["llama", "qwen2", "qwen3", "qwen3moe", "gemma2", "gemma3", "phi3"];

/// A tensor of a draft.
#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    pub dtype: DType,
    /// Row length first.
    pub dims: Vec<u64>,
}

/// A model file under construction.
#[derive(Clone)]
pub struct Draft {
    pub arch: &'static str,
    pub pairs: Vec<(String, Value)>,
    pub tensors: Vec<Tensor>,
}

pub fn u(n: u64) -> Value {
    Value::U32(n.try_into().unwrap())
}

pub fn f(x: f32) -> Value {
    Value::F32(x)
}

pub fn s(text: &str) -> Value {
    Value::String(text.into())
}

pub fn bools(list: &[bool]) -> Value {
    Value::Array(Array::Bool(list.to_vec()))
}

impl Draft {
    /// The metadata and tensors that every file of the family has, and no more.
    pub fn of(arch: &'static str) -> Draft {
        let mut draft = Draft { arch, pairs: Vec::new(), tensors: Vec::new() };
        draft.pairs.push(("general.architecture".into(), s(arch)));
        let sizes = [
            ("embedding_length", D),
            ("block_count", 2),
            ("context_length", CONTEXT),
            ("attention.head_count", HEADS),
            ("attention.head_count_kv", KV_HEADS),
            ("attention.key_length", K_DIM),
            ("attention.value_length", V_DIM),
            ("feed_forward_length", FF),
        ];
        for (key, size) in sizes {
            draft.set(key, u(size));
        }
        match arch {
            "gemma2" => draft.set("attention.sliding_window", u(32)),
            "gemma3" => {
                draft.set("attention.sliding_window", u(32));
                draft.set("attention.sliding_window_pattern", u(2));
            }
            "qwen3moe" => {
                draft.set("expert_count", u(EXPERTS));
                draft.set("expert_used_count", u(2));
                draft.set("expert_feed_forward_length", u(EXPERT_FF));
            }
            _ => {}
        }
        draft.tensors(2);
        draft
    }

    /// Replaces the tensors by those of a model of `layers` layers.
    fn tensors(&mut self, layers: u64) {
        self.tensors.clear();
        self.tensor("token_embd.weight", &[D, VOCABULARY]);
        for i in 0..layers {
            self.layer(i);
        }
        self.tensor("output_norm.weight", &[D]);
    }

    fn layer(&mut self, i: u64) {
        let (q, k, v) = (HEADS * K_DIM, KV_HEADS * K_DIM, KV_HEADS * V_DIM);
        let name = |part: &str| format!("blk.{i}.{part}");
        self.tensor(&name("attn_norm.weight"), &[D]);
        if self.arch == "phi3" {
            self.tensor(&name("attn_qkv.weight"), &[D, q + k + v]);
        } else {
            self.tensor(&name("attn_q.weight"), &[D, q]);
            self.tensor(&name("attn_k.weight"), &[D, k]);
            self.tensor(&name("attn_v.weight"), &[D, v]);
        }
        if self.arch == "qwen2" {
            self.tensor(&name("attn_q.bias"), &[q]);
            self.tensor(&name("attn_k.bias"), &[k]);
            self.tensor(&name("attn_v.bias"), &[v]);
        }
        if ["qwen3", "qwen3moe", "gemma3"].contains(&self.arch) {
            self.tensor(&name("attn_q_norm.weight"), &[K_DIM]);
            self.tensor(&name("attn_k_norm.weight"), &[K_DIM]);
        }
        self.tensor(&name("attn_output.weight"), &[HEADS * V_DIM, D]);
        self.tensor(&name("ffn_norm.weight"), &[D]);
        self.feed_forward(i);
        if self.arch.starts_with("gemma") {
            self.tensor(&name("post_attention_norm.weight"), &[D]);
            self.tensor(&name("post_ffw_norm.weight"), &[D]);
        }
    }

    fn feed_forward(&mut self, i: u64) {
        let name = |part: &str| format!("blk.{i}.ffn_{part}.weight");
        match self.arch {
            "qwen3moe" => self.experts(i, EXPERT_FF),
            "phi3" => {
                self.tensor(&name("up"), &[D, 2 * FF]);
                self.tensor(&name("down"), &[FF, D]);
            }
            _ => {
                self.tensor(&name("gate"), &[D, FF]);
                self.tensor(&name("up"), &[D, FF]);
                self.tensor(&name("down"), &[FF, D]);
            }
        }
    }

    /// The tensors of a mixture in layer `i`.
    pub fn experts(&mut self, i: u64, width: u64) {
        let name = |part: &str| format!("blk.{i}.ffn_{part}.weight");
        self.tensor(&name("gate_inp"), &[D, EXPERTS]);
        self.tensor(&name("gate_exps"), &[D, width, EXPERTS]);
        self.tensor(&name("up_exps"), &[D, width, EXPERTS]);
        self.tensor(&name("down_exps"), &[width, D, EXPERTS]);
    }

    /// `layers` layers, with their tensors.
    pub fn layers(mut self, layers: u64) -> Draft {
        self.set("block_count", u(layers));
        self.tensors(layers);
        self
    }

    /// Sets a key of the family.
    pub fn set(&mut self, key: &str, value: Value) {
        self.remove(key);
        self.pairs.push((format!("{}.{key}", self.arch), value));
    }

    /// The same with keys of the family set.
    pub fn with(mut self, pairs: &[(&str, Value)]) -> Draft {
        pairs.iter().for_each(|(key, value)| self.set(key, value.clone()));
        self
    }

    /// The same without keys of the family.
    pub fn without(mut self, keys: &[&str]) -> Draft {
        keys.iter().for_each(|key| self.remove(key));
        self
    }

    fn remove(&mut self, key: &str) {
        let key = format!("{}.{key}", self.arch);
        self.pairs.retain(|p| p.0 != key);
    }

    /// Adds an F32 tensor, or replaces the one of this name.
    pub fn tensor(&mut self, name: &str, dims: &[u64]) {
        self.typed(name, DType::F32, dims);
    }

    /// The same of another type.
    pub fn typed(&mut self, name: &str, dtype: DType, dims: &[u64]) {
        let tensor = Tensor { name: name.into(), dtype, dims: dims.to_vec() };
        match self.tensors.iter_mut().find(|t| t.name == name) {
            Some(old) => *old = tensor,
            None => self.tensors.push(tensor),
        }
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        let pair = |w: Writer, (key, value): &(String, Value)| w.metadata(key, value.clone());
        let writer = self.pairs.iter().fold(Writer::new(), pair);
        let tensor = |w: Writer, t: &Tensor| {
            let rows: u64 = t.dims[1..].iter().product();
            let bytes = vec![0; (t.dtype.bytes_for(t.dims[0]).unwrap() * rows) as usize];
            w.tensor(&t.name, t.dtype, &t.dims, &bytes)
        };
        self.tensors.iter().fold(writer, tensor).finish()
    }

    /// The file's directory.
    pub fn gguf(&self) -> Gguf {
        Gguf::parse(&self.bytes(), "model.gguf").unwrap()
    }

    pub fn spec(&self) -> Result<chord_model::ModelSpec, chord_model::Error> {
        chord_model::spec(&self.gguf())
    }
}
