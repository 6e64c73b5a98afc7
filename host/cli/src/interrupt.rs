//! What Ctrl-C does.

use anyhow::{Context, Result};
use chord_runtime::Canceller;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

/// A command that Ctrl-C ends.
const COMMAND: u8 = 0;
/// Waiting for a line of a chat: Ctrl-C ends the process.
const ASKING: u8 = 1;
/// Writing an answer of a chat: Ctrl-C ends the answer.
const ANSWERING: u8 = 2;
/// The answer is to end; one more Ctrl-C stops the engine.
const ENDING: u8 = 3;

static STATE: AtomicU8 = AtomicU8::new(COMMAND);
static CURRENT: Mutex<Option<Canceller>> = Mutex::new(None);

fn current() -> std::sync::MutexGuard<'static, Option<Canceller>> {
    CURRENT.lock().unwrap_or_else(|e| e.into_inner())
}

/// The first Ctrl-C stops the engine, the second one the process. For the engine made last.
pub(crate) fn install(canceller: Canceller) -> Result<()> {
    let installed = current().replace(canceller).is_some();
    if installed {
        return Ok(());
    }
    if std::thread::Builder::new().spawn(|| ()).is_err() {
        // No thread for the handler: Ctrl-C keeps its default, which ends the process.
        return Ok(());
    }
    ctrlc::set_handler(handle).context("cannot handle Ctrl-C")
}

fn handle() {
    match STATE.load(Ordering::Relaxed) {
        ANSWERING => STATE.store(ENDING, Ordering::Relaxed),
        ASKING => std::process::exit(130),
        _ => match &*current() {
            Some(canceller) if !canceller.is_cancelled() => canceller.cancel(),
            _ => std::process::exit(130),
        },
    }
}

/// A chat waits for a line.
pub(crate) fn asking() {
    STATE.store(ASKING, Ordering::Relaxed);
}

/// A chat writes an answer.
pub(crate) fn answering() {
    STATE.store(ANSWERING, Ordering::Relaxed);
}

/// Whether the answer is to end.
pub(crate) fn wants_end() -> bool {
    STATE.load(Ordering::Relaxed) == ENDING
}
