//! Models as other programs write them: odd, but honest.

use crate::draft::{Draft, DraftTensor};
use crate::memory::{families, greedy, rest};
use chord_engine::{Error, LoadOptions, Prompt, inspect};
use chord_gguf::{Array, StringArray, Value};
use chord_quant::DType;

const DEMO: &str = "demo-stories-3.7M-q8_0.gguf";
const PER_LAYER: [&str; 3] = ["attention.head_count", "attention.head_count_kv", "feed_forward_length"];

fn text(s: &str) -> Value {
    Value::String(s.into())
}

/// The family's name and number of layers.
fn shape(draft: &Draft) -> (String, usize) {
    let Value::String(family) = draft.get("general.architecture") else { panic!("it has a family") };
    let layers = draft.number(&format!("{family}.block_count")) as usize;
    (family, layers)
}

/// Nothing that the model computes is said in another way: bit for bit the same.
fn same(what: &str, odd: &Draft, plain: &Draft) {
    assert!(odd.logits() == plain.logits(), "{what}");
}

#[test]
fn equal_numbers_for_each_layer() {
    for family in families() {
        let plain = Draft::model(&family);
        let (name, layers) = shape(&plain);
        let mut odd = plain.clone();
        for key in PER_LAYER {
            let key = format!("{name}.{key}");
            let n = plain.number(&key);
            odd.set(&key, Value::Array(Array::I32(vec![n as i32; layers])));
        }
        same(&family, &odd, &plain);
    }
}

/// Layer 1 gets a key and value head for each query head (copies), and a wider network whose new part is 0.
#[test]
fn other_numbers_for_each_layer() {
    let plain = Draft::model("tiny-llama-f32.gguf");
    let (layers, d) =
        (plain.number("llama.block_count") as usize, plain.number("llama.embedding_length") as usize);
    let (heads, kv) =
        (plain.number("llama.attention.head_count"), plain.number("llama.attention.head_count_kv"));
    let width = plain.number("llama.feed_forward_length");
    assert!(heads > kv && layers == 2, "there is something to change");
    let mut odd = plain.clone();
    let of_layer_1 = |plain: u32, other: u32| Value::Array(Array::U16(vec![plain as u16, other as u16]));
    odd.set("llama.attention.head_count", of_layer_1(heads, heads));
    odd.set("llama.attention.head_count_kv", of_layer_1(kv, heads));
    odd.set("llama.feed_forward_length", of_layer_1(width, width + 32));
    for name in ["blk.1.attn_k.weight", "blk.1.attn_v.weight"] {
        let tensor = odd.tensor(name);
        let head = tensor.bytes.len() / kv as usize;
        let copies = (heads / kv) as usize;
        tensor.bytes = tensor.bytes.chunks_exact(head).flat_map(|h| h.repeat(copies)).collect();
        tensor.dims[1] *= copies as u64;
    }
    for name in ["blk.1.ffn_gate.weight", "blk.1.ffn_up.weight"] {
        let tensor = odd.tensor(name);
        tensor.bytes.extend(vec![0; 32 * d * 4]);
        tensor.dims[1] += 32;
    }
    let down = odd.tensor("blk.1.ffn_down.weight");
    let rows = down.bytes.chunks_exact(width as usize * 4);
    down.bytes = rows.flat_map(|row| [row, &[0; 32 * 4]].concat()).collect();
    down.dims[0] += 32;
    let (a, b) = (odd.logits(), plain.logits());
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4), "only sums of zeros are added");

    let uneven = odd.clone().with("llama.attention.head_count_kv", of_layer_1(kv, heads - 1));
    assert!(
        uneven.refused().to_string().contains("a divisor of head_count = 4, found 3"),
        "{}",
        uneven.refused()
    );
    let short = plain.with("llama.feed_forward_length", Value::Array(Array::U32(vec![width])));
    assert!(short.refused().to_string().contains("expected 2 elements, found 1"), "{}", short.refused());
}

#[test]
fn integers_of_any_width() {
    let plain = Draft::model("tiny-gemma3-f32.gguf");
    let widths: [fn(u32) -> Value; 5] = [
        |n| n.try_into().map_or(Value::U64(n.into()), Value::U8),
        |n| n.try_into().map_or(Value::I64(n.into()), Value::I8),
        |n| n.try_into().map_or(Value::U64(n.into()), Value::U16),
        |n| Value::I32(n as i32),
        |n| Value::I64(n.into()),
    ];
    for width in widths {
        let mut odd = plain.clone();
        for (_, value) in &mut odd.pairs {
            if let Value::U32(n) = *value {
                *value = width(n);
            }
        }
        assert_ne!(odd.pairs, plain.pairs);
        same("integers", &odd, &plain);
    }
}

#[test]
fn token_types_of_any_integer_type() {
    let plain = Draft::model(DEMO);
    let key = "tokenizer.ggml.token_type";
    let Value::Array(types) = plain.get(key) else { panic!("it has types") };
    let [narrow, signed, wide] =
        [types.integers().map(Array::U8), types.integers().map(Array::I16), types.integers().map(Array::I64)];
    for types in [narrow, signed, wide].map(|t| t.expect("they are small")) {
        let odd = plain.clone().with(key, Value::Array(types));
        let ids = |draft: &Draft| {
            let model = draft.host().load(&LoadOptions { vocab_only: true, ..Default::default() }).unwrap();
            model.tokenize("Once <s> upon\n\u{1f9a0}", true, true).unwrap()
        };
        assert_eq!(ids(&odd), ids(&plain));
    }
    let bad = plain.with(key, Value::Array(Array::F32(vec![1.0; 1024])));
    assert!(bad.refused().to_string().contains("token_type"), "{}", bad.refused());
}

/// Rounds the vectors of a model to a type and stores them so, or as f32.
fn rounded_vectors(plain: &Draft, dtype: DType, stored: DType) -> Draft {
    let mut draft = plain.clone();
    let is_vector =
        |t: &&mut DraftTensor| t.dims.len() == 1 && t.dims[0].is_multiple_of(dtype.block_len() as u64);
    let mut n = 0;
    for tensor in draft.tensors.iter_mut().filter(is_vector) {
        let plain = tensor.floats();
        tensor.store(dtype, &plain);
        let rounded = tensor.floats();
        tensor.store(stored, &rounded);
        n += 1;
    }
    assert!(n > 4, "{n} vectors");
    draft
}

/// Norms, biases and rotary factors: as f32 vectors of the same numbers.
#[test]
fn vectors_of_any_type() {
    for (family, dtype) in [
        ("tiny-qwen2-f32.gguf", DType::F16),
        ("tiny-qwen2-f32.gguf", DType::BF16),
        ("tiny-qwen3-f32.gguf", DType::Q8_0),
        ("tiny-phi3-f32.gguf", DType::F16),
        ("tiny-llama3-f32.gguf", DType::BF16),
        ("tiny-gemma2-f32.gguf", DType::Q4_0),
    ] {
        let plain = Draft::model(family);
        let odd = rounded_vectors(&plain, dtype, dtype);
        same(&format!("{family}, {dtype}"), &odd, &rounded_vectors(&plain, dtype, DType::F32));
        assert!(odd.logits() != plain.logits(), "{family}: rounding to {dtype} is seen");
    }
}

/// A part of a fused bias begins at a whole block, or the type is named.
#[test]
fn parts_of_a_fused_bias() {
    let mut odd = Draft::model("tiny-phi3-f32.gguf");
    let weight = odd.tensor("blk.0.attn_qkv.weight");
    let n = weight.dims[1];
    let plain: Vec<f32> = (0..n).map(|i| (i % 13) as f32 / 64.0).collect();
    let mut bias =
        DraftTensor { name: "blk.0.attn_qkv.bias".into(), dtype: DType::F32, dims: vec![n], bytes: vec![] };
    bias.store(DType::F32, &plain);
    odd.tensors.push(bias);
    let exact = odd.clone();
    odd.tensor("blk.0.attn_qkv.bias").store(DType::F16, &plain);
    same("a fused bias in f16", &odd, &exact);
    assert!(n.is_multiple_of(256) && n / 256 == 1, "one block for queries, keys and values: {n}");
    let bytes = vec![0; DType::Q4_K.bytes_for(n).unwrap() as usize];
    let tensor = odd.tensor("blk.0.attn_qkv.bias");
    (tensor.dtype, tensor.bytes) = (DType::Q4_K, bytes);
    let Error::Unsupported(message) = odd.refused() else { panic!("{}", odd.refused()) };
    assert!(message.contains("attn_qkv.bias") && message.contains("Q4_K"), "{message}");
}

#[test]
fn text_that_is_not_utf_8() {
    let plain = Draft::model(DEMO);
    let latin = |s: &[u8]| Value::Bytes(s.to_vec());
    let odd = plain
        .clone()
        .with("general.description", latin(b"mod\xe8le"))
        .with("general.name", latin(b"caf\xe9"));
    same("Latin-1", &odd, &plain);
    assert_eq!(odd.host().load(&LoadOptions::default()).unwrap().info().name.as_deref(), Some("caf\u{fffd}"));
    let report = inspect(&odd.host(), "model.gguf").unwrap();
    let shown = report.metadata.iter().find(|m| m.key == "general.description").unwrap();
    assert_eq!((shown.kind.as_str(), shown.value.as_str()), ("string", "mod\u{fffd}le"));
    // What is needed is not guessed.
    let family = plain.with("general.architecture", latin(b"ll\xe4ma"));
    assert!(matches!(family.refused(), Error::InvalidModel(m) if m.contains("not UTF-8")));
}

#[test]
fn nested_arrays_in_keys_that_nobody_reads() {
    let plain = Draft::model(DEMO);
    let names: StringArray = ["a", "b"].iter().collect();
    let nested = Value::Array(Array::Array(vec![Array::String(names), Array::U8(vec![1])]));
    let mut odd = plain.clone();
    odd.pairs.insert(2, ("custom.names".into(), nested));
    same("nested arrays", &odd, &plain);
    let report = inspect(&odd.host(), "model.gguf").unwrap();
    assert_eq!(report.metadata[2].kind, "array<array>");
}

/// Rows behind the last token: not computed, not sampled, whatever they hold.
#[test]
fn padded_vocabularies() {
    for family in [DEMO.to_string()].into_iter().chain(families()) {
        let plain = Draft::model(&family);
        let mut odd = plain.clone();
        let names = ["token_embd.weight", "output.weight"];
        for (tensor, more) in odd.tensors.iter_mut().filter(|t| names.contains(&t.name.as_str())).zip([64, 3])
        {
            let row = tensor.bytes.len() / tensor.dims[1] as usize;
            tensor.bytes.extend(vec![0x40; more * row]);
            tensor.dims[1] += more as u64;
        }
        same(&family, &odd, &plain);
        let model = odd.host().load(&LoadOptions::default()).unwrap();
        let vocabulary = model.tokenizer().vocab_size() as u32;
        assert_eq!(model.info().vocabulary, vocabulary);
        let session = model.open().unwrap();
        let refused = session.append(&[vocabulary]).unwrap_err().to_string();
        assert!(refused.contains("below"), "a row without a token is none: {refused}");
        let (ids, ..) = rest(&mut session.generate(&Prompt::Tokens(vec![1]), &greedy(30)).unwrap());
        assert!(ids.iter().all(|&id| id < vocabulary), "{ids:?}");
    }
    let mut cut = Draft::model("tiny-llama-f32.gguf");
    let table = cut.tensor("token_embd.weight");
    let row = table.bytes.len() / table.dims[1] as usize;
    table.bytes.truncate(1000 * row);
    table.dims[1] = 1000;
    let message = cut.refused().to_string();
    assert!(message.contains("[_, 1024] or more rows") && message.contains("[128, 1000]"), "{message}");
}

#[test]
fn a_bias_of_the_output() {
    let plain = Draft::model("tiny-qwen2-f32.gguf");
    let bias: Vec<f32> = (0..1024).map(|i| i as f32 / 64.0).collect();
    let mut tensor =
        DraftTensor { name: "output.bias".into(), dtype: DType::F32, dims: vec![1024], bytes: vec![] };
    tensor.store(DType::F32, &bias);
    let mut odd = plain.clone();
    odd.tensors.push(tensor);
    let (with, without) = (odd.logits(), plain.logits());
    let moved = with.iter().zip(&without).enumerate().map(|(i, (a, b))| (a - b - bias[i % 1024]).abs());
    assert!(moved.fold(0.0, f32::max) < 1e-5);
}

#[test]
fn a_missing_pre_tokenizer_is_a_guess() {
    let plain = Draft::model("tiny-qwen2-f32.gguf");
    let warnings = |draft: &Draft| {
        let host = draft.host();
        let loaded = host.load(&LoadOptions::default()).unwrap().info().warnings.clone();
        assert_eq!(inspect(&host, "model.gguf").unwrap().warnings, loaded);
        loaded
    };
    assert!(warnings(&plain).is_empty());
    for odd in
        [plain.clone().without("tokenizer.ggml.pre"), plain.clone().with("tokenizer.ggml.pre", text(""))]
    {
        let [warning] = &warnings(&odd)[..] else { panic!("one warning") };
        assert!(warning.contains("tokenizer.ggml.pre") && warning.contains("guess"), "{warning}");
    }
    // Other kinds have none.
    assert!(warnings(&Draft::model("tiny-llama-f32.gguf").without("tokenizer.ggml.pre")).is_empty());
}

#[test]
fn attention_to_later_tokens_is_refused() {
    let odd = Draft::model("tiny-qwen2-f32.gguf").with("qwen2.attention.causal", Value::Bool(false));
    assert!(matches!(odd.refused(), Error::Unsupported(m) if m.contains("attention.causal")));
}
