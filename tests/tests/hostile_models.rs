//! Model files that broke other engines, through `engine.wasm` under the runtime: each is refused with a typed error or
//! works; none traps, hangs or takes more memory than it is allowed. The table is in RELIABILITY.md.

use chord_gguf::{Array, Value};
use chord_runtime::{
    ChatOptions, EngineError, Error, Event, FinishReason, Instance, Limits, LoadOptions, Message, Prompt,
    Runtime, Weights,
};
use chord_tests::{Draft, greedy, model};
use std::sync::OnceLock;
use std::time::Duration;

/// Little memory and time: what a hostile file costs is bounded.
fn instance(bytes: &[u8]) -> (Instance, tempfile::TempDir) {
    static RUNTIME: OnceLock<(Runtime, chord_runtime::EngineComponent)> = OnceLock::new();
    let (_, engine) = RUNTIME.get_or_init(|| {
        let limits =
            Limits { guest_memory: 256 << 20, call_time: Duration::from_secs(60), ..Limits::default() };
        let runtime = Runtime::builder().threads(2).limits(limits).build().expect("the runtime starts");
        let engine = runtime.component(chord_guests::ENGINE).expect("engine.wasm is a component");
        (runtime, engine)
    });
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, bytes).expect("it writes");
    let weights = Weights::open(&path).expect("the file opens");
    (engine.instantiate(weights).expect("it can be instantiated"), folder)
}

/// Loads and, if that works, generates a little. Anything but a typed answer of the engine is a failure.
#[track_caller]
fn outcome(what: &str, bytes: &[u8]) -> Result<(), String> {
    let (mut engine, _folder) = instance(bytes);
    let mut run = || -> Result<(), Error> {
        let model = engine.load(&LoadOptions::default())?;
        let session = engine.open(&model)?;
        let generation = engine.generate(&session, &Prompt::Text("Once upon".into()), &greedy(4))?;
        while !engine.next(&generation)?.is_empty() {}
        Ok(())
    };
    match run() {
        Ok(()) => Ok(()),
        Err(Error::Engine(e)) => {
            let text = Error::Engine(e).to_string();
            assert!(!text.is_empty() && !text.contains('\n'), "{what}: {text}");
            Err(text)
        }
        Err(e) => panic!("{what}: expected a typed error of the engine, found {e:?}"),
    }
}

/// It is refused, and the message has every part.
#[track_caller]
fn refused(what: &str, bytes: &[u8], parts: &[&str]) {
    let text = outcome(what, bytes).expect_err(what);
    for part in parts {
        assert!(text.contains(part), "{what}: `{part}` in: {text}");
    }
}

fn tiny() -> Draft {
    Draft::read(&model("tiny-llama-f32"))
}

/// The tiny model with one change, refused.
#[track_caller]
fn spoilt(what: &str, change: impl Fn(&mut Draft), parts: &[&str]) {
    let mut draft = tiny();
    change(&mut draft);
    refused(what, &draft.bytes(), parts);
}

/// A header with these counts and this body.
fn raw(tensors: u64, pairs: u64, body: &[u8]) -> Vec<u8> {
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend(tensors.to_le_bytes());
    out.extend(pairs.to_le_bytes());
    out.extend(body);
    out.resize(out.len().max(256), 0);
    out
}

fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text].concat()
}

#[test]
fn the_model_works_unspoilt() {
    assert_eq!(outcome("unspoilt", &tiny().bytes()), Ok(()));
}

#[test]
fn sizes_that_wrap() {
    refused("tensor count", &raw(0xFFFF_FFFF, 0, &[]), &["tensor"]);
    refused("pair count", &raw(0, 0xFFFF_FFFF, &[]), &["metadata"]);
    refused("both", &raw(u64::MAX, u64::MAX, &[]), &["model.gguf"]);
    let directory = |dims: &[u64], n: u32, offset: u64| {
        let mut body = string(b"token_embd.weight");
        body.extend(n.to_le_bytes());
        dims.iter().for_each(|d| body.extend(d.to_le_bytes()));
        body.extend(0u32.to_le_bytes());
        body.extend(offset.to_le_bytes());
        raw(1, 0, &body)
    };
    refused("product", &directory(&[1 << 32, 1 << 32, 2], 3, 0), &["token_embd.weight"]);
    refused("terabytes", &directory(&[1 << 40, 1], 2, 0), &["token_embd.weight"]);
    refused("bytes", &directory(&[u64::MAX / 4 + 1, 1], 2, 0), &["token_embd.weight"]);
    refused("dimensions", &directory(&[1, 1], 0xFFFF_FFFF, 0), &["dimension"]);
    refused("offset", &directory(&[4, 1], 2, u64::MAX - 15), &["token_embd.weight"]);
    for alignment in [0, 3, 0x8000_0000] {
        spoilt(
            "alignment",
            |d| d.set("general.alignment", Value::U32(alignment)),
            &["alignment", &alignment.to_string()],
        );
    }
}

#[test]
fn strings_and_arrays() {
    let key = |key: &[u8], kind: u32, value: &[u8]| [&string(key), &kind.to_le_bytes()[..], value].concat();
    let array = |kind: u32, count: u64| [&kind.to_le_bytes()[..], &count.to_le_bytes()].concat();
    refused("key past the end", &raw(0, 1, &(1u64 << 60).to_le_bytes()), &["model.gguf"]);
    refused("text past the end", &raw(0, 1, &key(b"a.b", 8, &u64::MAX.to_le_bytes())), &["a.b"]);
    refused("array of 2^60", &raw(0, 1, &key(b"a.b", 9, &array(4, 1 << 60))), &["a.b"]);
    refused("nested array of 2^60", &raw(0, 1, &key(b"a.b", 9, &array(9, 1 << 60))), &["a.b"]);
    refused("zero-length key", &raw(0, 1, &key(b"", 4, &[0; 4])), &["key"]);
    refused("not UTF-8", &raw(0, 1, &key(b"a.\xff", 4, &[0; 4])), &["UTF-8"]);
    spoilt("duplicate key", |d| d.pairs.push(d.pairs[0].clone()), &["general.architecture"]);
    // Arrays of another type than they are read as.
    for kind in ["tokenizer.ggml.scores", "tokenizer.ggml.token_type"] {
        spoilt("type confusion", |d| d.set(kind, Value::Array(Array::Bool(vec![true; 1024]))), &[kind]);
        spoilt("too short", |d| d.set(kind, Value::Array(Array::F32(vec![1.0; 3]))), &[kind]);
    }
}

#[test]
fn offsets_and_names() {
    spoilt(
        "beyond the file",
        |d| d.tensor("output_norm.weight").offset = Some(1 << 40),
        &["output_norm.weight"],
    );
    spoilt("overlap", |d| d.tensor("output_norm.weight").offset = Some(0), &["output_norm.weight"]);
    spoilt("misaligned", |d| d.tensor("output_norm.weight").offset = Some(4), &["output_norm.weight"]);
    spoilt("duplicate", |d| d.tensors.push(d.tensors[0].clone()), &["token_embd.weight"]);
    for index in 0..tiny().tensors.len() {
        let name = tiny().tensors[index].name.clone();
        // Without its gate, the up matrix of a block should be twice as high; without an output matrix, the embedding
        // takes its place.
        let named = name.replace("ffn_gate", "ffn_up");
        if name != "output.weight" {
            spoilt(&format!("without {name}"), |d| drop(d.tensors.remove(index)), &[&named]);
        }
        spoilt("another shape", |d| d.tensors[index].dims[0] /= 2, &[&name]);
        spoilt("unknown type", |d| d.tensors[index].dtype = 4_000_000_000, &[&name, "4000000000"]);
        let mut draft = tiny();
        let dims = &mut draft.tensors[index].dims;
        dims.reverse();
        if *dims != tiny().tensors[index].dims {
            refused("transposed", &draft.bytes(), &[&name]);
        }
    }
}

#[test]
fn block_structure() {
    let set = |key: &str, value: u32, parts: &[&str]| {
        let key = format!("llama.{key}");
        spoilt(&format!("{key} = {value}"), |d| d.set(&key, Value::U32(value)), parts);
    };
    set("block_count", 0, &["block_count"]);
    set("block_count", 513, &["block_count", "512"]);
    set("block_count", u32::MAX, &["block_count"]);
    spoilt("2^32 blocks", |d| d.set("llama.block_count", Value::U64(1 << 32)), &["block_count"]);
    set("attention.head_count", 0, &["head_count"]);
    set("attention.head_count", 3, &["attn_q"]);
    set("attention.head_count_kv", 0, &["head_count_kv"]);
    set("attention.head_count_kv", 3, &["head_count_kv"]);
    set("rope.dimension_count", 64, &["rope"]);
    set("rope.dimension_count", 31, &["rope"]);
    set("embedding_length", 0, &["embedding_length"]);
    set("embedding_length", u32::MAX, &["embedding_length"]);
    set("feed_forward_length", 0, &["feed_forward_length"]);
    set("context_length", 0, &["context_length"]);
    for missing in ["block_count", "embedding_length", "attention.head_count", "context_length"] {
        spoilt(missing, |d| d.remove(&format!("llama.{missing}")), &[missing]);
    }
    for epsilon in [f32::NAN, f32::INFINITY, -1.0] {
        spoilt(
            "epsilon",
            |d| d.set("llama.attention.layer_norm_rms_epsilon", Value::F32(epsilon)),
            &["epsilon"],
        );
    }
    let mixture = |key: &str, value: u32, parts: &[&str]| {
        let mut draft = Draft::read(&model("tiny-mixtral-f32"));
        draft.set(&format!("llama.{key}"), Value::U32(value));
        refused(&format!("{key} = {value}"), &draft.bytes(), parts);
    };
    mixture("expert_count", 0, &["ffn_"]);
    mixture("expert_count", 5, &["ffn_gate_inp"]);
    mixture("expert_count", 5000, &["expert_count"]);
    mixture("expert_count", u32::MAX, &["expert_count"]);
    mixture("expert_used_count", 0, &["expert_used_count"]);
    mixture("expert_used_count", 5, &["expert_used_count"]);
    spoilt("vocabulary of one", |d| d.cut_vocabulary(1), &["token"]);
    spoilt("no vocabulary", |d| d.cut_vocabulary(0), &["token"]);
    spoilt("no architecture", |d| d.remove("general.architecture"), &["general.architecture"]);
    spoilt(
        "unknown architecture",
        |d| d.set("general.architecture", Value::String("hal9000".into())),
        &["hal9000", "llama"],
    );
}

/// Every pair of the file with every odd value: an error or a working model, never a trap.
#[test]
fn every_key_with_odd_values() {
    let odd = [
        Value::U32(0),
        Value::U32(u32::MAX),
        Value::I32(-1),
        Value::U64(1 << 32),
        Value::F32(f32::NAN),
        Value::Bool(true),
        Value::String(String::new()),
        Value::String("\u{1b}[2J\n".into()),
        Value::Array(Array::U8(Vec::new())),
        Value::Array(Array::I32(vec![-1; 1024])),
        Value::Array(Array::F32(vec![f32::NAN; 1024])),
        Value::Array(Array::String([""; 1024].iter().collect())),
    ];
    let (mut worked, mut failed) = (0, 0);
    for key in tiny().pairs.iter().map(|p| p.0.clone()) {
        for value in &odd {
            let mut draft = tiny();
            draft.set(&key, value.clone());
            match outcome(&format!("{key} = {value:?}"), &draft.bytes()) {
                Ok(()) => worked += 1,
                Err(_) => failed += 1,
            }
        }
    }
    assert!(worked > 50 && failed > 100, "{worked} worked, {failed} were refused");
}

#[test]
fn tokenizers() {
    const TOKENS: &str = "tokenizer.ggml.tokens";
    let with = |change: &dyn Fn(usize, &str) -> String| {
        let mut draft = tiny();
        draft.strings(TOKENS, change);
        draft.bytes()
    };
    // Byte tokens are 3 to 258.
    for bad in ["<0x-1>", "<0xZZ>", "<0x>", "<0x100>", ""] {
        let bytes = with(&|i, s| if i == 10 { bad.into() } else { s.into() });
        let _ = outcome(&format!("byte token {bad}"), &bytes);
    }
    let long = "x".repeat(1 << 20);
    assert_eq!(
        outcome("a token of 1 MiB", &with(&|i, s| if i == 900 { long.clone() } else { s.into() })),
        Ok(())
    );
    assert_eq!(outcome("duplicates", &with(&|i, s| if i > 900 { "same".into() } else { s.into() })), Ok(()));
    for id in ["bos", "eos", "unknown"] {
        let key = format!("tokenizer.ggml.{id}_token_id");
        spoilt(&key, |d| d.set(&key, Value::U32(1 << 20)), &["token_id", "1048576"]);
    }
    let bpe = |merges: &[&str]| {
        let mut draft = Draft::read(&model("tiny-qwen2-f32"));
        draft.set("tokenizer.ggml.merges", Value::Array(Array::String(merges.iter().collect())));
        outcome(&format!("merges {merges:?}"), &draft.bytes())
    };
    assert!(bpe(&["a"]).is_err());
    let _ = bpe(&["no such", "tokens here"]);
    let _ = bpe(&["a b", "ab a", "a ba", "b a"]);
    let _ = bpe(&[]);
    spoilt(
        "pre-tokenizer",
        |d| {
            d.set("tokenizer.ggml.model", Value::String("gpt2".into()));
            d.set("tokenizer.ggml.merges", Value::Array(Array::String(["a b"].iter().collect())));
            d.set("tokenizer.ggml.pre", Value::String("no-such-pre".into()));
        },
        &["no-such-pre"],
    );
    spoilt("model", |d| d.set("tokenizer.ggml.model", Value::String("no-such".into())), &["no-such"]);
    for length in 1..4 {
        spoilt(
            "charsmap",
            |d| {
                d.set("tokenizer.ggml.model", Value::String("t5".into()));
                d.set("tokenizer.ggml.precompiled_charsmap", Value::Array(Array::U8(vec![255; length])));
            },
            &["charsmap"],
        );
    }
}

#[test]
fn ten_megabytes_of_one_character() {
    let options = LoadOptions { vocab_only: Some(true), ..LoadOptions::default() };
    // With little memory, it says so. Spaces in a row are merged as a whole.
    let (mut engine, _folder) = instance(&tiny().bytes());
    let loaded = engine.load(&options).expect("the vocabulary loads");
    match engine.tokenize(&loaded, &" ".repeat(10 << 20), false, false) {
        Err(Error::Trap(why)) => assert!(why.contains("may have 256"), "{why}"),
        other => panic!("expected a trap, found {} ids", other.map_or(0, |ids| ids.len())),
    }
    // With as much as is usual, it ends.
    let mut engine = chord_tests::instance(&model("tiny-llama-f32"));
    let loaded = engine.load(&options).expect("the vocabulary loads");
    for c in ["a", " ", "\n", "\u{e4}"] {
        let text = c.repeat((10 << 20) / c.len());
        let ids = engine.tokenize(&loaded, &text, false, false).expect("it ends in time");
        assert!(!ids.is_empty());
    }
}

/// Weights that are no numbers end the generation with a reason, others generate.
#[test]
fn weights() {
    let finish = |name: &str, value: f32| {
        let mut draft = tiny();
        match name {
            "all" => draft.tensors.clone().iter().for_each(|t| draft.fill(&t.name, value)),
            name => draft.fill(name, value),
        }
        let (mut engine, _folder) = instance(&draft.bytes());
        let loaded = engine.load(&LoadOptions::default()).expect("weights are not looked at");
        let session = engine.open(&loaded).expect("a session opens");
        let prompt = Prompt::Text("Once".into());
        let generation = engine.generate(&session, &prompt, &greedy(4)).expect("it starts");
        loop {
            let events = engine.next(&generation).expect("it goes on");
            if let Some(Event::Finish(finish)) = events.last() {
                return finish.reason;
            }
            assert!(!events.is_empty(), "{name} = {value}: no finish event");
        }
    };
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(finish("all", value), FinishReason::InvalidLogits, "{value}");
        assert_eq!(finish("output_norm.weight", value), FinishReason::InvalidLogits, "{value}");
        assert_eq!(finish("blk.1.ffn_down.weight", value), FinishReason::InvalidLogits, "{value}");
    }
    for value in [0.0, f32::MIN_POSITIVE / 1024.0] {
        assert_eq!(finish("all", value), FinishReason::Length, "{value}");
    }
}

/// The template of a model file is not trusted either.
#[test]
fn templates() {
    let prompt = |template: &str| {
        let mut draft = tiny();
        draft.set("tokenizer.chat_template", Value::String(template.into()));
        let (mut engine, _folder) = instance(&draft.bytes());
        let options = LoadOptions { vocab_only: Some(true), ..LoadOptions::default() };
        let loaded = engine.load(&options).expect("the vocabulary loads");
        let user = Message { role: "user".into(), content: "Hi".into() };
        let made = engine.chat_prompt(&loaded, &[user], &ChatOptions::default());
        // Whatever happened, the engine goes on, or says that it was stopped.
        let after = engine.tokenize(&loaded, "still here", false, false);
        (made, after)
    };
    let cases = [
        ("endless loops", "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"),
        ("a huge range", "{% for a in range(1000000000) %}{% endfor %}"),
        ("recursion", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
        ("attributes", "{{ messages.__class__.__mro__[1].__subclasses__() }}"),
        ("an unknown filter", "{{ messages | system }}"),
        ("unknown tags", "{% import 'os' as os %}"),
        ("a long sum", &format!("{{{{ 1{} }}}}", " + x".repeat(100_000))),
        ("a sum that is just allowed", &format!("{{{{ 1{} }}}}", " + x".repeat(499))),
        ("deep brackets", &format!("{{{{ {}1 }}}}", "(".repeat(100_000))),
        ("brackets that are just allowed", &format!("{{{{ {}1 % x }}}}", "(".repeat(900))),
        ("deep blocks", &"{% if 1 %}".repeat(100_000)),
        ("not Jinja", "{% for %}"),
    ];
    for (what, template) in cases {
        let (made, after) = prompt(template);
        let error = made.expect_err(what);
        let typed =
            matches!(&error, Error::Engine(EngineError::InvalidArgument(_) | EngineError::InvalidModel(_)));
        assert!(typed, "{what}: {error:?}");
        assert!(after.is_ok(), "{what}: {after:?}");
    }
    // Output beyond the memory: an error, or a trap that costs this instance only.
    let (made, _) =
        prompt("{% set x = 'xxxxxxxxxxxxxxxx' * 1000000 %}{% for i in range(1000) %}{{ x }}{% endfor %}");
    assert!(made.is_err());
    assert_eq!(outcome("afterwards", &tiny().bytes()), Ok(()));
}
