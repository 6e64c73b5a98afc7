//! The time of a step by op, layers taken together.

use super::case::Counts;
use crate::term;
use chord_runtime::OpProfile;
use serde_json::{Value, json};
use std::time::Duration;

/// Ops of one kind in all layers.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    name: String,
    /// Ops in the plan.
    count: u64,
    /// Of all of them, over all steps.
    total: OpProfile,
}

/// What `name` is called where an op has only such matrices.
const SHORT: &[(&str, &str)] = &[
    ("attn_q+attn_k+attn_v", "qkv"),
    ("attn_qkv+attn_qkv+attn_qkv", "qkv"),
    ("ffn_gate+ffn_up", "gate+up"),
    ("ffn_up+ffn_up", "gate+up"),
    ("ffn_down", "down"),
    ("token_embd", "output"),
];

/// By kind, in the order of their first op.
fn groups(ops: &[OpProfile]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for op in ops {
        let name = name(op);
        match groups.iter_mut().find(|g| g.name == name) {
            Some(group) => {
                group.count += 1;
                group.total.add(op);
            }
            None => groups.push(Group { name, count: 1, total: op.clone() }),
        }
    }
    groups
}

/// By what an op's tensors are in each layer; without tensors, and for the embedding, by what it does.
fn name(op: &OpProfile) -> String {
    if op.tensors.is_empty() || op.op == "embed" {
        return op.op.into();
    }
    let parts: Vec<&str> = op.tensors.iter().map(|t| part(t)).collect();
    let joined = parts.join("+");
    let short = SHORT.iter().find(|(long, _)| *long == joined).map(|(_, short)| short.to_string());
    short.unwrap_or_else(|| term::line(&joined).into())
}

/// `attn_q` of `blk.7.attn_q.weight`.
fn part(tensor: &str) -> &str {
    let of_layer = tensor.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
    let part = of_layer.map_or(tensor, |(_, part)| part);
    part.strip_suffix(".weight").unwrap_or(part)
}

impl Group {
    /// Milliseconds of a step.
    fn ms(&self, steps: u64) -> f64 {
        self.total.nanoseconds as f64 / 1e6 / steps.max(1) as f64
    }

    /// `amount` per nanosecond, of what was needed in that time.
    fn rate(&self, amount: u64) -> Option<f64> {
        (amount > 0 && self.total.nanoseconds > 0).then(|| amount as f64 / self.total.nanoseconds as f64)
    }
}

/// Milliseconds that a step spends in ops.
fn sum_ms(run: &Counts) -> f64 {
    run.per_step(Duration::from_nanos(run.ops.iter().map(|op| op.nanoseconds).sum()))
}

/// A table: one line per kind of op.
pub(super) fn text(run: &Counts) -> String {
    let (step, device, sum) = (run.step_ms(), run.per_step(run.device_time), sum_ms(run));
    let mut out = format!("  {sum:.3} ms a step in ops, {device:.3} in the device, {step:.3} in all\n");
    out +=
        &format!("  {:<20} {:>5} {:>10} {:>7} {:>8} {:>9}\n", "op", "count", "ms", "share", "GB/s", "GOP/s");
    let rate = |rate: Option<f64>| rate.map_or("-".into(), |rate| format!("{rate:.1}"));
    for group in groups(&run.ops) {
        let ms = group.ms(run.steps);
        let (gb, gop) = (rate(group.rate(group.total.bytes)), rate(group.rate(group.total.operations)));
        let (name, count, share) = (&group.name, group.count, 100.0 * ms / step);
        out += &format!("  {name:<20} {count:>5} {ms:>10.3} {share:>5.1} % {gb:>8} {gop:>9}\n");
    }
    out
}

/// The same as data.
pub(super) fn json(run: &Counts) -> Value {
    let step = run.step_ms();
    let row = |group: Group| {
        let ms = group.ms(run.steps);
        json!({
            "op": group.name,
            "count": group.count,
            "ms": ms,
            "share": ms / step,
            "gb_s": group.rate(group.total.bytes),
            "gop_s": group.rate(group.total.operations),
        })
    };
    json!({
        "steps": run.steps,
        "step_ms": step,
        "device_ms": run.per_step(run.device_time),
        "sum_ms": sum_ms(run),
        "ops": groups(&run.ops).into_iter().map(row).collect::<Vec<Value>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(op: &'static str, tensors: &[&str], nanoseconds: u64) -> OpProfile {
        let tensors = tensors.iter().map(|t| t.to_string()).collect();
        OpProfile { op, tensors, runs: 2, nanoseconds, bytes: 10, operations: 100 }
    }

    #[test]
    fn ops_are_named_by_what_their_tensors_are() {
        let named = |kind, tensors: &[&str]| name(&op(kind, tensors, 0));
        let qkv = ["blk.3.attn_q.weight", "blk.3.attn_k.weight", "blk.3.attn_v.weight"];
        assert_eq!(named("project", &qkv), "qkv");
        assert_eq!(named("project", &["blk.11.ffn_gate.weight", "blk.11.ffn_up.weight"]), "gate+up");
        assert_eq!(named("project", &["blk.0.attn_output.weight"]), "attn_output");
        assert_eq!(named("embed", &["token_embd.weight"]), "embed");
        assert_eq!(named("project", &["token_embd.weight"]), "output");
        assert_eq!(named("project", &["output.weight"]), "output");
        assert_eq!(named("norm", &["blk.0.attn_q_norm.weight"]), "attn_q_norm");
        assert_eq!(named("attention", &[]), "attention");
        assert_eq!(named("norm", &["a\u{1b}[2J\nb"]), r"a\u{1b}[2J\nb");
    }

    #[test]
    fn layers_are_taken_together() {
        let ops = [
            op("embed", &["token_embd.weight"], 1),
            op("project", &["blk.0.ffn_down.weight"], 1000),
            op("attention", &[], 3),
            op("project", &["blk.1.ffn_down.weight"], 3000),
        ];
        let groups = groups(&ops);
        let names: Vec<&str> = groups.iter().map(|g| g.name.as_str()).collect();
        assert_eq!(names, ["embed", "down", "attention"]);
        let down = &groups[1];
        assert_eq!((down.count, down.total.nanoseconds, down.total.bytes), (2, 4000, 20));
        assert_eq!(down.ms(2), 0.002);
        assert_eq!((down.rate(down.total.operations), down.rate(0)), (Some(0.05), None));
    }
}
