//! `host tokenize`: text to token ids.

use crate::args::EngineArgs;
use crate::{engine, model, text};
use anyhow::{Context, Result};
use chord_runtime::{Instance, LoadOptions, Model};
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

/// Options of `host tokenize`.
#[derive(Args, Debug)]
pub(crate) struct Tokenize {
    #[command(flatten)]
    vocabulary: Vocabulary,
    /// Add beginning- and end-of-text tokens as the model says
    #[arg(long)]
    add_special: bool,
    /// Recognise special tokens written in the text
    #[arg(long)]
    parse_special: bool,
}

/// Which model's tokenizer to use.
#[derive(Args, Debug)]
pub(crate) struct Vocabulary {
    /// Model or vocabulary file (GGUF) [default: the built-in model]
    #[arg(short, long, value_name = "MODEL.GGUF", env = "CHORD_MODEL")]
    model: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
}

impl Vocabulary {
    /// An engine with the tokenizer only.
    pub(crate) fn load(&self) -> Result<(Instance, Model)> {
        let builder = engine::builder(&self.engine).threads(1);
        let mut instance = engine::instance(builder, &self.engine, self.model.as_deref())?;
        let load = LoadOptions { vocab_only: Some(true), ..LoadOptions::default() };
        let named = || format!("model `{}`", model::display_name(self.model.as_ref()));
        let model = crate::model::load(&mut instance, &load).with_context(named)?;
        Ok((instance, model))
    }
}

impl Tokenize {
    pub(crate) fn run(&self) -> Result<()> {
        let text = text::from_stdin()?;
        let (mut instance, model) = self.vocabulary.load()?;
        let ids = instance.tokenize(&model, &text, self.add_special, self.parse_special)?;
        let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
        writeln!(std::io::stdout(), "{}", ids.join(" "))?;
        Ok(())
    }
}
