//! `host perplexity`: how well a model predicts a text.

use crate::args::EngineArgs;
use crate::failure::UsageError;
use crate::{engine, model};
use anyhow::{Context, Result};
use chord_runtime::{Error, Instance, LoadOptions, Model};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

/// Options of `host perplexity`.
#[derive(Args, Debug)]
pub(crate) struct Perplexity {
    /// Model file (GGUF) [default: the built-in model]
    #[arg(short, long, value_name = "MODEL.GGUF", env = "CHORD_MODEL")]
    model: Option<PathBuf>,
    /// The text
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Tokens of a chunk; the second half of each is predicted
    #[arg(short, long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(4..))]
    ctx_size: u32,
    /// Most chunks; -1 = all
    #[arg(long, value_name = "N", default_value_t = -1, allow_negative_numbers = true)]
    chunks: i64,
    #[command(flatten)]
    engine: EngineArgs,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Most bytes of logits that cross the engine's border at once.
const ROWS_BYTES: usize = 16 << 20;

/// Sums over the tokens that were predicted, nats.
#[derive(Default)]
struct Loss {
    count: u64,
    sum: f64,
    squares: f64,
}

impl Loss {
    fn add(&mut self, nats: f64) {
        self.count += 1;
        self.sum += nats;
        self.squares += nats * nats;
    }

    /// Perplexity and its standard error.
    fn perplexity(&self) -> (f64, f64) {
        let count = self.count as f64;
        let mean = self.sum / count;
        let variance = (self.squares / count - mean * mean).max(0.0);
        let perplexity = mean.exp();
        (perplexity, perplexity * (variance / (count - 1.0).max(1.0)).sqrt())
    }
}

impl Perplexity {
    pub(crate) fn run(&self) -> Result<()> {
        let name = self.file.display();
        let text = std::fs::read(&self.file).with_context(|| format!("cannot read text `{name}`"))?;
        let text = String::from_utf8(text).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            anyhow::anyhow!("text `{name}`: expected UTF-8, found another byte at offset {at}")
        })?;
        let builder = engine::builder(&self.engine);
        let mut instance = engine::instance(builder, &self.engine, self.model.as_deref())?;
        let load = LoadOptions { context_size: Some(self.ctx_size), ..LoadOptions::default() };
        let named = || format!("model `{}`", model::display_name(self.model.as_ref()));
        let model = instance.load(&load).with_context(named)?;
        let start = Instant::now();
        let tokens = instance.tokenize(&model, &text, true, false)?;
        // What the tokenizer puts first where it adds beginning-of-sequence: each chunk begins so.
        let (marked, plain) =
            (instance.tokenize(&model, "a", true, false)?, instance.tokenize(&model, "a", false, false)?);
        let bos = marked.split_first().filter(|(_, rest)| rest.starts_with(&plain)).map(|(&bos, _)| bos);
        let size = self.ctx_size as usize;
        let all = tokens.len() / size;
        let chunks = usize::try_from(self.chunks).map_or(all, |n| n.min(all));
        if chunks == 0 {
            let found = tokens.len();
            let text = format!(
                "text `{name}`: expected at least {size} tokens (one chunk), found {found}; see --ctx-size and --chunks"
            );
            return Err(UsageError(text).into());
        }
        let bar = progress(chunks);
        let mut loss = Loss::default();
        for chunk in tokens.chunks_exact(size).take(chunks) {
            let mut chunk = chunk.to_vec();
            if let Some(bos) = bos {
                chunk[0] = bos;
            }
            score(&mut instance, &model, &chunk, &mut loss)?;
            bar.set_message(format!("perplexity {:.4}", loss.perplexity().0));
            bar.inc(1);
        }
        bar.finish_and_clear();
        self.report(&loss, chunks, start.elapsed().as_secs_f64())
    }

    fn report(&self, loss: &Loss, chunks: usize, seconds: f64) -> Result<()> {
        let (perplexity, error) = loss.perplexity();
        let read = chunks as f64 * f64::from(self.ctx_size);
        let text = match self.json {
            true => {
                let result = serde_json::json!({
                    "perplexity": perplexity, "stderr": error, "chunks": chunks, "ctx_size": self.ctx_size,
                    "scored_tokens": loss.count, "tokens_per_second": read / seconds,
                });
                format!("{result}\n")
            }
            false => format!(
                "perplexity {perplexity:.4} +/- {error:.5} | {chunks} chunks of {} tokens, {} predicted | {:.1} tok/s\n",
                self.ctx_size,
                loss.count,
                read / seconds
            ),
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(())
    }
}

/// Reads a chunk and adds the loss of each token of its second half, as `llama-perplexity` does.
fn score(instance: &mut Instance, model: &Model, chunk: &[u32], loss: &mut Loss) -> Result<()> {
    let vocabulary = instance.info(model)?.vocabulary as usize;
    let rows = (ROWS_BYTES / (4 * vocabulary.max(1))).max(1);
    let session = instance.open(model)?;
    let first = chunk.len() / 2;
    instance.append(&session, &chunk[..first])?;
    // The last token predicts what is beyond the chunk.
    for start in (first..chunk.len() - 1).step_by(rows) {
        let end = (start + rows).min(chunk.len() - 1);
        let wanted: Vec<u32> = (0..(end - start) as u32).collect();
        let logits = instance.evaluate(&session, &chunk[start..end], &wanted)?;
        for (row, &next) in logits.chunks_exact(vocabulary).zip(&chunk[start + 1..]) {
            let nats = surprise(row, next as usize);
            if !nats.is_finite() {
                let what = "the model computed NaN or infinity; the file may be damaged";
                return Err(Error::Host(what.into()).into());
            }
            loss.add(nats);
        }
    }
    instance.close_session(session)?;
    Ok(())
}

/// `-ln softmax(logits)[token]`.
fn surprise(logits: &[f32], token: usize) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&l| f64::from(l - max).exp()).sum();
    sum.ln() - f64::from(logits[token] - max)
}

fn progress(chunks: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} chunks, {eta} left, {msg}");
    ProgressBar::new(chunks as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
