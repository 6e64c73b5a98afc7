//! `host detokenize`: token ids to text.

use super::tokenize::Vocabulary;
use crate::failure::UsageError;
use anyhow::Result;
use clap::Args;
use std::io::{IsTerminal, Write};

/// Options of `host detokenize`.
#[derive(Args, Debug)]
pub(crate) struct Detokenize {
    /// Token ids [default: from stdin, separated by spaces]
    ids: Vec<u32>,
    #[command(flatten)]
    vocabulary: Vocabulary,
    /// Write special tokens as text
    #[arg(long)]
    special: bool,
}

impl Detokenize {
    pub(crate) fn run(&self) -> Result<()> {
        let ids = if self.ids.is_empty() { ids_from_stdin()? } else { self.ids.clone() };
        let (mut instance, model) = self.vocabulary.load()?;
        let bytes = instance.detokenize(&model, &ids, self.special)?;
        let mut out = std::io::stdout();
        if out.is_terminal() {
            let text = String::from_utf8_lossy(&bytes);
            writeln!(out, "{}", crate::term::printable(&text))?;
        } else {
            out.write_all(&bytes)?;
        }
        Ok(())
    }
}

fn ids_from_stdin() -> Result<Vec<u32>> {
    let text = crate::text::from_stdin()?;
    let id = |word: &str| {
        word.parse().map_err(|_| UsageError(format!("stdin: expected a token id, found `{word}`")).into())
    };
    text.split_whitespace().map(id).collect()
}
