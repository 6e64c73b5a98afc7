//! One text per kind of file: its spec, its plan with shapes, and where the plan's tensors lie in the file.
//!
//! `UPDATE_SNAPSHOTS=1` rewrites `tests/snapshots`; the difference is then for `git diff` and a reader.

use crate::draft::{D, Draft, EXPERTS, FF, K_DIM, VOCABULARY, f, s, u};
use chord_model::{Binding, LayerSpec, ModelSpec, record, spec};
use chord_ops::validate;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

/// Name, file, context size.
fn cases() -> Vec<(&'static str, Draft, u32)> {
    let mut cases: Vec<_> =
        ["qwen2", "qwen3", "qwen3moe"].into_iter().map(|arch| (arch, Draft::of(arch), 64)).collect();
    cases.push(("llama", llama(), 64));
    cases.push(("llama3", llama3(), 64));
    cases.push(("mixtral", mixtral(), 64));
    cases.push(("gemma2", gemma2(), 64));
    cases.push(("gemma3", gemma3(), 64));
    cases.push(("phi3-short", phi3(), 40));
    cases.push(("phi3-long", phi3(), 41));
    cases
}

/// Every rope key, and an output matrix of its own.
fn llama() -> Draft {
    let mut draft = Draft::of("llama").with(&[
        ("rope.dimension_count", u(4)),
        ("rope.freq_base", f(500.0)),
        ("rope.scaling.type", s("yarn")),
        ("rope.scaling.factor", f(4.0)),
        ("rope.scaling.original_context_length", u(25)),
        ("attention.layer_norm_rms_epsilon", f(0.001)),
    ]);
    draft.tensor("output.weight", &[D, VOCABULARY]);
    draft
}

/// Output tied to the embedding, factors on the frequencies.
fn llama3() -> Draft {
    let mut draft = Draft::of("llama");
    draft.tensor("rope_freqs.weight", &[K_DIM / 2]);
    draft
}

fn mixtral() -> Draft {
    let mut draft = Draft::of("llama").with(&[("expert_count", u(EXPERTS)), ("expert_used_count", u(2))]);
    draft.tensors.retain(|t| !t.name.contains("ffn_") || t.name.contains("norm"));
    (0..2).for_each(|i| draft.experts(i, FF));
    draft
}

fn gemma2() -> Draft {
    Draft::of("gemma2")
        .layers(3)
        .with(&[("attn_logit_softcapping", f(5.0)), ("final_logit_softcapping", f(15.0))])
}

fn gemma3() -> Draft {
    Draft::of("gemma3").layers(4).with(&[
        ("attention.sliding_window_pattern", u(3)),
        ("rope.freq_base", f(1e6)),
        ("rope.scaling.type", s("linear")),
        ("rope.scaling.factor", f(8.0)),
    ])
}

fn phi3() -> Draft {
    let mut draft = Draft::of("phi3").with(&[
        ("rope.scaling.original_context_length", u(40)),
        ("rope.scaling.attn_factor", f(1.25)),
        ("attention.sliding_window", u(11)),
    ]);
    draft.tensor("rope_factors_long.weight", &[K_DIM / 2]);
    draft.tensor("rope_factors_short.weight", &[K_DIM / 2]);
    draft
}

/// Everything about a file, as text.
fn text(draft: &Draft, context_size: u32) -> String {
    let gguf = draft.gguf();
    let spec = spec(&gguf).unwrap();
    let recording = record(&spec, &gguf, context_size, 128, 8).unwrap();
    let mut text = spec_text(&spec);
    let limits = chord_ops::validate::Limits::default();
    let plan = validate(recording.plan.clone(), &limits).unwrap().to_string();
    let (ops, _totals) = plan.rsplit_once('\n').unwrap();
    writeln!(text, "\n{ops}").unwrap();
    let declared: Vec<_> = recording.bindings.iter().map(|b| &b.decl).collect();
    assert_eq!(declared, recording.plan.tensors.iter().collect::<Vec<_>>());
    text.push_str("\ntensors, from where data begins:\n");
    for Binding { file, offset, bytes, decl } in &recording.bindings {
        let (start, name) = (offset - gguf.data_offset, &decl.name);
        let (dtype, rows, cols) = (decl.dtype, decl.rows, decl.cols);
        writeln!(text, "file {file} {start}..{}: {name} {dtype} {rows}x{cols}", start + bytes).unwrap();
    }
    text
}

/// The spec's fields, with neighbouring layers that are alike told once.
fn spec_text(spec: &ModelSpec) -> String {
    let mut text = format!("{:#?}\n", ModelSpec { layers: Vec::new(), ..spec.clone() });
    let mut start = 0;
    for alike in spec.layers.chunk_by(|a: &LayerSpec, b| a == b) {
        let end = start + alike.len();
        writeln!(text, "\nlayers {start}..{end}: {:#?}", alike[0]).unwrap();
        start = end;
    }
    text
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "snapshots"].iter().collect()
}

#[test]
fn plans_are_as_they_were() {
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some_and(|v| v == "1");
    for (name, draft, context_size) in cases() {
        let (path, found) = (folder().join(format!("{name}.txt")), text(&draft, context_size));
        if update {
            std::fs::write(&path, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = found.lines().zip(expected.lines()).enumerate().find(|(_, (f, e))| f != e);
        assert!(found == expected, "{name}: {differs:#?}; if that is meant, run with UPDATE_SNAPSHOTS=1");
    }
}

#[test]
fn each_family_has_a_snapshot_and_none_is_left_over() {
    let names = |n: &(&str, Draft, u32)| format!("{}.txt", n.0);
    let expected: BTreeSet<String> = cases().iter().map(names).collect();
    let entries = std::fs::read_dir(folder()).unwrap();
    let found = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(expected, found);
    let families: BTreeSet<&str> = cases().iter().map(|c| c.1.arch).collect();
    assert_eq!(families, chord_model::architectures().collect());
}
