//! `host bench`: prefill and decode speed.

use crate::args::EngineArgs;
use crate::{engine, model, term};
use anyhow::{Context, Result};
use chord_runtime::{Event, GenerateOptions, Instance, LoadOptions, Model, ModelInfo, Prompt, Stats};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

/// Options of `host bench`.
#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// Model file (GGUF) [default: the built-in model]
    #[arg(short, long, value_name = "MODEL.GGUF", env = "CHORD_MODEL")]
    model: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Tokens of the prompt; 0 = no prefill measurement
    #[arg(short = 'p', long, value_name = "N", default_value_t = 512)]
    n_prompt: u32,
    /// Tokens to generate from an empty context; 0 = no decode measurement
    #[arg(short = 'n', long, value_name = "N", default_value_t = 128)]
    n_gen: u32,
    /// Repetitions; the median is reported
    #[arg(short, long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repetitions: u32,
    /// Form of the report
    #[arg(short, long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

/// What was measured.
struct Measured {
    info: ModelInfo,
    stats: Stats,
    /// Prompt tokens per second, one per repetition.
    prefill: Vec<f64>,
    /// Generated tokens per second, one per repetition.
    decode: Vec<f64>,
    /// Hash of the values that the device returned in the last repetition.
    logits_hash: u64,
    /// Bytes of weights read per generated token.
    bytes_per_token: Option<u64>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        let builder = engine::builder(&self.engine).record_plans();
        let mut instance = engine::instance(builder, &self.engine, self.model.as_deref())?;
        let context = self.n_prompt.max(self.n_gen).saturating_add(2);
        let load = LoadOptions { context_size: Some(context), ..LoadOptions::default() };
        let named = || format!("model `{}`", model::display_name(self.model.as_ref()));
        let model = instance.load(&load).with_context(named)?;
        let measured = self.measure(&mut instance, &model)?;
        let text = match self.output {
            Form::Text => self.text(&measured),
            Form::Json => format!("{:#}\n", self.json(&measured)),
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(())
    }

    fn measure(&self, instance: &mut Instance, model: &Model) -> Result<Measured> {
        let info = instance.info(model)?;
        let (mut prefill, mut decode) = (Vec::new(), Vec::new());
        // The first round warms caches, page tables and threads; it does not count.
        for round in 0..=self.repetitions {
            instance.reset_stats();
            let speeds = (
                self.prefill(instance, model, info.vocabulary)?,
                self.decode(instance, model, info.vocabulary)?,
            );
            if round > 0 {
                prefill.extend(speeds.0);
                decode.extend(speeds.1);
            }
        }
        let stats = instance.stats();
        let bytes_per_token = instance.plans().last().map(|p| p.bytes_per_token);
        Ok(Measured { info, logits_hash: stats.logits_hash, stats, prefill, decode, bytes_per_token })
    }

    fn prefill(&self, instance: &mut Instance, model: &Model, vocabulary: u32) -> Result<Option<f64>> {
        if self.n_prompt == 0 {
            return Ok(None);
        }
        let tokens = random_tokens(self.n_prompt, vocabulary);
        let session = instance.open(model)?;
        let start = Instant::now();
        // The last row is wanted, as it is before a first token.
        instance.evaluate(&session, &tokens, &[self.n_prompt - 1])?;
        let time = start.elapsed();
        instance.close_session(session)?;
        Ok(Some(f64::from(self.n_prompt) / time.as_secs_f64()))
    }

    fn decode(&self, instance: &mut Instance, model: &Model, vocabulary: u32) -> Result<Option<f64>> {
        if self.n_gen == 0 {
            return Ok(None);
        }
        let session = instance.open(model)?;
        let options = GenerateOptions {
            max_tokens: Some(self.n_gen),
            temperature: Some(0.0),
            ignore_eos: Some(true),
            ..GenerateOptions::default()
        };
        let prompt = Prompt::Tokens(random_tokens(1, vocabulary));
        let generation = instance.generate(&session, &prompt, &options)?;
        let start = Instant::now();
        let mut tokens = 0u32;
        loop {
            let events = instance.next(&generation)?;
            if events.is_empty() {
                break;
            }
            tokens += events.iter().filter(|e| matches!(e, Event::Token(_))).count() as u32;
        }
        let time = start.elapsed();
        instance.close_generation(generation)?;
        instance.close_session(session)?;
        Ok((tokens > 0).then(|| f64::from(tokens) / time.as_secs_f64()))
    }

    fn text(&self, m: &Measured) -> String {
        let row = |what: &str, n: u32, samples: &[f64]| match median(samples) {
            None => String::new(),
            Some(mid) => format!("{what:<8} {n:>5} tokens  {mid:>9.2} tok/s  ({})\n", spread(samples)),
        };
        let mut out = format!(
            "model    {}\n         {}, {}, {} parameters\ndevice   {}\n",
            model::display_name(self.model.as_ref()),
            m.info.architecture,
            term::bytes(m.info.tensor_bytes),
            m.info.parameters,
            m.info.device
        );
        out += &row("prefill", self.n_prompt, &m.prefill);
        out += &row("decode", self.n_gen, &m.decode);
        if let Some(rate) = m.gb_per_second() {
            out += &format!("weights  {rate:.2} GB/s read while decoding\n");
        }
        out + &format!("logits   {:016x}\n", m.logits_hash)
    }

    fn json(&self, m: &Measured) -> serde_json::Value {
        serde_json::json!({
            "model": model::display_name(self.model.as_ref()),
            "architecture": m.info.architecture,
            "tensor_bytes": m.info.tensor_bytes,
            "parameters": m.info.parameters,
            "device": m.info.device,
            "n_prompt": self.n_prompt,
            "n_gen": self.n_gen,
            "repetitions": self.repetitions,
            "prefill_tok_s": median(&m.prefill),
            "decode_tok_s": median(&m.decode),
            "prefill_samples": m.prefill,
            "decode_samples": m.decode,
            "decode_gb_s": m.gb_per_second(),
            "logits_hash": format!("{:016x}", m.logits_hash),
            "guest_memory_peak": m.stats.guest_memory_peak,
            "host_memory_peak": term::peak_memory(),
        })
    }
}

impl Measured {
    fn gb_per_second(&self) -> Option<f64> {
        Some(median(&self.decode)? * self.bytes_per_token? as f64 / 1e9)
    }
}

/// Always the same ids for one vocabulary: a multiplicative generator, so that embeddings are spread.
fn random_tokens(n: u32, vocabulary: u32) -> Vec<u32> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % u64::from(vocabulary.max(1))) as u32
    };
    (0..n).map(|_| next()).collect()
}

fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mid = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[mid]),
        _ => Some((sorted[mid - 1] + sorted[mid]) / 2.0),
    }
}

fn spread(samples: &[f64]) -> String {
    let min = samples.iter().copied().fold(f64::INFINITY, f64::min);
    let max = samples.iter().copied().fold(0.0, f64::max);
    format!("{min:.2} to {max:.2}, {} runs", samples.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn bench_tokens_are_in_the_vocabulary_and_repeat() {
        let tokens = random_tokens(1000, 77);
        assert!(tokens.iter().all(|&t| t < 77));
        assert_eq!(tokens, random_tokens(1000, 77));
        assert!(tokens.windows(2).any(|w| w[0] != w[1]));
    }
}
