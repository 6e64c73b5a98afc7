//! `host man`: the manual page.

use crate::args::Cli;
use anyhow::Result;
use clap::{Args, CommandFactory};
use std::io::Write;

/// Options of `host man`.
#[derive(Args, Debug)]
pub(crate) struct Man {}

impl Man {
    pub(crate) fn run(&self) -> Result<()> {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        std::io::stdout().write_all(&page)?;
        Ok(())
    }
}
