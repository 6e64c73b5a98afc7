//! The measurements as text and as JSON.

use super::case::{Case, Outcome};
use super::{Bench, Measured, ceilings, ops};
use crate::{model, term};
use chord_runtime::WeightReads;
use serde_json::{Map, Value, json};

impl Measured {
    /// GB/s of weights, if each step is to read them once; of experts those that its tokens meet.
    fn gb_s(&self, outcome: &Outcome) -> Option<f64> {
        gb_s(self.reads.as_ref()?, outcome)
    }

    fn shares(&self, outcome: &Outcome) -> Option<Vec<(&'static str, f64)>> {
        let ceilings = self.ceilings.as_ref()?;
        Some(ceilings::shares(ceilings, self.gb_s(outcome), ceilings::gop_s(outcome)))
    }
}

fn gb_s(reads: &WeightReads, outcome: &Outcome) -> Option<f64> {
    let run = outcome.best.as_ref()?;
    let (steps, tokens) = (run.steps.max(1), run.tokens.max(1));
    let bytes = reads.of_step(tokens.div_ceil(steps));
    Some(outcome.tok_s() * steps as f64 / tokens as f64 * bytes as f64 / 1e9)
}

/// What was measured, in words.
pub(super) fn title(case: &Case) -> String {
    let mut title = format!("{:<8} {:>5} tokens", case.name(), case.tokens);
    if case.depth > 0 {
        title += &format!(" at {}", case.depth);
    }
    if case.parallel > 1 {
        title += &format!(" x {}", case.parallel);
    }
    title
}

/// For people.
pub(super) fn text(bench: &Bench, m: &Measured) -> String {
    let mut out = format!(
        "model    {}\n         {}, {}, {} parameters\ndevice   {}\n",
        term::line(&model::display_name(bench.model.as_ref())),
        term::line(&m.info.architecture),
        term::bytes(m.info.tensor_bytes),
        m.info.parameters,
        term::line(&m.info.device)
    );
    let width = m.outcomes.iter().map(|o| title(&o.case).chars().count()).max().unwrap_or(0);
    m.outcomes.iter().for_each(|outcome| out += &line(m, outcome, width));
    if let Some(hash) = m.logits_hash {
        out += &format!("logits   {hash:016x}\n");
    }
    if let Some(private) = m.private {
        let (private, kv) = (term::bytes(private), term::bytes(m.stats.kv_bytes));
        out += &format!("memory   {private} besides mapped files; the full KV cache is {kv} of it\n");
    }
    if let Some(found) = &m.ceilings {
        out += &ceilings::text(found);
    }
    for outcome in m.outcomes.iter().filter(|_| bench.ops) {
        let title = title(&outcome.case);
        let title: Vec<&str> = title.split_whitespace().collect();
        out += &format!("\nops of {}, the fastest run\n", title.join(" "));
        out += &outcome.best.as_ref().map_or(String::new(), ops::text);
    }
    out
}

fn line(m: &Measured, outcome: &Outcome, width: usize) -> String {
    let (title, tok_s) = (title(&outcome.case), outcome.tok_s());
    let mut out = format!("{title:<width$}  {tok_s:>9.2} tok/s  ({})\n", spread(&outcome.samples));
    let (gb_s, gop_s) = (m.gb_s(outcome), ceilings::gop_s(outcome));
    // Memory bounds a decoder, multiplication a prompt, and both of them several sequences.
    let (memory, multiplication) = (!outcome.case.prompt, outcome.case.prompt || outcome.case.parallel > 1);
    let found = m.ceilings.as_ref();
    let shares = |gb_s, gop_s| found.map_or(Vec::new(), |found| ceilings::shares(found, gb_s, gop_s));
    if let Some(rate) = gb_s.filter(|_| memory) {
        out += &format!("         {rate:.2} GB/s of weights{}\n", percentages(&shares(gb_s, None)));
    }
    if let Some(rate) = gop_s.filter(|_| multiplication) {
        out += &format!("         {rate:.0} GOP/s in matrices{}\n", percentages(&shares(None, gop_s)));
    }
    out
}

/// `: 50 % of file mapping, 40 % of huge pages`. Kernels do not multiply bf16.
fn percentages(shares: &[(&str, f64)]) -> String {
    let shares = shares.iter().filter(|(name, _)| !name.starts_with("bf16"));
    let each: Vec<String> = shares.map(|(name, share)| format!("{:.0} % of {name}", share * 100.0)).collect();
    if each.is_empty() { String::new() } else { format!(": {}", each.join(", ")) }
}

fn spread(samples: &[f64]) -> String {
    let min = samples.iter().copied().fold(f64::INFINITY, f64::min);
    let max = samples.iter().copied().fold(0.0, f64::max);
    format!("{min:.2} to {max:.2}, {} runs", samples.len())
}

/// One object. What stands above `tests` is of the first depth and of one sequence.
pub(super) fn json(bench: &Bench, m: &Measured) -> Value {
    let first = |prompt: bool| m.outcomes.iter().find(|o| o.case.prompt == prompt && o.case.parallel == 1);
    let samples = |outcome: Option<&Outcome>| outcome.map_or(Vec::new(), |o| o.samples.clone());
    let (prefill, decode) = (first(true), first(false));
    json!({
        "model": model::display_name(bench.model.as_ref()),
        "architecture": m.info.architecture,
        "tensor_bytes": m.info.tensor_bytes,
        "parameters": m.info.parameters,
        "device": m.info.device,
        "n_prompt": bench.n_prompt,
        "n_gen": bench.n_gen,
        "repetitions": bench.repetitions,
        "prefill_tok_s": prefill.map(Outcome::tok_s),
        "decode_tok_s": decode.map(Outcome::tok_s),
        "prefill_samples": samples(prefill),
        "decode_samples": samples(decode),
        "decode_gb_s": decode.and_then(|o| m.gb_s(o)),
        "tests": m.outcomes.iter().map(|o| test(bench, m, o)).collect::<Vec<_>>(),
        "ceilings": m.ceilings.as_ref().map(ceilings::json),
        "logits_hash": m.logits_hash.map(|hash| format!("{hash:016x}")),
        "guest_memory_peak": m.stats.guest_memory_peak,
        "host_memory_peak": term::peak_memory(),
        "host_memory_private": m.private,
        "kv_bytes": m.stats.kv_bytes,
    })
}

fn test(bench: &Bench, m: &Measured, outcome: &Outcome) -> Value {
    let Case { tokens, depth, parallel, .. } = outcome.case;
    let shares = m.shares(outcome).map(|shares| {
        shares.into_iter().map(|(name, share)| (ceilings::key(name), share.into())).collect::<Map<_, _>>()
    });
    json!({
        "test": outcome.case.name(),
        "tokens": tokens,
        "depth": depth,
        "parallel": parallel,
        "tok_s": outcome.tok_s(),
        "samples": outcome.samples,
        "gb_s": m.gb_s(outcome),
        "gop_s": ceilings::gop_s(outcome),
        "shares": shares,
        "ops": outcome.best.as_ref().filter(|_| bench.ops).map(ops::json),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_say_what_is_unusual() {
        let case = Case { prompt: false, tokens: 64, depth: 0, parallel: 1 };
        assert_eq!(title(&case), "decode      64 tokens");
        assert_eq!(title(&Case { depth: 512, parallel: 4, ..case }), "decode      64 tokens at 512 x 4");
    }

    #[test]
    fn percentages_name_what_they_are_of() {
        assert_eq!(percentages(&[]), "");
        assert_eq!(
            percentages(&[("int8", 0.5), ("bf16", 0.1), ("f32", 1.254)]),
            ": 50 % of int8, 125 % of f32"
        );
    }
}
