//! `host`: language models in a sandbox, from the command line.
//!
//! Exit codes: 0 done, 1 the task failed, 2 the command line was wrong, 130 stopped by Ctrl-C.

mod args;
mod bos;
mod commands;
mod engine;
mod failure;
mod interrupt;
mod model;
mod requant;
mod sampling;
mod term;
mod text;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = args::Cli::read();
    start_logging(&cli);
    match commands::run(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => failure::report(&e),
    }
}

/// `RUST_LOG` decides; `--verbose` stands for `info`.
fn start_logging(cli: &args::Cli) {
    use tracing_subscriber::EnvFilter;
    let default = if cli.verbose { "info" } else { "warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let coloured = matches!(cli.log_format, args::LogFormat::Text) && term::colour_stderr();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || term::Log { coloured });
    match cli.log_format {
        args::LogFormat::Text => log.with_ansi(coloured).init(),
        args::LogFormat::Json => log.json().init(),
    }
}
