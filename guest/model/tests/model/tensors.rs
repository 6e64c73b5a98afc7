//! Tensors of a file as a plan needs them: found, checked, bound, in parts where families fuse them.

use crate::draft::{
    D, Draft, EXPERT_FF, EXPERTS, FAMILIES, FF, HEADS, K_DIM, KV_HEADS, V_DIM, VOCABULARY, u,
};
use chord_gguf::Gguf;
use chord_model::{Error, Recording, record, spec};
use chord_ops::op::{Op, Scale, Softcap};
use chord_quant::DType;

fn recorded(draft: &Draft) -> Result<Recording, Error> {
    let gguf = draft.gguf();
    record(&spec(&gguf)?, &gguf, 64, 128, 8)
}

fn text(draft: &Draft) -> String {
    recorded(draft).unwrap().plan.to_string()
}

#[test]
fn every_tensor_is_used_and_every_one_is_needed() {
    for arch in FAMILIES {
        let draft = Draft::of(arch);
        let recording = recorded(&draft).unwrap();
        for tensor in &draft.tensors {
            let part = |name: &str| name == tensor.name || name.starts_with(&format!("{}[", tensor.name));
            assert!(
                recording.bindings.iter().any(|b| part(&b.decl.name)),
                "{arch}: {} is not read",
                tensor.name
            );
            let mut without = draft.clone();
            without.tensors.retain(|t| t.name != tensor.name);
            let found = recorded(&without).map(|r| r.plan);
            if tensor.name.ends_with(".bias") {
                assert!(found.is_ok_and(|plan| plan != recording.plan), "{arch}: without {}", tensor.name);
            } else {
                assert_eq!(found.unwrap_err(), refusal_without(&tensor.name), "{arch}");
            }
        }
    }
}

/// Why a file without the matrix or norm `name` is refused.
fn refusal_without(name: &str) -> Error {
    match name.replace("ffn_gate.", "ffn_up.") {
        // Without a gate, both are expected in one matrix.
        up if up != name => {
            Error::Shape { name: up, expected: format!("[{D}, {}]", 2 * FF), found: format!("[{D}, {FF}]") }
        }
        // Without a fused matrix, three are expected.
        _ => Error::MissingTensor(name.replace("attn_qkv", "attn_q")),
    }
}

#[test]
fn shapes_are_the_metadatas() {
    for arch in FAMILIES {
        let draft = Draft::of(arch);
        for (i, tensor) in draft.tensors.iter().enumerate() {
            for axis in 0..tensor.dims.len() {
                // The vocabulary is what the table says.
                if tensor.name == "token_embd.weight" && axis == 1 {
                    continue;
                }
                let mut spoilt = draft.clone();
                spoilt.tensors[i].dims[axis] += 1;
                let found = format!("{:?}", spoilt.tensors[i].dims);
                let expected =
                    Error::Shape { name: tensor.name.clone(), expected: format!("{:?}", tensor.dims), found };
                assert_eq!(recorded(&spoilt).unwrap_err(), expected, "{arch}");
            }
        }
    }
}

#[test]
fn extents_of_one_at_the_end_do_not_count() {
    let mut draft = Draft::of("qwen3");
    let plan = recorded(&draft).unwrap().plan;
    draft.tensor("output_norm.weight", &[D, 1, 1]);
    draft.tensor("blk.0.attn_q.weight", &[D, HEADS * K_DIM, 1]);
    assert_eq!(recorded(&draft).unwrap().plan, plan);
    draft.tensor("blk.0.attn_q.weight", &[D, 1, HEADS * K_DIM]);
    assert!(matches!(recorded(&draft), Err(Error::Shape { .. })));
    // A vector of one element.
    let mut draft = Draft::of("llama").with(&[("rope.dimension_count", u(2))]);
    draft.tensor("rope_freqs.weight", &[1]);
    assert!(text(&draft).contains("factors=rope_freqs.weight"));
    draft.tensor("rope_freqs.weight", &[2]);
    let shape = ("[1]".into(), "[2]".into());
    let name = "rope_freqs.weight".into();
    assert_eq!(recorded(&draft), Err(Error::Shape { name, expected: shape.0, found: shape.1 }));
}

#[test]
fn matrices_of_unreadable_types() {
    let mut draft = Draft::of("qwen3moe");
    let spoilt = [
        ("blk.0.attn_q.weight", vec![D, HEADS * K_DIM]),
        ("blk.1.ffn_up_exps.weight", vec![D, EXPERT_FF, EXPERTS]),
    ];
    for (name, dims) in spoilt {
        let good = draft.clone();
        draft.typed(name, DType::I32, &dims);
        let found = recorded(&draft).unwrap_err().to_string();
        assert!(
            found.starts_with(&format!("tensor `{name}`: type I32 is not supported; supported: F32, F16")),
            "{found}"
        );
        draft = good;
    }
}

#[test]
fn vectors_of_unreadable_types() {
    let mut draft = Draft::of("llama");
    draft.typed("blk.0.attn_norm.weight", DType::I32, &[D]);
    let found = recorded(&draft).unwrap_err().to_string();
    assert!(found.starts_with("tensor `blk.0.attn_norm.weight`: type I32 is not supported"), "{found}");
}

/// Name, bytes from where the tensor begins, rows and columns of what is bound of `tensor`.
fn parts(draft: &Draft, tensor: &str) -> Vec<(String, std::ops::Range<u64>, u64, u64)> {
    let (gguf, recording) = (draft.gguf(), recorded(draft).unwrap());
    let info = gguf.tensor(tensor).unwrap();
    let bound = recording.bindings.iter().filter(|b| b.decl.name.starts_with(tensor));
    let part = |b: &chord_model::Binding| {
        assert_eq!(b.decl.dtype, info.dtype);
        let start = b.offset - info.offset;
        (b.decl.name.replace(tensor, ""), start..start + b.bytes, b.decl.rows, b.decl.cols)
    };
    bound.map(part).collect()
}

#[test]
fn parts_of_fused_matrices_are_whole_rows() {
    // Rows of 32 elements: 34 bytes of Q8_0.
    let mut draft = Draft::of("phi3").with(&[("embedding_length", u(32))]);
    let (q, k, v) = (HEADS * K_DIM, KV_HEADS * K_DIM, KV_HEADS * V_DIM);
    for t in &mut draft.tensors {
        t.dims.iter_mut().filter(|n| **n == D).for_each(|n| *n = 32);
    }
    draft.typed("blk.0.attn_qkv.weight", DType::Q8_0, &[32, q + k + v]);
    draft.tensor("blk.0.attn_qkv.bias", &[q + k + v]);
    draft.typed("blk.0.ffn_up.weight", DType::Q8_0, &[32, 2 * FF]);
    let part = |range: std::ops::Range<u64>, row: u64, cols: u64| {
        let bytes = range.start * row..range.end * row;
        let (rows, cols) =
            if cols == 1 { (1, range.end - range.start) } else { (range.end - range.start, cols) };
        (format!("[{}..{}]", range.start, range.end), bytes, rows, cols)
    };
    let ranges = [0..q, q..q + k, q + k..q + k + v];
    assert_eq!(parts(&draft, "blk.0.attn_qkv.weight"), ranges.clone().map(|r| part(r, 34, 32)));
    assert_eq!(parts(&draft, "blk.0.attn_qkv.bias"), ranges.map(|r| part(r, 4, 1)));
    let halves = [0..FF, FF..2 * FF];
    assert_eq!(parts(&draft, "blk.0.ffn_up.weight"), halves.map(|r| part(r, 34, 32)));
    // The gate is the first half.
    assert!(text(&draft).contains(" = glu %11 %12 act=silu"), "{}", text(&draft));
}

#[test]
fn experts_are_bound_as_one_matrix() {
    let rows = EXPERTS * EXPERT_FF;
    let found = parts(&Draft::of("qwen3moe"), "blk.1.ffn_up_exps.weight");
    assert_eq!(found, [(String::new(), 0..4 * rows * D, rows, D)]);
}

#[test]
fn a_tied_output_is_the_embedding() {
    let mut draft = Draft::of("llama");
    let tied = recorded(&draft).unwrap();
    assert_eq!(tied.bindings.iter().filter(|b| &*b.decl.name == "token_embd.weight").count(), 1);
    assert!(text(&draft).contains(" token_embd.weight F32 7x16\nreturn "), "{}", text(&draft));
    draft.tensor("output.weight", &[D, VOCABULARY]);
    assert!(text(&draft).contains(" output.weight F32 7x16\nreturn "), "{}", text(&draft));
    assert_eq!(recorded(&draft).unwrap().bindings.len(), tied.bindings.len() + 1);
}

#[test]
fn biases_where_the_file_has_them() {
    let plain = text(&Draft::of("llama"));
    let biases = [
        ("attn_norm", D),
        ("attn_q", HEADS * K_DIM),
        ("attn_k", KV_HEADS * K_DIM),
        ("attn_v", KV_HEADS * V_DIM),
        ("attn_output", D),
        ("ffn_norm", D),
        ("ffn_gate", FF),
        ("ffn_up", FF),
        ("ffn_down", D),
    ];
    for (name, len) in biases {
        let (mut draft, name) = (Draft::of("llama"), format!("blk.1.{name}.bias"));
        draft.tensor(&name, &[len]);
        let found = text(&draft);
        let differ: Vec<&str> =
            found.lines().skip(1).zip(plain.lines().skip(1)).filter(|(a, b)| a != b).map(|d| d.0).collect();
        assert!(matches!(differ[..], [line] if line.contains(&name)), "{name}: {differ:?}");
    }
    let mut draft = Draft::of("llama");
    draft.tensor("output_norm.bias", &[D]);
    assert!(text(&draft).contains("rms(1e-5, output_norm.weight, output_norm.bias)"));
}

#[test]
fn factors_of_frequencies_by_context() {
    let mut draft = Draft::of("phi3").with(&[("rope.scaling.original_context_length", u(40))]);
    draft.tensor("rope_factors_long.weight", &[K_DIM / 2]);
    draft.tensor("rope_factors_short.weight", &[K_DIM / 2]);
    draft.tensor("rope_freqs.weight", &[K_DIM / 2]);
    let gguf = draft.gguf();
    let factors = |context| {
        let text = record(&spec(&gguf).unwrap(), &gguf, context, 128, 8).unwrap().plan.to_string();
        let name = text.split("factors=").nth(1).unwrap();
        name.split([',', ')']).next().unwrap().to_string()
    };
    assert_eq!([1, 40].map(factors), ["rope_factors_short.weight"; 2].map(String::from));
    assert_eq!([41, 100].map(factors), ["rope_factors_long.weight"; 2].map(String::from));
    // Other families have one set, whatever the context.
    let mut draft = Draft::of("qwen3");
    draft.tensor("rope_factors_long.weight", &[K_DIM / 2]);
    assert!(!text(&draft).contains("factors="));
}

#[test]
fn bindings_name_their_file() {
    let (mut first, mut second) = (Draft::of("llama"), Draft::of("llama"));
    second.tensors = first.tensors.split_off(5);
    let split =
        [("split.count", 2), ("split.no", 0)].map(|(key, n)| (key.to_string(), chord_gguf::Value::U16(n)));
    first.pairs.extend(split.clone());
    second.pairs = vec![split[0].clone(), ("split.no".into(), chord_gguf::Value::U16(1))];
    let files = [first.bytes(), second.bytes()];
    let mut open = |name: &str| {
        let which = usize::from(name.contains("-00002-"));
        Ok(Box::new(files[which].clone()) as Box<dyn chord_gguf::ReadAt>)
    };
    let gguf = Gguf::parse_split("m-00001-of-00002.gguf", &mut open).unwrap();
    let recording = record(&spec(&gguf).unwrap(), &gguf, 64, 128, 8).unwrap();
    for binding in &recording.bindings {
        let info = gguf.tensor(&binding.decl.name).unwrap();
        assert_eq!((binding.file, binding.offset), (info.file, info.offset), "{}", binding.decl.name);
        let expected = usize::from(second.tensors.iter().any(|t| *t.name == *binding.decl.name));
        assert_eq!(binding.file, expected, "{}", binding.decl.name);
    }
    assert_eq!(recording.plan, recorded(&Draft::of("llama")).unwrap().plan);
}

/// What a spec can say and no family does yet.
#[test]
fn specs_made_by_hand() {
    let gguf = Draft::of("llama").gguf();
    let mut made = spec(&gguf).unwrap();
    (made.logit_scale, made.logit_softcap) = (Some(0.5), Some(20.0));
    let plan = record(&made, &gguf, 64, 128, 8).unwrap().plan;
    let last: Vec<&Op> = plan.nodes.iter().rev().take(2).map(|n| &n.op).collect();
    let [Op::Softcap(Softcap { x, cap }), Op::Scale(Scale { x: logits, by })] = last[..] else {
        panic!("{last:?}")
    };
    assert_eq!((*cap, *by, x.0, plan.output.0), (20.0, 0.5, logits.0 + 1, x.0 + 1));

    // No positions at all.
    made.layers.iter_mut().for_each(|l| l.rope = None);
    let plan = record(&made, &gguf, 64, 128, 8).unwrap().plan;
    assert!(!plan.nodes.iter().any(|n| matches!(n.op, Op::Rope(_))));
}
