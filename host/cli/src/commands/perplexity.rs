//! `host perplexity`: how well a model predicts a text.

use crate::args::EngineArgs;
use crate::failure::UsageError;
use crate::{engine, model, text};
use anyhow::{Context, Result, ensure};
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
    /// The text; one last newline is not part of it
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Tokens of a chunk; the second half of each is predicted; 0 = the model's context
    #[arg(short, long, value_name = "N", default_value_t = 512, value_parser = chunk_size)]
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

/// Fewer tokens have no second half to predict.
const LEAST_CHUNK: u32 = 4;

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

    /// Adds what each row of `logits` says of the token after it. All numbers are the engine's: they may be any.
    fn add_rows(&mut self, logits: &[f32], vocabulary: usize, next: &[u32]) -> Result<()> {
        let (found, rows) = (logits.len(), next.len());
        ensure!(
            vocabulary > 0 && vocabulary.checked_mul(rows) == Some(found),
            "the engine returned {found} logits, expected {rows} rows of {vocabulary}"
        );
        for (row, &token) in logits.chunks_exact(vocabulary).zip(next) {
            let nats = surprise(row, token as usize).with_context(|| {
                format!("the engine made a token {token} of the text, expected one below {vocabulary}")
            })?;
            if !nats.is_finite() {
                let what = "the model computed NaN or infinity; the file may be damaged";
                return Err(Error::Host(what.into()).into());
            }
            self.add(nats);
        }
        Ok(())
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
        let text = text::without_last_newline(text::from_file(&self.file, "text")?);
        let builder = engine::builder(&self.engine);
        let mut instance = engine::instance(builder, &self.engine, self.model.as_deref())?;
        let load = LoadOptions { context_size: Some(self.ctx_size), ..LoadOptions::default() };
        let named = || format!("model `{}`", model::display_name(self.model.as_ref()));
        let model = crate::model::load(&mut instance, &load).with_context(named)?;
        let start = Instant::now();
        let tokens = instance.tokenize(&model, &text, true, false)?;
        // What the tokenizer puts first where it adds beginning-of-sequence: each chunk begins so.
        let (marked, plain) =
            (instance.tokenize(&model, "a", true, false)?, instance.tokenize(&model, "a", false, false)?);
        let bos = marked.split_first().filter(|(_, rest)| rest.starts_with(&plain)).map(|(&bos, _)| bos);
        let size = self.chunk_size(&mut instance, &model)? as usize;
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
        self.report(&loss, chunks, size, start.elapsed().as_secs_f64())
    }

    /// Tokens of a chunk: as asked for, or what the engine says that the model has.
    fn chunk_size(&self, instance: &mut Instance, model: &Model) -> Result<u32> {
        if self.ctx_size > 0 {
            return Ok(self.ctx_size);
        }
        let size = instance.info(model)?.context_size;
        ensure!(size >= LEAST_CHUNK, "the model's context is {size} tokens, expected {LEAST_CHUNK} or more");
        Ok(size)
    }

    fn report(&self, loss: &Loss, chunks: usize, size: usize, seconds: f64) -> Result<()> {
        let (perplexity, error) = loss.perplexity();
        let read = chunks as f64 * size as f64;
        let text = match self.json {
            true => {
                let result = serde_json::json!({
                    "perplexity": perplexity, "stderr": error, "chunks": chunks, "ctx_size": size,
                    "scored_tokens": loss.count, "tokens_per_second": read / seconds,
                });
                format!("{result}\n")
            }
            false => format!(
                "perplexity {perplexity:.4} +/- {error:.5} | {chunks} chunks of {size} tokens, {} predicted | {:.1} tok/s\n",
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
    let rows = (ROWS_BYTES / 4 / vocabulary.max(1)).max(1);
    let session = instance.open(model)?;
    let first = chunk.len() / 2;
    instance.append(&session, &chunk[..first])?;
    // The last token predicts what is beyond the chunk.
    for start in (first..chunk.len() - 1).step_by(rows) {
        let end = (start + rows).min(chunk.len() - 1);
        let wanted: Vec<u32> = (0..(end - start) as u32).collect();
        let logits = instance.evaluate(&session, &chunk[start..end], &wanted)?;
        loss.add_rows(&logits, vocabulary, &chunk[start + 1..=end])?;
    }
    instance.close_session(session)?;
    Ok(())
}

/// `-ln softmax(logits)[token]`; `None` for a token that is not in the vocabulary.
fn surprise(logits: &[f32], token: usize) -> Option<f64> {
    let logit = *logits.get(token)?;
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&l| f64::from(l - max).exp()).sum();
    Some(sum.ln() - f64::from(logit - max))
}

fn chunk_size(text: &str) -> Result<u32, String> {
    let size = text.parse().ok().filter(|&n| n == 0 || n >= LEAST_CHUNK);
    size.ok_or_else(|| format!("expected {LEAST_CHUNK} or more tokens, or 0 for the model's context"))
}

fn progress(chunks: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} chunks, {eta} left, {msg}");
    ProgressBar::new(chunks as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surprise_is_in_nats() {
        let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-12;
        assert!(close(surprise(&[0.0, 0.0], 1), 2f64.ln()));
        assert!(close(surprise(&[1e30, 1e30, -1e30], 0), 2f64.ln()));
        assert_eq!(surprise(&[0.0, 0.0], 2), None);
    }

    #[test]
    fn numbers_that_do_not_fit_are_errors() {
        let added = |logits: &[f32], vocabulary, next: &[u32]| {
            let mut loss = Loss::default();
            loss.add_rows(logits, vocabulary, next).map(|()| loss.count).map_err(|e| e.to_string())
        };
        assert_eq!(added(&[0.0; 6], 3, &[2, 0]), Ok(2));
        assert_eq!(added(&[], 3, &[]), Ok(0));
        for (logits, vocabulary, next, part) in [
            (&[0.0; 6][..], 0, &[0, 0][..], "6 logits, expected 2 rows of 0"),
            (&[], 0, &[], "expected 0 rows of 0"),
            (&[0.0; 6], 3, &[0], "6 logits, expected 1 rows of 3"),
            (&[0.0; 6], 3, &[0, 0, 0], "expected 3 rows of 3"),
            (&[0.0; 6], usize::MAX, &[0, 0], "expected 2 rows"),
            (&[0.0; 6], 3, &[0, 3], "token 3 of the text"),
            (&[0.0; 6], 3, &[u32::MAX, 0], "token 4294967295 of the text"),
            (&[0.0, f32::NAN], 2, &[0], "NaN"),
            (&[f32::NEG_INFINITY; 2], 2, &[0], "NaN"),
            (&[f32::INFINITY, 0.0], 2, &[0], "NaN"),
        ] {
            let refused = added(logits, vocabulary, next).unwrap_err();
            assert!(refused.contains(part), "`{part}` in: {refused}");
        }
    }

    #[test]
    fn chunks_have_a_second_half() {
        assert_eq!([chunk_size("0"), chunk_size("4"), chunk_size("512")], [0, 4, 512].map(Ok));
        assert!(["3", "-1", "x", "4294967296"].map(chunk_size).iter().all(Result::is_err));
    }
}
