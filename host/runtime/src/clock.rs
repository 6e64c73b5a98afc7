//! The epoch clock: interrupts running engines to look at their deadline and canceller.

use crate::{Error, alarm};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wasmtime::{Engine, EngineWeak};

/// How often engines are interrupted, and waits of theirs look whether they are to end.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Advances the epoch of its engines, for as long as any of them is alive.
pub(crate) enum Clock {
    /// On a thread of its own.
    Thread(Arc<Mutex<Vec<EngineWeak>>>),
    /// By a timer's signal, where no thread can be started.
    Alarm,
}

impl Clock {
    /// Starts a thread, or a timer where the system refuses the thread.
    pub(crate) fn start() -> Result<Clock, Error> {
        let engines = Arc::new(Mutex::new(Vec::new()));
        let ticked = engines.clone();
        match std::thread::Builder::new().name("chord-clock".into()).spawn(move || run(&ticked)) {
            Ok(_) => Ok(Clock::Thread(engines)),
            Err(thread) => {
                alarm::start().map_err(|timer| no_clock(&thread, &timer))?;
                tracing::warn!("the system lets no thread be started ({thread}): all work is done by one");
                Ok(Clock::Alarm)
            }
        }
    }

    /// Adds an engine.
    pub(crate) fn tick(&self, engine: &Engine) {
        match self {
            Clock::Thread(engines) => {
                engines.lock().unwrap_or_else(|e| e.into_inner()).push(engine.weak());
            }
            Clock::Alarm => alarm::tick(engine.clone()),
        }
    }
}

fn no_clock(thread: &std::io::Error, timer: &std::io::Error) -> Error {
    Error::System(format!(
        "neither a thread ({thread}) nor a timer ({timer}) can be started, so nothing could end a call that takes too long"
    ))
}

fn run(engines: &Arc<Mutex<Vec<EngineWeak>>>) {
    let tick = |engine: &EngineWeak| engine.upgrade().map(|e| e.increment_epoch()).is_some();
    loop {
        // Not `sleep`, which panics where the system refuses it.
        std::thread::park_timeout(TICK);
        let mut engines_now = engines.lock().unwrap_or_else(|e| e.into_inner());
        engines_now.retain(tick);
        if engines_now.is_empty() && Arc::strong_count(engines) == 1 {
            return;
        }
    }
}
