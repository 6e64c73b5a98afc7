//! Chores: `cargo xtask <task>`. Run without a task for the list.

mod aarch64;
mod cargo;
mod mutants;
mod progress;
mod real;
mod setup;
mod ship;
mod tasks;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (name, rest) = args.split_first().map_or(("help", &[][..]), |(n, r)| (n.as_str(), r));
    let Some(task) = tasks::TASKS.iter().find(|t| t.name == name) else {
        eprint!("{}", tasks::help());
        return ExitCode::from(if matches!(name, "help" | "--help" | "-h") { 0 } else { 2 });
    };
    match (task.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask {name}: {e:#}");
            ExitCode::FAILURE
        }
    }
}
