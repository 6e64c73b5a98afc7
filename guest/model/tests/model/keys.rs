//! Each key of each family: what it changes in the spec, and that it changes nothing else.

use crate::draft::{CONTEXT, D, Draft, EXPERT_FF, EXPERTS, FAMILIES, FF, K_DIM, bools, f, s, u};
use chord_gguf::Value;
use chord_model::{FeedForward, ModelSpec};
use chord_ops::op::{Activation, RopeParams, RopeStyle, Yarn};

type Pairs<'a> = &'a [(&'a str, Value)];

/// `pairs` on top of `base` make `edit` of its spec.
#[track_caller]
fn edits(base: &Draft, pairs: Pairs<'_>, edit: impl Fn(&mut ModelSpec)) {
    let mut expected = base.spec().unwrap();
    edit(&mut expected);
    assert_eq!(base.clone().with(pairs).spec().unwrap(), expected, "{}: {pairs:?}", base.arch);
}

/// The same, and the spec is another one.
#[track_caller]
fn changes(base: &Draft, pairs: Pairs<'_>, edit: impl Fn(&mut ModelSpec)) {
    edits(base, pairs, &edit);
    assert_ne!(base.clone().with(pairs).spec().unwrap(), base.spec().unwrap(), "{}: {pairs:?}", base.arch);
}

#[track_caller]
fn ignores(base: &Draft, pairs: Pairs<'_>) {
    edits(base, pairs, |_| {});
}

/// Without `key`, the file means what it means with `pair`.
#[track_caller]
fn defaults(base: &Draft, key: &str, value: Value) {
    let without = base.clone().without(&[key]).spec().unwrap();
    assert_eq!(base.clone().with(&[(key, value)]).spec().unwrap(), without, "{}: {key}", base.arch);
}

/// Rope of the layers that see everything: of Gemma 3, the others have a rotation of their own.
fn ropes(spec: &mut ModelSpec) -> impl Iterator<Item = &mut RopeParams> {
    let all = spec.architecture != "gemma3";
    spec.layers.iter_mut().filter(move |l| all || l.window.is_none()).filter_map(|l| l.rope.as_mut())
}

fn is_gemma(arch: &str) -> bool {
    arch.starts_with("gemma")
}

#[test]
fn sizes() {
    for arch in FAMILIES {
        let base = Draft::of(arch);
        changes(&base, &[("embedding_length", u(32))], |spec| {
            spec.embedding_length = 32;
            spec.embedding_scale = is_gemma(arch).then_some(32f32.sqrt());
        });
        changes(&base, &[("context_length", u(77))], |spec| {
            spec.context_length = 77;
            spec.short_context = (arch == "phi3").then_some(77);
        });
        changes(&base, &[("attention.head_count", u(8))], |spec| {
            spec.layers.iter_mut().for_each(|l| l.n_heads = 8);
        });
        changes(&base, &[("attention.head_count_kv", u(4))], |spec| {
            spec.layers.iter_mut().for_each(|l| l.n_kv_heads = 4);
        });
        changes(&base, &[("attention.key_length", u(8))], |spec| {
            for layer in &mut spec.layers {
                (layer.k_dim, layer.attention_scale) = (8, 1.0 / 8f32.sqrt());
                layer.rope = layer.rope.map(|rope| RopeParams { head_dim: 8, rot_dims: 8, ..rope });
            }
        });
        changes(&base, &[("attention.value_length", u(3))], |spec| {
            spec.layers.iter_mut().for_each(|l| l.v_dim = 3);
        });
        changes(&base, &[("attention.layer_norm_rms_epsilon", f(0.25))], |spec| spec.norm.eps = 0.25);
        changes(&base, &[("block_count", u(4))], |spec| spec.layers.extend(spec.layers.clone()));
    }
}

#[test]
fn feed_forward_lengths() {
    for arch in FAMILIES {
        let base = Draft::of(arch);
        if arch == "qwen3moe" {
            ignores(&base, &[("feed_forward_length", u(11))]);
            continue;
        }
        let act = if is_gemma(arch) { Activation::Gelu } else { Activation::Silu };
        changes(&base, &[("feed_forward_length", u(11))], |spec| {
            spec.layers.iter_mut().for_each(|l| l.feed_forward = FeedForward::Gated { width: 11, act });
        });
    }
}

#[test]
fn what_is_not_said() {
    for arch in FAMILIES {
        let base = Draft::of(arch);
        // Of 16 elements for 4 heads.
        defaults(&base, "attention.key_length", u(4));
        defaults(&base, "attention.value_length", u(4));
        defaults(&base, "attention.head_count_kv", u(4));
        defaults(&base, "attention.layer_norm_rms_epsilon", f(1e-5));
        defaults(&base, "rope.freq_base", f(1e4));
        defaults(&base, "rope.dimension_count", u(K_DIM));
        defaults(&base, "rope.scaling.factor", f(1.0));
        defaults(&base, "rope.scaling.original_context_length", u(CONTEXT));
    }
    // More heads than elements.
    let wide = Draft::of("llama").with(&[("attention.head_count", u(2 * D))]);
    defaults(&wide.clone().with(&[("attention.key_length", u(2))]), "attention.value_length", u(1));
}

#[test]
fn the_vocabulary_is_the_embedding_table() {
    for arch in FAMILIES {
        let mut draft = Draft::of(arch);
        assert_eq!(draft.spec().unwrap().vocabulary, 7);
        draft.tensor("token_embd.weight", &[D, 9]);
        assert_eq!(draft.spec().unwrap().vocabulary, 9);
        // One row.
        draft.tensor("token_embd.weight", &[D]);
        assert_eq!(draft.spec().unwrap().vocabulary, 1);
    }
}

#[test]
fn rotations() {
    for arch in FAMILIES {
        let base = Draft::of(arch);
        let style = if arch == "llama" { RopeStyle::Interleaved } else { RopeStyle::Halves };
        assert!(base.spec().unwrap().layers.iter().all(|l| l.rope.unwrap().style == style), "{arch}");
        changes(&base, &[("rope.dimension_count", u(2))], |spec| {
            spec.layers.iter_mut().filter_map(|l| l.rope.as_mut()).for_each(|rope| rope.rot_dims = 2);
        });
        changes(&base, &[("rope.freq_base", f(123.0))], |spec| ropes(spec).for_each(|r| r.base = 123.0));
    }
}

#[test]
fn linear_scaling() {
    for arch in FAMILIES {
        let base = Draft::of(arch);
        let stretched =
            |by: f32| move |spec: &mut ModelSpec| ropes(spec).for_each(|r| r.freq_scale = 1.0 / by);
        let (factor, old) = (("rope.scaling.factor", f(4.0)), ("rope.scale_linear", f(3.0)));
        let kind = |name| ("rope.scaling.type", s(name));
        changes(&base, std::slice::from_ref(&factor), stretched(4.0));
        changes(&base, std::slice::from_ref(&old), stretched(3.0));
        changes(&base, &[factor.clone(), old.clone()], stretched(4.0));
        changes(&base, &[kind("linear"), factor.clone()], stretched(4.0));
        ignores(&base, &[kind("linear")]);
        ignores(&base, &[kind("none"), factor.clone(), old.clone()]);
        // llama.cpp scales by it whatever the kind, and such models may have two lists of frequency factors.
        changes(&base, &[kind("longrope"), factor], |spec| {
            stretched(4.0)(spec);
            spec.short_context = Some(CONTEXT as u32);
        });
    }
}

#[test]
fn yarn() {
    for arch in FAMILIES {
        let base = Draft::of(arch).with(&[("rope.scaling.type", s("yarn")), ("rope.scaling.factor", f(4.0))]);
        let found = base.spec().unwrap();
        let plain = Yarn {
            orig_ctx: CONTEXT as u32,
            ext_factor: 1.0,
            attn_factor: 1.0,
            beta_fast: 32.0,
            beta_slow: 1.0,
        };
        for layer in &found.layers {
            let rope = layer.rope.unwrap();
            let expected =
                if arch == "gemma3" && layer.window.is_some() { (1.0, None) } else { (0.25, Some(plain)) };
            assert_eq!((rope.freq_scale, rope.yarn), expected, "{arch}");
        }
        assert!(found.layers.iter().any(|l| l.rope.unwrap().yarn.is_some()), "{arch}");
        yarn_keys(&base);
    }
}

fn yarn_keys(base: &Draft) {
    type Set = fn(&mut Yarn);
    let keys: [(&str, Value, Set); 5] = [
        ("rope.scaling.original_context_length", u(25), |y| y.orig_ctx = 25),
        ("rope.scaling.yarn_ext_factor", f(0.5), |y| y.ext_factor = 0.5),
        ("rope.scaling.attn_factor", f(1.5), |y| y.attn_factor = 1.5),
        ("rope.scaling.yarn_beta_fast", f(16.0), |y| y.beta_fast = 16.0),
        ("rope.scaling.yarn_beta_slow", f(2.0), |y| y.beta_slow = 2.0),
    ];
    for (key, value, set) in keys {
        if base.arch == "phi3"
            && ["rope.scaling.attn_factor", "rope.scaling.original_context_length"].contains(&key)
        {
            continue; // read by the family in its own way
        }
        if key == "rope.scaling.attn_factor" {
            // As in llama.cpp, of every layer, also of those that are not stretched.
            let longer = Yarn {
                orig_ctx: CONTEXT as u32,
                ext_factor: 0.0,
                attn_factor: 1.5,
                beta_fast: 32.0,
                beta_slow: 1.0,
            };
            changes(base, &[(key, value)], |spec| {
                let ropes = spec.layers.iter_mut().filter_map(|l| l.rope.as_mut());
                ropes.for_each(|rope| set(rope.yarn.get_or_insert(longer)));
            });
            continue;
        }
        changes(base, &[(key, value)], |spec| ropes(spec).for_each(|r| set(r.yarn.as_mut().unwrap())));
    }
}

#[test]
fn llama() {
    let base = Draft::of("llama");
    let scaled = |spec: &mut ModelSpec| spec.layers.iter_mut().for_each(|l| l.attention_scale = 0.375);
    changes(&base, &[("attention.scale", f(0.375))], scaled);
    ignores(&base, &[("attention.scale", f(0.0))]);
}

fn mixture(spec: &mut ModelSpec, width: u64, count: u32, used: u32) {
    let experts = FeedForward::Experts { width: width as u32, act: Activation::Silu, count, used };
    spec.layers.iter_mut().for_each(|l| l.feed_forward = experts);
}

#[test]
fn mixtures_of_experts() {
    let base = Draft::of("llama");
    let (count, used) = (("expert_count", u(EXPERTS)), ("expert_used_count", u(2)));
    changes(&base, &[count.clone(), used.clone()], |spec| mixture(spec, FF, 3, 2));
    // The width is that of dense layers.
    changes(&base, &[count, used, ("expert_feed_forward_length", u(5))], |spec| mixture(spec, FF, 3, 2));
    ignores(&base, &[("expert_count", u(0)), ("expert_used_count", u(0))]);

    let base = Draft::of("qwen3moe");
    changes(&base, &[("expert_feed_forward_length", u(5))], |spec| mixture(spec, 5, 3, 2));
    changes(&base, &[("expert_count", u(5))], |spec| mixture(spec, EXPERT_FF, 5, 2));
    changes(&base, &[("expert_used_count", u(3))], |spec| mixture(spec, EXPERT_FF, 3, 3));
    // Where experts have no width, those of a token share the layer's.
    defaults(&base, "expert_feed_forward_length", u(FF / 2));
    changes(&base, &[("expert_feed_forward_length", u(0))], |spec| mixture(spec, FF / 2, 3, 2));
    // Most experts of a layer, and most of a token.
    let most = [("expert_count", u(4096)), ("expert_used_count", u(64))];
    changes(&base, &most, |spec| mixture(spec, EXPERT_FF, 4096, 64));
    let dense = FeedForward::Gated { width: FF as u32, act: Activation::Silu };
    changes(&base, &[("expert_count", u(0))], |spec| {
        spec.layers.iter_mut().for_each(|l| l.feed_forward = dense)
    });
}

#[test]
fn per_head_norms() {
    for arch in FAMILIES {
        let expected = ["qwen3", "qwen3moe", "gemma3"].contains(&arch);
        assert!(Draft::of(arch).spec().unwrap().layers.iter().all(|l| l.qk_norm == expected), "{arch}");
    }
}

#[test]
fn all_of_gemma() {
    for (arch, largest) in [("gemma2", 46), ("gemma3", 62)] {
        let found = Draft::of(arch).spec().unwrap();
        assert_eq!(found.embedding_scale, Some(4.0), "the root of 16");
        for layer in &found.layers {
            assert!(layer.post_norms);
            assert_eq!(layer.attention_scale, 1.0 / 6f32.sqrt(), "of the keys' length");
            assert_eq!(layer.feed_forward, FeedForward::Gated { width: FF as u32, act: Activation::Gelu });
        }
        // The largest model of the family scales by its width per head: 16 / 4.
        let layers = |n| Draft::of(arch).with(&[("block_count", u(n))]).spec().unwrap().layers;
        assert!(layers(largest).iter().all(|l| l.attention_scale == 0.5), "{arch}");
        assert!(layers(largest - 1).iter().all(|l| l.attention_scale == 1.0 / 6f32.sqrt()), "{arch}");
    }
    for arch in ["llama", "qwen2", "qwen3", "qwen3moe", "phi3"] {
        let found = Draft::of(arch).spec().unwrap();
        assert_eq!(found.embedding_scale, None, "{arch}");
        assert!(found.layers.iter().all(|l| !l.post_norms && l.window.is_none()), "{arch}");
        assert_eq!((found.logit_softcap, found.layers[0].attention_softcap), (None, None), "{arch}");
    }
}

/// The windows of 8 layers.
fn windows(base: &Draft, pairs: Pairs<'_>) -> Vec<Option<u32>> {
    let draft = base.clone().with(&[("block_count", u(8))]).with(pairs);
    draft.spec().unwrap().layers.iter().map(|l| l.window).collect()
}

/// `w` for a window of 40, `.` for none.
fn pattern(base: &Draft, pairs: Pairs<'_>) -> String {
    let pairs = [&[("attention.sliding_window", u(40))], pairs].concat();
    let one = |w: Option<u32>| match w {
        Some(40) => 'w',
        Some(other) => panic!("a window of {other}"),
        None => '.',
    };
    windows(base, &pairs).into_iter().map(one).collect()
}

#[test]
fn patterns_of_windows() {
    let key = "attention.sliding_window_pattern";
    for (arch, default) in [("gemma2", "w.w.w.w."), ("gemma3", "wwwww.ww")] {
        let base = Draft::of(arch).without(&[key]);
        assert_eq!(pattern(&base, &[]), default, "{arch}");
        assert_eq!(pattern(&base, &[(key, u(4))]), "www.www.", "{arch}");
        assert_eq!(pattern(&base, &[(key, u(1))]), "........", "{arch}");
        assert_eq!(pattern(&base, &[(key, u(9))]), "wwwwwwww", "{arch}");
        assert_eq!(pattern(&base, &[(key, u(8))]), "wwwwwww.", "{arch}");
        let list = [true, true, false, false, true, false, true, false];
        assert_eq!(pattern(&base, &[(key, bools(&list))]), "ww..w.w.", "{arch}");
        let longer = [&list[..], &[true, true]].concat();
        assert_eq!(pattern(&base, &[(key, bools(&longer))]), "ww..w.w.", "{arch}");
    }
}

#[test]
fn gemma2() {
    let base = Draft::of("gemma2");
    let found = base.spec().unwrap();
    assert_eq!((found.logit_softcap, found.layers[0].attention_softcap), (Some(30.0), Some(50.0)));
    changes(&base, &[("attn_logit_softcapping", f(7.0))], |spec| {
        spec.layers.iter_mut().for_each(|l| l.attention_softcap = Some(7.0));
    });
    changes(&base, &[("final_logit_softcapping", f(7.0))], |spec| spec.logit_softcap = Some(7.0));
    changes(&base, &[("attention.sliding_window", u(9))], |spec| spec.layers[0].window = Some(9));
    defaults(&base, "attention.sliding_window", u(4096));
    changes(&base, &[("rope.freq_base_swa", f(77.0))], |spec| {
        spec.layers[0].rope.as_mut().unwrap().base = 77.0;
    });
}

#[test]
fn gemma3() {
    let base = Draft::of("gemma3");
    changes(&base, &[("attention.sliding_window", u(9))], |spec| spec.layers[0].window = Some(9));
    changes(&base, &[("rope.freq_base_swa", f(77.0))], |spec| {
        spec.layers[0].rope.as_mut().unwrap().base = 77.0;
    });
    changes(&base, &[("final_logit_softcapping", f(7.0))], |spec| spec.logit_softcap = Some(7.0));
    ignores(&base, &[("final_logit_softcapping", f(0.0))]);
    ignores(&base, &[("attn_logit_softcapping", f(7.0))]);
    assert_eq!(base.spec().unwrap().layers[0].rope.unwrap().base, 1e4);

    // Without windows, every layer is a full one.
    let full = base.clone().with(&[("rope.freq_base", f(1e6)), ("rope.scaling.factor", f(2.0))]);
    let none = full.clone().without(&["attention.sliding_window"]).spec().unwrap();
    let rope = |i: usize| none.layers[i].rope.unwrap();
    assert!((0..2).all(|i| (rope(i).base, rope(i).freq_scale, none.layers[i].window) == (1e6, 0.5, None)));
    assert_eq!(full.clone().with(&[("attention.sliding_window", u(0))]).spec().unwrap(), none);
    // With them, only the full ones are stretched.
    let some = full.spec().unwrap();
    let rope = |i: usize| some.layers[i].rope.unwrap();
    assert_eq!([0, 1].map(|i| (rope(i).base, rope(i).freq_scale)), [(1e4, 1.0), (1e6, 0.5)]);
}

#[test]
fn phi3() {
    let base = Draft::of("phi3");
    assert_eq!(base.spec().unwrap().short_context, Some(CONTEXT as u32));
    assert!(FAMILIES.iter().all(|&a| a == "phi3" || Draft::of(a).spec().unwrap().short_context.is_none()));
    changes(&base, &[("rope.scaling.original_context_length", u(50))], |spec| spec.short_context = Some(50));
    // Longer vectors, and nothing else of YaRN.
    let longer = Yarn { orig_ctx: 50, ext_factor: 0.0, attn_factor: 1.25, beta_fast: 32.0, beta_slow: 1.0 };
    let pairs = [("rope.scaling.attn_factor", f(1.25)), ("rope.scaling.original_context_length", u(50))];
    changes(&base, &pairs, |spec| {
        spec.short_context = Some(50);
        ropes(spec).for_each(|r| r.yarn = Some(longer));
    });
    ignores(&base, &[("rope.scaling.attn_factor", f(1.0))]);
    ignores(&base, &[("attention.sliding_window", u(9))]);
}

#[test]
fn nothing_else_is_read() {
    for arch in FAMILIES {
        let others = [("pooling_type", u(1)), ("logit_scale", f(3.0)), ("rope.scaling.alpha", f(3.0))];
        ignores(&Draft::of(arch), &others);
        // Without a list of tokens.
        changes(&Draft::of(arch), &[("vocab_size", u(3))], |spec| spec.vocabulary = 3);
    }
    ignores(
        &Draft::of("qwen2"),
        &[("attention.sliding_window", u(9)), ("attention.scale", f(0.5)), ("expert_count", u(3))],
    );
}
