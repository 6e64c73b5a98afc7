//! What the sandbox costs: the engine as `engine.wasm` and the same engine linked natively, over one device, one thread
//! pool and one mapping of the model. Both must compute the same bits and choose the same tokens. A second native engine
//! shows how far two engines differ that are the same: by where their buffers lie, and by chance.
//!
//! `cargo run --release -p chord-tests --example native_vs_wasm -- MODEL.gguf [-p TOKENS] [-n TOKENS] [-t THREADS]
//! [--rounds N]`

mod native;
mod wasm;

use chord_runtime::{Runtime, ThreadPool, Weights};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One way to run the engine.
trait Side {
    fn name(&self) -> &'static str;
    /// Tokens in the vocabulary.
    fn vocabulary(&mut self) -> Result<u32>;
    /// Logits after `tokens`, in an empty session.
    fn prefill(&mut self, tokens: &[u32]) -> Result<Vec<f32>>;
    /// `n` tokens after `first`, greedily, in an empty session.
    fn decode(&mut self, first: u32, n: u32) -> Result<Vec<u32>>;
}

/// What is run, how often.
struct Options {
    model: String,
    prompt: u32,
    generate: u32,
    threads: usize,
    rounds: usize,
}

/// Seconds of all rounds.
#[derive(Default)]
struct Times {
    prefill: Vec<f64>,
    decode: Vec<f64>,
}

fn main() -> Result<()> {
    let options = Options::parse()?;
    let runtime = Runtime::builder().threads(options.threads).build()?;
    let weights = Weights::open(Path::new(&options.model))?;
    let context = options.prompt.max(options.generate) + 2;
    let native = || native::Native::load(&runtime, &weights, context);
    // Buffers of those that are made first and last lie elsewhere: natives are on either side.
    let before = native()?;
    let wasm = wasm::Wasm::load(&runtime, &weights, context)?;
    let mut sides: Vec<Box<dyn Side>> = vec![Box::new(wasm), Box::new(before), Box::new(native()?)];
    let mut times = [Times::default(), Times::default(), Times::default()];
    // The first round warms caches, page tables and threads; it does not count.
    for round in 0..=options.rounds {
        run(&options, &mut sides, &mut times, round)?;
    }
    println!("{}: {} threads, {} rounds", options.model, options.threads, options.rounds);
    report("prefill", options.prompt, times.each_ref().map(|t| &t.prefill[..]));
    report("decode", options.generate, times.each_ref().map(|t| &t.decode[..]));
    Ok(())
}

/// All sides once: another one first in each round, and after another one in every second.
fn run(options: &Options, sides: &mut [Box<dyn Side>], times: &mut [Times; 3], round: usize) -> Result<()> {
    let mut computed = [None, None, None];
    let turn = |i: usize| (if round.is_multiple_of(2) { round + i } else { round + 3 - i }) % 3;
    for i in (0..3).map(turn) {
        let side = &mut sides[i];
        let vocabulary = side.vocabulary()?;
        let prompt: Vec<u32> =
            (0..options.prompt).map(|i| i.wrapping_mul(2_654_435_761) % vocabulary).collect();
        let (logits, prefill) = timed(|| side.prefill(&prompt))?;
        let (tokens, decode) = timed(|| side.decode(vocabulary / 2, options.generate))?;
        if round > 0 {
            times[i].prefill.push(prefill.as_secs_f64());
            times[i].decode.push(decode.as_secs_f64());
        }
        computed[i] = Some((logits, tokens));
    }
    match (1..3).find(|&i| computed[i] != computed[0]) {
        Some(i) => Err(format!("{} and {} do not agree", sides[0].name(), sides[i].name()).into()),
        None => Ok(()),
    }
}

fn timed<T>(f: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let start = Instant::now();
    let value = f()?;
    Ok((value, start.elapsed()))
}

/// Speeds, and the median over rounds of their ratios: both sides of a ratio ran in the same round.
fn report(what: &str, tokens: u32, [wasm, native, again]: [&[f64]; 3]) {
    if tokens == 0 {
        return;
    }
    let speed = |seconds: &[f64]| f64::from(tokens) / median(seconds);
    let ratio = |a: &[f64], b: &[f64]| median(&a.iter().zip(b).map(|(a, b)| b / a).collect::<Vec<_>>());
    println!(
        "{what:<8} {tokens:>5} tokens  wasm {:>9.2} tok/s   native {:>9.2} tok/s   wasm/native {:.3}   native/native {:.3}",
        speed(wasm),
        speed(native),
        ratio(wasm, native),
        ratio(again, native),
    );
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
}

impl Options {
    fn parse() -> Result<Options> {
        let mut options = Options {
            model: String::new(),
            prompt: 512,
            generate: 64,
            threads: ThreadPool::default_threads(),
            rounds: 7,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut number = || -> Result<usize> {
                let value = args.next().ok_or_else(|| format!("{arg} wants a number"))?;
                Ok(value.parse().map_err(|_| format!("{arg}: expected a number, found `{value}`"))?)
            };
            match arg.as_str() {
                "-p" => options.prompt = number()?.try_into()?,
                "-n" => options.generate = number()?.try_into()?,
                "-t" => options.threads = number()?.max(1),
                "--rounds" => options.rounds = number()?.max(1),
                _ => options.model = arg,
            }
        }
        if options.model.is_empty() {
            return Err("expected the path of a model: MODEL.gguf [-p N] [-n N] [-t N] [--rounds N]".into());
        }
        Ok(options)
    }
}
