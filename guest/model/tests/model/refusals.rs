//! Files that are refused, with the whole message.

use crate::draft::{CONTEXT, D, Draft, FAMILIES, K_DIM, VOCABULARY, bools, f, s, u};
use chord_gguf::{Array, StringArray, Value};
use chord_model::architectures;

fn message(draft: &Draft) -> String {
    draft.spec().expect_err("the file must be refused").to_string()
}

#[test]
fn unknown_families() {
    let mut draft = Draft::of("llama");
    draft.pairs[0].1 = s("mamba");
    let supported = "llama, qwen2, qwen3, qwen3moe, gemma2, gemma3, phi3";
    assert_eq!(architectures().collect::<Vec<_>>().join(", "), supported);
    assert_eq!(message(&draft), format!("architecture `mamba` is not supported; supported: {supported}"));
    draft.pairs.remove(0);
    assert!(message(&draft).contains("`general.architecture`"), "{}", message(&draft));
}

#[test]
fn keys_that_must_be_there() {
    for arch in FAMILIES {
        let mut keys = vec!["embedding_length", "block_count", "context_length", "attention.head_count"];
        keys.push(if arch == "qwen3moe" { "expert_used_count" } else { "feed_forward_length" });
        for key in keys {
            let text = message(&Draft::of(arch).without(&[key]));
            assert!(text.contains(&format!("`{arch}.{key}`")), "{key}: {text}");
        }
    }
    // The width of an expert is its own, or a share of the layer's.
    let both = Draft::of("qwen3moe").without(&["feed_forward_length", "expert_feed_forward_length"]);
    assert!(message(&both).contains("`qwen3moe.feed_forward_length`"), "{}", message(&both));
    // Of a mixture only.
    let mixture = Draft::of("llama").with(&[("expert_count", u(3))]);
    assert!(message(&mixture).contains("`llama.expert_used_count`"));
}

#[test]
fn sizes_beyond_what_any_model_has() {
    let most = [
        ("embedding_length", 1 << 20),
        ("block_count", 512),
        ("context_length", 1 << 27),
        ("attention.key_length", 4096),
        ("attention.value_length", 4096),
        ("feed_forward_length", 1 << 20),
        ("attention.head_count", 1 << 20),
        ("rope.dimension_count", K_DIM),
    ];
    for arch in FAMILIES {
        // A mixture's experts have a width of their own.
        let is_read = |key: &str| arch != "qwen3moe" || key != "feed_forward_length";
        for (key, most) in most.into_iter().filter(|(key, _)| is_read(key)) {
            let largest = Draft::of(arch).with(&[(key, u(most))]);
            assert!(largest.spec().is_ok(), "{arch}.{key} = {most}: {}", message(&largest));
            let beyond = message(&Draft::of(arch).with(&[(key, u(most + 1))]));
            let found = most + 1;
            let expected = format!("metadata key `{arch}.{key}`: expected 1 to {most}, found {found}");
            assert_eq!(beyond, expected);
        }
        for key in [
            "embedding_length",
            "block_count",
            "context_length",
            "attention.head_count",
            "feed_forward_length",
        ]
        .into_iter()
        .filter(|key| is_read(key))
        {
            let zero = message(&Draft::of(arch).with(&[(key, u(0))]));
            assert!(zero.starts_with(&format!("metadata key `{arch}.{key}`: expected 1 to ")), "{zero}");
            assert!(zero.ends_with(", found 0"), "{zero}");
        }
    }
}

#[test]
fn sizes_of_mixtures() {
    let refused = |pairs: &[(&str, Value)]| message(&Draft::of("qwen3moe").with(pairs));
    let of = |key: &str, most: u64, found: u64| {
        format!("metadata key `qwen3moe.{key}`: expected 1 to {most}, found {found}")
    };
    assert_eq!(refused(&[("expert_count", u(4097))]), of("expert_count", 4096, 4097));
    assert_eq!(refused(&[("expert_used_count", u(4))]), of("expert_used_count", 3, 4));
    assert_eq!(refused(&[("expert_used_count", u(0))]), of("expert_used_count", 3, 0));
    let most = [("expert_count", u(100)), ("expert_used_count", u(65))];
    assert_eq!(refused(&most), of("expert_used_count", 64, 65));
    let wide = [("expert_feed_forward_length", u((1 << 20) + 1))];
    assert_eq!(refused(&wide), of("expert_feed_forward_length", 1 << 20, (1 << 20) + 1));
}

#[test]
fn heads_that_do_not_share_keys_evenly() {
    for arch in FAMILIES {
        for n in [3, 5, 8] {
            let found = message(&Draft::of(arch).with(&[("attention.head_count_kv", u(n))]));
            let key = format!("metadata key `{arch}.attention.head_count_kv`");
            assert_eq!(found, format!("{key}: expected a divisor of head_count = 4, found {n}"));
        }
    }
}

#[test]
fn rotations() {
    for arch in FAMILIES {
        let found = message(&Draft::of(arch).with(&[("rope.dimension_count", u(3))]));
        let key = format!("metadata key `{arch}.rope.dimension_count`");
        assert_eq!(found, format!("{key}: expected an even number, found 3"));
        let found = message(&Draft::of(arch).with(&[("rope.scaling.type", s("su"))]));
        assert_eq!(found, format!("this rope scaling is not supported yet ({arch}.rope.scaling.type = su)"));
        let yarn =
            [("rope.scaling.type", s("yarn")), ("rope.scaling.original_context_length", u((1 << 27) + 1))];
        let found = message(&Draft::of(arch).with(&yarn));
        assert!(
            found.starts_with(&format!("metadata key `{arch}.rope.scaling.original_context_length`")),
            "{found}"
        );
    }
}

#[test]
fn floats() {
    for arch in FAMILIES {
        let mut keys = vec!["attention.layer_norm_rms_epsilon", "rope.freq_base", "rope.scaling.factor"];
        match arch {
            "gemma2" => keys.extend(["attn_logit_softcapping", "final_logit_softcapping"]),
            "gemma3" => keys.push("rope.freq_base_swa"),
            "phi3" => keys.push("rope.scaling.attn_factor"),
            _ => {}
        }
        for key in keys {
            let refused = |x| message(&Draft::of(arch).with(&[(key, f(x))]));
            let prefix = format!("metadata key `{arch}.{key}`: expected ");
            let range = match key {
                "attention.layer_norm_rms_epsilon" => "a number that is not negative",
                "attn_logit_softcapping" | "final_logit_softcapping" | "rope.scaling.factor" => {
                    "a number above 0, or 0 for none"
                }
                _ => "a number above 0",
            };
            assert_eq!(refused(-1.0), format!("{prefix}{range}, found -1"));
            assert_eq!(refused(f32::INFINITY), format!("{prefix}a finite number, found inf"));
            assert_eq!(refused(f32::NAN), format!("{prefix}a finite number, found NaN"));
        }
    }
    // A base of 0 is refused, or no base at all: never one to compute with.
    let zero = Draft::of("llama").with(&[("rope.freq_base", f(0.0))]).spec();
    assert!(zero.is_err() || zero == Draft::of("llama").spec(), "{zero:?}");
    let capped = message(&Draft::of("gemma3").with(&[("final_logit_softcapping", f(f32::NAN))]));
    assert!(capped.contains("a finite number"), "{capped}");
    let scaled = message(&Draft::of("llama").with(&[("attention.scale", f(f32::NAN))]));
    assert!(scaled.contains("a finite number"), "{scaled}");
}

#[test]
fn lists_of_windows() {
    for arch in ["gemma2", "gemma3"] {
        let refused = |list| message(&Draft::of(arch).with(&[("attention.sliding_window_pattern", list)]));
        let key = format!("metadata key `{arch}.attention.sliding_window_pattern`");
        let expected = format!("{key}: expected 2 booleans or integers, or a number, found another array");
        assert_eq!(refused(bools(&[true])), expected);
        assert_eq!(refused(Value::Array(Array::F32(vec![1.0, 0.0]))), expected);
        assert!(refused(s("all")).contains(&format!("{arch}.attention.sliding_window_pattern")));
    }
}

#[test]
fn vocabularies() {
    for arch in FAMILIES {
        let mut draft = Draft::of(arch);
        draft.tensors.retain(|t| t.name != "token_embd.weight");
        assert_eq!(message(&draft), "tensor `token_embd.weight` is missing");
        // More tokens than rows.
        let mut draft = Draft::of(arch);
        let tokens: StringArray = (0..=VOCABULARY).map(|i| i.to_string()).collect();
        draft.pairs.push(("tokenizer.ggml.tokens".into(), Value::Array(Array::String(tokens))));
        let found = message(&draft);
        assert!(found.starts_with("tensor `token_embd.weight`: expected "), "{found}");
        assert!(found.contains("8") && found.ends_with(&format!("found [{D}, {VOCABULARY}]")), "{found}");
        // As many.
        let tokens: StringArray = (0..VOCABULARY).map(|i| i.to_string()).collect();
        draft.pairs.last_mut().unwrap().1 = Value::Array(Array::String(tokens));
        assert_eq!(draft.spec().unwrap(), Draft::of(arch).spec().unwrap());
    }
    assert_eq!(Draft::of("phi3").spec().unwrap().context_length, CONTEXT as u32);
}
