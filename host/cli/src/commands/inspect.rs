//! `host inspect`: what is in a model file and whether it can run.

use crate::args::EngineArgs;
use crate::{engine, term};
use anyhow::Result;
use chord_quant::DType;
use chord_runtime::{DeviceInfo, Report};
use clap::Args;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

/// Options of `host inspect`.
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// Model file (GGUF) [default: the built-in model]
    #[arg(env = "CHORD_MODEL")]
    model: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Print as one JSON object
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(&self) -> Result<()> {
        let builder = engine::builder(&self.engine).threads(1);
        let mut instance = engine::instance(builder, &self.engine, self.model.as_deref())?;
        let report = instance.inspect()?;
        // The device that would run it.
        let device = engine::builder(&self.engine).threads(1).build()?.devices().into_iter().next();
        let speed = |dtype: &str| device.as_ref().map_or(Speed::No, |d| Speed::of(dtype, d));
        let text = match self.json {
            true => term::json(&json(&report, &speed), true) + "\n",
            false => text(&report, &speed),
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(())
    }
}

/// How a device computes with a tensor type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speed {
    Runs,
    Slowly,
    No,
}

impl Speed {
    fn of(dtype: &str, device: &DeviceInfo) -> Speed {
        let has = |types: &[DType]| types.iter().any(|t| t.name() == dtype);
        match (has(&device.fast), has(&device.readable)) {
            (true, _) => Speed::Runs,
            (false, true) => Speed::Slowly,
            (false, false) => Speed::No,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Speed::Runs => "runs",
            Speed::Slowly => "runs slowly, by dequantising",
            Speed::No => "not supported",
        }
    }
}

/// Tensors and bytes per type name.
fn mix(report: &Report) -> BTreeMap<&str, (usize, u64)> {
    let mut mix = BTreeMap::new();
    for t in &report.tensors {
        let entry: &mut (usize, u64) = mix.entry(t.dtype.as_str()).or_default();
        entry.0 += 1;
        entry.1 = entry.1.saturating_add(t.bytes);
    }
    mix
}

fn parameters(report: &Report) -> u64 {
    report.tensors.iter().map(|t| product(&t.shape)).fold(0, u64::saturating_add)
}

/// The engine has read the numbers: they may be any.
fn product(shape: &[u64]) -> u64 {
    shape.iter().copied().fold(1, u64::saturating_mul)
}

fn total_bytes(report: &Report) -> u64 {
    report.tensors.iter().map(|t| t.bytes).fold(0, u64::saturating_add)
}

/// Whether it runs, and which types slow it down.
fn runs(report: &Report, speed: &dyn Fn(&str) -> Speed) -> String {
    let slow: Vec<&str> = mix(report).into_keys().filter(|name| speed(name) == Speed::Slowly).collect();
    match &report.runnable {
        Ok(()) if !slow.is_empty() => format!("yes, slowly: {} by dequantising", slow.join(", ")),
        other => verdict(other),
    }
}

fn verdict(result: &Result<(), String>) -> String {
    match result {
        Ok(()) => "yes".into(),
        Err(why) => format!("no: {why}"),
    }
}

fn text(report: &Report, speed: &dyn Fn(&str) -> Speed) -> String {
    let mut out = String::new();
    // What the file or the engine says stays within its line.
    let mut line = |text: String| {
        out += &term::line(&text);
        out.push('\n');
    };
    line(format!("GGUF version {}, files: {}", report.version, report.files.join(", ")));
    line(format!("architecture   {}", report.architecture.as_deref().unwrap_or("-")));
    line(format!("parameters     {}", parameters(report)));
    line(format!("tensors        {}, {}", report.tensors.len(), term::bytes(total_bytes(report))));
    line(format!("runs           {}", runs(report, speed)));
    line(format!("tokenizes      {}", verdict(&report.tokenizable)));
    report.warnings.iter().for_each(|warning| line(format!("warning        {warning}")));
    line(String::new());
    line("metadata".into());
    for m in &report.metadata {
        line(format!("  {:<44} {:<14} {}", m.key, m.kind, m.value));
    }
    line(String::new());
    line("types".into());
    for (name, (count, bytes)) in mix(report) {
        let words = speed(name).words();
        line(format!("  {name:<8} {count:>5} tensors  {:>10}  {words}", term::bytes(bytes)));
    }
    line(String::new());
    line("tensors".into());
    for t in &report.tensors {
        let shape = t.shape.iter().map(u64::to_string).collect::<Vec<_>>().join(" x ");
        line(format!("  {:<40} {:<8} {:>22} {:>10}", t.name, t.dtype, shape, term::bytes(t.bytes)));
    }
    out
}

fn json(report: &Report, speed: &dyn Fn(&str) -> Speed) -> serde_json::Value {
    use serde_json::json;
    let metadata = report.metadata.iter().map(|m| json!({"key": m.key, "type": m.kind, "value": m.value}));
    let tensors = report.tensors.iter().map(|t| {
        json!({
            "name": t.name, "type": t.dtype, "shape": t.shape, "bytes": t.bytes,
            "file": t.file, "offset": t.offset,
        })
    });
    let types = mix(report)
        .into_iter()
        .map(|(k, (n, b))| (k.to_owned(), json!({"tensors": n, "bytes": b, "speed": speed(k).words()})));
    json!({
        "version": report.version,
        "files": report.files,
        "architecture": report.architecture,
        "parameters": parameters(report),
        "tensor_bytes": total_bytes(report),
        "runs": report.runnable.is_ok(),
        "runs_why_not": report.runnable.as_ref().err(),
        "tokenizes": report.tokenizable.is_ok(),
        "tokenizes_why_not": report.tokenizable.as_ref().err(),
        "types": types.collect::<serde_json::Map<_, _>>(),
        "metadata": metadata.collect::<Vec<_>>(),
        "tensors": tensors.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chord_runtime::{MetadataEntry, TensorEntry};

    fn hostile() -> Report {
        let forged = "x\nruns           yes\u{1b}[2J";
        let tensor = |bytes| TensorEntry {
            name: forged.into(),
            dtype: forged.into(),
            shape: vec![u64::MAX, u64::MAX],
            bytes,
            file: u32::MAX,
            offset: u64::MAX,
        };
        Report {
            version: u32::MAX,
            files: vec![forged.into()],
            metadata: vec![MetadataEntry { key: forged.into(), kind: forged.into(), value: forged.into() }],
            tensors: vec![tensor(u64::MAX), tensor(u64::MAX)],
            architecture: Some(forged.into()),
            runnable: Err(forged.into()),
            tokenizable: Err(forged.into()),
            warnings: vec![forged.into()],
        }
    }

    #[test]
    fn a_hostile_report_wraps_no_numbers_and_forges_no_lines() {
        let text = text(&hostile(), &|_| Speed::No);
        assert!(!text.contains('\u{1b}') && !text.lines().any(|l| l == "runs           yes"), "{text}");
        assert_eq!(text.lines().count(), 7 + 3 + 3 + 4, "{text}");
        assert!(text.contains(&format!("parameters     {}\n", u64::MAX)), "{text}");
        let json = json(&hostile(), &|_| Speed::No);
        assert_eq!(json["tensor_bytes"], u64::MAX);
        assert_eq!(json["parameters"], u64::MAX);
    }
}
