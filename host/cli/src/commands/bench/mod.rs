//! `host bench`: prefill and decode speed, op by op if asked for, next to what the machine can do at most.

mod case;
mod ceilings;
mod ops;
mod report;

use crate::args::EngineArgs;
use crate::{engine, model, term};
use anyhow::{Context, Result};
use case::{Case, Outcome, Sessions};
use chord_runtime::{Ceilings, Instance, LoadOptions, Model, ModelInfo, Stats, WeightReads};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::PathBuf;

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
    /// Tokens to generate after one; 0 = no decode measurement
    #[arg(short = 'n', long, value_name = "N", default_value_t = 128)]
    n_gen: u32,
    /// Tokens in the context before each measurement; several: one after the other
    #[arg(short = 'd', long, value_name = "N,…", value_delimiter = ',', default_value = "0")]
    n_depth: Vec<u32>,
    /// Sequences that are decoded together; several: one after the other
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1024))]
    parallel: Vec<u32>,
    /// Repetitions; the median is reported
    #[arg(short, long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repetitions: u32,
    /// Report the time of each op of a step, too
    #[arg(long)]
    ops: bool,
    /// Measure what this machine can do at most, too, and report the share of it that was reached
    #[arg(long)]
    ceilings: bool,
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
    outcomes: Vec<Outcome>,
    /// Hash of the values that the device returned in the last repetition.
    logits_hash: Option<u64>,
    /// What a step reads of the weights.
    reads: Option<WeightReads>,
    ceilings: Option<Ceilings>,
    /// Most memory after a case that no file backs, in bytes, where the system tells.
    private: Option<u64>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        let mut builder = engine::builder(&self.engine).record_plans().hash_logits();
        if self.ops || self.ceilings {
            builder = builder.profile_ops();
        }
        let runtime = builder.build()?;
        let mut instance = engine::start(&runtime, &self.engine, self.model.as_deref())?;
        let named = || format!("model `{}`", model::display_name(self.model.as_ref()));
        let model = crate::model::load(&mut instance, &self.load_options()).with_context(named)?;
        let ceilings =
            self.ceilings.then(|| ceilings::measure(&runtime, self.model.as_deref())).transpose()?;
        let measured = Measured { ceilings, ..self.measure(&mut instance, &model)? };
        let text = match self.output {
            Form::Text => report::text(self, &measured),
            Form::Json => term::json(&report::json(self, &measured), true) + "\n",
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(())
    }

    fn load_options(&self) -> LoadOptions {
        let deepest = self.n_depth.iter().copied().max().unwrap_or(0);
        let context = deepest.saturating_add(self.n_prompt.max(self.n_gen)).saturating_add(2);
        LoadOptions { context_size: Some(context), sessions: Some(self.widest()), ..LoadOptions::default() }
    }

    /// Most sequences at once.
    fn widest(&self) -> u32 {
        self.parallel.iter().copied().max().unwrap_or(1)
    }

    /// What is measured at one depth, in order.
    fn cases(&self, depth: u32) -> Vec<Case> {
        let prefill = Case { prompt: true, tokens: self.n_prompt, depth, parallel: 1 };
        let decode = |&parallel| Case { prompt: false, tokens: self.n_gen, depth, parallel };
        let cases = std::iter::once(prefill).chain(self.parallel.iter().map(decode));
        cases.filter(|case| case.tokens > 0).collect()
    }

    fn measure(&self, instance: &mut Instance, model: &Model) -> Result<Measured> {
        let info = instance.info(model)?;
        let (mut outcomes, mut private) = (Vec::new(), None);
        for &depth in &self.n_depth {
            let sessions = Sessions::open(instance, model, self.widest(), depth, info.vocabulary)?;
            let mut group: Vec<Outcome> = self.cases(depth).into_iter().map(Outcome::new).collect();
            // The first round warms caches, page tables and threads; it does not count.
            for round in 0..=self.repetitions {
                instance.reset_stats();
                for outcome in &mut group {
                    let run = sessions.run(instance, outcome.case)?;
                    private = private.max(term::private_memory());
                    if round > 0 {
                        outcome.add(run);
                    }
                }
            }
            sessions.close(instance)?;
            outcomes.extend(group);
        }
        let stats = instance.stats();
        let reads = instance.plans().last().map(|p| p.reads.clone());
        let logits_hash = stats.logits_hash;
        Ok(Measured { info, logits_hash, stats, outcomes, reads, ceilings: None, private })
    }
}
