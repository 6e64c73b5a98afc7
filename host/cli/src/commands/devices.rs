//! `host devices`: what can compute here.

use crate::args::EngineArgs;
use crate::engine;
use anyhow::Result;
use clap::Args;
use std::io::Write;

/// Options of `host devices`.
#[derive(Args, Debug)]
pub(crate) struct Devices {
    #[command(flatten)]
    engine: EngineArgs,
    /// Print the table of kernels, too
    #[arg(long)]
    kernels: bool,
}

impl Devices {
    pub(crate) fn run(&self) -> Result<()> {
        let runtime = engine::builder(&self.engine).build()?;
        let mut out = std::io::stdout();
        for device in runtime.devices() {
            writeln!(out, "{:<8} {}", device.name, device.description)?;
            let fast: Vec<_> = device.fast.iter().map(|t| t.name()).collect();
            let slow = device.readable.iter().filter(|t| !device.fast.contains(t)).map(|t| t.name());
            writeln!(out, "         fast: {}", fast.join(" "))?;
            let slow = slow.collect::<Vec<_>>();
            if !slow.is_empty() {
                writeln!(out, "         by dequantising: {}", slow.join(" "))?;
            }
        }
        if self.kernels {
            write!(out, "\n{}", runtime.kernels())?;
        }
        Ok(())
    }
}
