//! `host plan`: the plan of a model.

use crate::args::EngineArgs;
use crate::{engine, model, term};
use anyhow::{Context, Result};
use chord_runtime::LoadOptions;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

/// Options of `host plan`.
#[derive(Args, Debug)]
pub(crate) struct PlanCommand {
    /// Model file (GGUF) [default: the built-in model]
    #[arg(env = "CHORD_MODEL")]
    model: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Context size, tokens; 0 = the model's own [default: the model's, at most 4096]
    #[arg(short, long, value_name = "N", env = "CHORD_CTX_SIZE")]
    ctx_size: Option<u32>,
    /// Only one of the two forms
    #[arg(long, value_enum)]
    only: Option<Form>,
}

/// A form of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// As the engine records it.
    Recorded,
    /// As the device runs it.
    Fused,
}

impl PlanCommand {
    pub(crate) fn run(&self) -> Result<()> {
        let builder = engine::builder(&self.engine).record_plans();
        let mut instance = engine::instance(builder, &self.engine, self.model.as_deref())?;
        let load = LoadOptions { context_size: self.ctx_size, ..LoadOptions::default() };
        let named = || format!("model `{}`", model::display_name(self.model.as_ref()));
        crate::model::load(&mut instance, &load).with_context(named)?;
        let mut out = std::io::stdout();
        for plan in instance.plans() {
            for (form, title, text) in
                [(Form::Recorded, "recorded", &plan.recorded), (Form::Fused, "fused", &plan.fused)]
            {
                if self.only.is_none_or(|f| f == form) {
                    writeln!(out, "# {title}\n{}", term::printable(text))?;
                }
            }
        }
        Ok(())
    }
}
