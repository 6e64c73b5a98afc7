//! One file per command.

pub(crate) mod bench;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod detokenize;
pub(crate) mod devices;
pub(crate) mod inspect;
pub(crate) mod man;
pub(crate) mod perplexity;
pub(crate) mod plan;
pub(crate) mod precompile;
pub(crate) mod quantize;
pub(crate) mod run;
pub(crate) mod tokenize;

use crate::args::Command;

/// Runs a command.
pub(crate) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Run(c) => c.run(),
        Command::Chat(c) => c.run(),
        Command::Inspect(c) => c.run(),
        Command::Tokenize(c) => c.run(),
        Command::Detokenize(c) => c.run(),
        Command::Devices(c) => c.run(),
        Command::Plan(c) => c.run(),
        Command::Perplexity(c) => c.run(),
        Command::Quantize(c) => c.run(),
        Command::Bench(c) => c.run(),
        Command::Completions(c) => c.run(),
        Command::Man(c) => c.run(),
        Command::Precompile(c) => c.run(),
    }
}
