//! `host completions`: completion scripts.

use crate::args::Cli;
use anyhow::Result;
use clap::{Args, CommandFactory};
use std::io::Write;

/// Options of `host completions`.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// For which shell
    shell: clap_complete::Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "host", &mut script);
        std::io::stdout().write_all(&script)?;
        Ok(())
    }
}
