//! What the machine can do at most, and the share of it that was reached.

use super::case::Outcome;
use anyhow::{Context, Result};
use chord_runtime::{Ceilings, Rates, Runtime};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// A model file that is smaller would be read from caches.
const LEAST: u64 = 512 << 20;
/// Bytes of the file that is read instead.
const FILE: usize = 1 << 30;

/// Measures, with the model's own file if it is large enough.
pub(super) fn measure(runtime: &Runtime, model: Option<&Path>) -> Result<Ceilings> {
    let large = |path: &&Path| std::fs::metadata(path).is_ok_and(|meta| meta.len() >= LEAST);
    let file = match model.filter(large) {
        Some(path) => File::open(path)?,
        None => scratch().context("cannot write a file of 1 GiB to measure with")?,
    };
    runtime.ceilings(&file).context("cannot measure what memory can do")
}

/// A nameless file in the folder for such.
fn scratch() -> std::io::Result<File> {
    let mut file = tempfile::tempfile()?;
    let block = vec![1; 1 << 20];
    for _ in 0..FILE / block.len() {
        file.write_all(&block)?;
    }
    Ok(file)
}

/// Bandwidths by name, GB/s.
fn bandwidths(ceilings: &Ceilings) -> impl Iterator<Item = (&'static str, Rates)> {
    let huge = ceilings.huge_pages.map(|rates| ("huge pages", rates));
    [("file mapping", ceilings.mapping), ("small pages", ceilings.small_pages)].into_iter().chain(huge)
}

/// Shares of each ceiling: what is reached of bandwidths (`gb_s`), and of multiplications (`gop_s`).
pub(super) fn shares(ceilings: &Ceilings, gb_s: Option<f64>, gop_s: Option<f64>) -> Vec<(&'static str, f64)> {
    let read = bandwidths(ceilings).filter_map(|(name, rates)| Some((name, gb_s? / rates.all)));
    let multiply = ceilings.multiply.iter().filter_map(|p| Some((p.name, gop_s? / p.rates.all)));
    read.chain(multiply).collect()
}

/// 10⁹ operations per second of matrix products, attention left out. `None` unless ops were timed.
pub(super) fn gop_s(outcome: &Outcome) -> Option<f64> {
    let run = outcome.best.as_ref()?;
    let operations: u64 = run.ops.iter().filter(|op| op.op != "attention").map(|op| op.operations).sum();
    let per_token = operations as f64 / run.tokens.max(1) as f64;
    (operations > 0).then(|| per_token * outcome.tok_s() / 1e9)
}

/// One line per ceiling.
pub(super) fn text(ceilings: &Ceilings) -> String {
    let line = |name: &str, rates: &Rates, unit: &str, how: &str| {
        let line = format!("  {name:<13} {:>9.1} {:>9.1} {unit:<6} {how}", rates.one, rates.all);
        format!("{}\n", line.trim_end())
    };
    let threads = format!("{} threads", ceilings.threads);
    let mut out = format!("\nceilings        {:>9} {threads:>9}\n", "1 thread");
    bandwidths(ceilings).for_each(|(name, rates)| out += &line(name, &rates, "GB/s", ""));
    ceilings.multiply.iter().for_each(|p| out += &line(p.name, &p.rates, "GOP/s", p.instruction));
    out
}

/// The same as data.
pub(super) fn json(ceilings: &Ceilings) -> Value {
    let rates = |rates: &Rates| json!({ "one": rates.one, "all": rates.all });
    let read: Map<_, _> = bandwidths(ceilings).map(|(name, r)| (key(name), rates(&r))).collect();
    let multiply: Map<_, _> = ceilings.multiply.iter().map(|p| (key(p.name), rates(&p.rates))).collect();
    json!({
        "threads": ceilings.threads,
        "bytes": ceilings.bytes,
        "gb_s": read,
        "gop_s": multiply,
    })
}

/// A name as a key of JSON.
pub(super) fn key(name: &str) -> String {
    name.replace(' ', "_")
}

#[cfg(test)]
mod tests {
    use super::super::case::{Case, Counts};
    use super::*;
    use chord_runtime::{OpProfile, Peak};
    use std::time::Duration;

    fn ceilings() -> Ceilings {
        let rates = |all| Rates { one: all / 2.0, all };
        let peak = Peak { name: "int8 tiles", instruction: "tdpbssd", rates: rates(1000.0) };
        Ceilings {
            threads: 2,
            bytes: 1,
            mapping: rates(20.0),
            small_pages: rates(25.0),
            huge_pages: Some(rates(40.0)),
            multiply: vec![peak],
        }
    }

    #[test]
    fn shares_are_of_all_threads() {
        let found = shares(&ceilings(), Some(10.0), Some(250.0));
        assert_eq!(
            found,
            [("file mapping", 0.5), ("small pages", 0.4), ("huge pages", 0.25), ("int8 tiles", 0.25)]
        );
        assert_eq!(shares(&ceilings(), None, Some(500.0)), [("int8 tiles", 0.5)]);
        assert_eq!(json(&ceilings())["gop_s"]["int8_tiles"]["all"], 1000.0);
        assert!(text(&ceilings()).contains("int8 tiles"));
    }

    #[test]
    fn attention_is_not_among_matrix_products() {
        let op = |op, operations| OpProfile { op, operations, ..OpProfile::default() };
        let mut outcome = Outcome::new(Case { prompt: true, tokens: 50, depth: 0, parallel: 1 });
        let ops = vec![op("project", 100_000_000_000), op("attention", 1 << 50)];
        let time = Duration::from_secs(2);
        outcome.add(Counts { time, device_time: time, steps: 1, tokens: 50, ops });
        assert_eq!(gop_s(&outcome), Some(50.0));
    }
}
