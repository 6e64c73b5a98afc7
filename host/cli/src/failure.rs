//! From an error to one line on stderr and an exit code.

use std::process::ExitCode;

/// A wrong command line that clap could not see: exit code 2.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Prints the error and says how to exit.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    if matches!(error.downcast_ref(), Some(chord_runtime::Error::Cancelled)) {
        return ExitCode::from(130);
    }
    // Our own messages may have several lines; whatever else is in them must not look like another.
    let text = format!("{error:#}").replace('\n', " ");
    crate::term::tell!("error: {}", crate::term::line(&text));
    ExitCode::from(if error.is::<UsageError>() { 2 } else { 1 })
}

/// The reader of our output has gone: nothing is wrong.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|e| e.downcast_ref::<std::io::Error>());
    io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
