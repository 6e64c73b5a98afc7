//! `host run`: continue a prompt.

use crate::args::EngineArgs;
use crate::failure::UsageError;
use crate::sampling::Sampling;
use crate::{bos, engine, model, term, text};
use anyhow::{Context, Result};
use chord_runtime::{Error, Event, Finish, FinishReason, Instance, LoadOptions, Prompt, TokenEvent};
use clap::Args;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Options of `host run`.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Text to continue [default: from -f FILE or stdin]
    prompt: Option<String>,
    /// Model file (GGUF) [default: the built-in story model]
    #[arg(short, long, value_name = "MODEL.GGUF", env = "CHORD_MODEL")]
    model: Option<PathBuf>,
    /// Read the prompt from a file; one last newline is not part of it
    #[arg(short, long, value_name = "FILE", conflicts_with = "prompt")]
    file: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Context size, tokens; 0 = the model's own [default: the model's, at most 4096]
    #[arg(short, long, value_name = "N", env = "CHORD_CTX_SIZE")]
    ctx_size: Option<u32>,
    #[command(flatten)]
    sampling: Sampling,
    /// Print events as JSON, one per line
    #[arg(long)]
    json: bool,
    /// Do not print the summary on stderr
    #[arg(long)]
    quiet: bool,
}

impl Run {
    pub(crate) fn run(&self) -> Result<()> {
        let prompt = self.prompt()?;
        let builder = engine::builder(&self.engine);
        let mut instance = engine::instance(builder, &self.engine, self.model.as_deref())?;
        let load = LoadOptions { context_size: self.ctx_size, ..LoadOptions::default() };
        let named = || format!("model `{}`", model::display_name(self.model.as_ref()));
        let model = crate::model::load(&mut instance, &load).with_context(named)?;
        let session = instance.open(&model)?;
        let options = self.sampling.options();
        if bos::is_typed_again(&mut instance, &model, &prompt, options.parse_special.unwrap_or(true))? {
            term::tell!("{}", bos::WARNING);
        }
        let start = Instant::now();
        let seed = options.seed.unwrap_or_default();
        let generation = instance.generate(&session, &Prompt::Text(prompt), &options)?;
        let mut out = Output::new(self.json);
        let mut timing = Timing::new(start);
        let result = stream(&mut instance, &generation, &mut out, &mut timing);
        out.end()?;
        if !self.quiet && !self.json {
            term::tell!("{}", summary(&timing, &instance, seed));
        }
        if self.json {
            out.summary(&timing, &instance, seed)?;
        }
        result
    }

    fn prompt(&self) -> Result<String> {
        let text = match (&self.prompt, &self.file) {
            (Some(text), _) => return Ok(text.clone()),
            (None, Some(path)) => text::from_file(path, "prompt")?,
            (None, None) if std::io::stdin().is_terminal() => {
                let how = "no prompt: give it as an argument, with -f FILE, or on stdin";
                return Err(UsageError(how.into()).into());
            }
            (None, None) => text::from_stdin().context("prompt")?,
        };
        Ok(text::without_last_newline(text))
    }
}

fn stream(
    instance: &mut Instance,
    generation: &chord_runtime::Generation,
    out: &mut Output,
    timing: &mut Timing,
) -> Result<()> {
    loop {
        let events = instance.next(generation)?;
        if events.is_empty() {
            return Ok(());
        }
        for event in events {
            timing.saw(&event);
            out.event(&event)?;
            if let Event::Finish(Finish { reason: FinishReason::InvalidLogits, .. }) = event {
                let what = "the model computed NaN or infinity; the file may be damaged";
                return Err(Error::Host(what.into()).into());
            }
        }
        out.flush()?;
    }
}

/// Where events go: text to stdout, or JSON lines.
struct Output {
    json: bool,
    terminal: bool,
    at_line_start: bool,
}

impl Output {
    fn new(json: bool) -> Output {
        Output { json, terminal: std::io::stdout().is_terminal(), at_line_start: true }
    }

    fn event(&mut self, event: &Event) -> std::io::Result<()> {
        if self.json {
            return writeln!(std::io::stdout(), "{}", term::json(&json(event), false));
        }
        match event {
            Event::PromptDone(_) => Ok(()),
            Event::Token(TokenEvent { text, .. }) | Event::Finish(Finish { text, .. }) => self.text(text),
        }
    }

    fn text(&mut self, text: &str) -> std::io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.at_line_start = text.ends_with('\n');
        let text = if self.terminal { term::printable(text) } else { text.into() };
        std::io::stdout().write_all(text.as_bytes())
    }

    fn flush(&self) -> std::io::Result<()> {
        std::io::stdout().flush()
    }

    /// The text ends with a newline.
    fn end(&mut self) -> std::io::Result<()> {
        if !self.json && !self.at_line_start {
            writeln!(std::io::stdout())?;
        }
        self.flush()
    }

    fn summary(&self, timing: &Timing, instance: &Instance, seed: u64) -> std::io::Result<()> {
        let line = serde_json::json!({
            "event": "summary",
            "seed": seed,
            "prompt_tokens": timing.prompt_tokens,
            "completion_tokens": timing.tokens,
            "prefill_tok_s": timing.prefill(),
            "decode_tok_s": timing.decode(),
            "time_to_first_token_ms": timing.first.map(|t| t.as_secs_f64() * 1e3),
            "guest_memory_peak": instance.stats().guest_memory_peak,
            "host_memory_peak": term::peak_memory(),
        });
        writeln!(std::io::stdout(), "{}", term::json(&line, false))
    }
}

fn json(event: &Event) -> serde_json::Value {
    use serde_json::json;
    match event {
        Event::PromptDone(u) => {
            json!({"event": "prompt", "prompt_tokens": u.prompt_tokens, "cached_tokens": u.cached_tokens})
        }
        Event::Token(t) => json!({"event": "token", "id": t.id, "text": t.text}),
        Event::Finish(f) => json!({
            "event": "finish",
            "reason": reason(f.reason),
            "text": f.text,
            "prompt_tokens": f.usage.prompt_tokens,
            "completion_tokens": f.usage.completion_tokens,
        }),
    }
}

fn reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::End => "end",
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ContextFull => "context-full",
        FinishReason::InvalidLogits => "invalid-logits",
    }
}

/// When things happened.
struct Timing {
    start: Instant,
    prompt_tokens: u32,
    tokens: u32,
    /// From the start to the first token.
    first: Option<Duration>,
    /// From the start to the last token.
    last: Duration,
}

impl Timing {
    fn new(start: Instant) -> Timing {
        Timing { start, prompt_tokens: 0, tokens: 0, first: None, last: Duration::ZERO }
    }

    fn saw(&mut self, event: &Event) {
        match event {
            Event::PromptDone(usage) => {
                self.prompt_tokens = usage.prompt_tokens.saturating_sub(usage.cached_tokens)
            }
            Event::Token(_) => {
                self.last = self.start.elapsed();
                self.first.get_or_insert(self.last);
                self.tokens = self.tokens.saturating_add(1);
            }
            Event::Finish(_) => {}
        }
    }

    /// Prompt tokens per second.
    fn prefill(&self) -> Option<f64> {
        self.first.map(|t| f64::from(self.prompt_tokens) / t.as_secs_f64())
    }

    /// Tokens per second after the first.
    fn decode(&self) -> Option<f64> {
        let time = self.last - self.first?;
        (self.tokens > 1).then(|| f64::from(self.tokens - 1) / time.as_secs_f64())
    }
}

fn summary(timing: &Timing, instance: &Instance, seed: u64) -> String {
    let rate = |r: Option<f64>| r.map_or("-".into(), |r| format!("{r:.1} tok/s"));
    let mut parts = vec![
        format!("prompt {} tokens, {}", timing.prompt_tokens, rate(timing.prefill())),
        format!("generated {} tokens, {}", timing.tokens, rate(timing.decode())),
    ];
    if let Some(first) = timing.first {
        parts.push(format!("first token after {:.1} ms", first.as_secs_f64() * 1e3));
    }
    parts.push(format!("engine memory {}", term::bytes(instance.stats().guest_memory_peak as u64)));
    if let Some(peak) = term::peak_memory() {
        parts.push(format!("process memory {}", term::bytes(peak)));
    }
    parts.push(format!("seed {seed}"));
    parts.join(" | ")
}
