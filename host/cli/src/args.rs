//! The command line. Every option is also an environment variable; the option wins.

use crate::commands;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Runs language models (GGUF files) inside a WebAssembly sandbox, with native kernels.
#[derive(Debug, Parser)]
#[command(name = "host", version, max_term_width = 110, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Say more on stderr.
    #[arg(long, global = true, env = "CHORD_VERBOSE")]
    pub(crate) verbose: bool,
    /// How log lines look.
    #[arg(long, global = true, env = "CHORD_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

const EXAMPLES: &str = "Examples:
  host run \"Once upon a time\"
  host run -m model.gguf -n 64 --temp 0 \"The capital of France is\"
  host chat
  host inspect model.gguf
  host bench -m model.gguf -p 512 -n 128 -t 2

Exit codes: 0 done, 1 failed, 2 wrong command line, 130 stopped by Ctrl-C.";

/// Form of log lines.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// One per file in `commands/`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Continue a prompt
    Run(Box<commands::run::Run>),
    /// Talk with a model, line by line
    Chat(Box<commands::chat::Chat>),
    /// Show what is in a model file and whether it can run
    #[command(visible_alias = "show")]
    Inspect(commands::inspect::Inspect),
    /// Turn text from stdin into token ids
    Tokenize(commands::tokenize::Tokenize),
    /// Turn token ids into text
    Detokenize(commands::detokenize::Detokenize),
    /// List devices and their kernels
    Devices(commands::devices::Devices),
    /// Print the plan of a model, as recorded and after fusing
    Plan(commands::plan::PlanCommand),
    /// Measure prefill and decode speed
    Bench(commands::bench::Bench),
    /// Measure how well a model predicts a text
    Perplexity(commands::perplexity::Perplexity),
    /// Write a model with smaller weights
    Quantize(commands::quantize::Quantize),
    /// Print a completion script for a shell
    Completions(commands::completions::Completions),
    /// Print the manual page
    Man(commands::man::Man),
    /// Write a copy of this program that carries its engine compiled: the last step of a build
    #[command(hide = true)]
    Precompile(commands::precompile::Precompile),
}

impl Cli {
    /// The command line of this process.
    pub(crate) fn read() -> Cli {
        let found = with_negative_numbers(Cli::command()).get_matches();
        Cli::from_arg_matches(&found).unwrap_or_else(|e| e.exit())
    }
}

/// `-n -2` is a number, not the flag `-2`: for every option, so that none out of range is called an unknown flag.
pub(crate) fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let option = |arg: clap::Arg| match arg.is_positional() || !arg.get_action().takes_values() {
        true => arg,
        false => arg.allow_negative_numbers(true),
    };
    command.mut_args(option).mut_subcommands(with_negative_numbers)
}

/// How many threads compute.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Threads {
    /// Threads; -1 or 0 = all cores
    #[arg(short, long, value_name = "N", env = "CHORD_THREADS", default_value_t = -1, value_parser = clap::value_parser!(i16).range(-1..=1024))]
    threads: i16,
}

impl Threads {
    /// `None` for all cores.
    pub(crate) fn count(self) -> Option<usize> {
        usize::try_from(self.threads).ok().filter(|&n| n > 0)
    }
}

/// Which engine runs, and what it may use.
#[derive(Args, Clone, Debug)]
pub(crate) struct EngineArgs {
    /// Engine component to run instead of the built-in one
    #[arg(long, value_name = "ENGINE.WASM", env = "CHORD_COMPONENT")]
    pub(crate) component: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// Kernels to use instead of the best for this CPU (see `host devices`)
    #[arg(long, value_name = "ISA", env = "CHORD_ISA")]
    pub(crate) isa: Option<String>,
    /// Most MiB of linear memory of the engine
    #[arg(long, value_name = "MIB", env = "CHORD_GUEST_MEMORY", default_value_t = 2048)]
    pub(crate) guest_memory: usize,
    /// Most MiB of KV cache
    #[arg(long, value_name = "MIB", env = "CHORD_KV_MEMORY", default_value_t = 65536)]
    pub(crate) kv_memory: usize,
    /// Most MiB that the host holds for the engine beside the KV cache: scratch memory, decoded vectors, uploads
    #[arg(long, value_name = "MIB", env = "CHORD_DEVICE_MEMORY", default_value_t = 4096)]
    pub(crate) device_memory: usize,
    /// Most MiB for copies of the weights in huge pages, which are read faster than the file's own
    #[arg(long, value_name = "MIB", env = "CHORD_MEMORY_BUDGET", default_value_t = 0)]
    pub(crate) memory_budget: usize,
    /// Longest time of one engine call, seconds
    #[arg(long, value_name = "S", env = "CHORD_CALL_TIMEOUT", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub(crate) call_timeout: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_takes_its_options() {
        with_negative_numbers(Cli::command()).debug_assert();
    }

    #[test]
    fn threads_are_all_unless_they_are_said() {
        let count = |threads| Threads { threads }.count();
        assert_eq!([-1, 0, 1, 1024].map(count), [None, None, Some(1), Some(1024)]);
    }
}
