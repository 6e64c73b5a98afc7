//! Ticks and deadlines by a timer's signal, where the system lets no thread be started that could keep them. What it
//! looks after is never freed: a handler may run at any time.
#![expect(unsafe_code, reason = "a signal handler and a timer")]

use crate::cancel::Canceller;
use crate::clock::TICK;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::Instant;
use wasmtime::Engine;

/// An instance whose calls are ended in time.
#[derive(Debug)]
pub(crate) struct Watched {
    canceller: Canceller,
    /// Nanoseconds after [`start_time`]; 0 if no call is in progress.
    deadline: AtomicU64,
}

impl Watched {
    /// A call begins, or ends.
    pub(crate) fn set(&self, deadline: Option<Instant>) {
        let since = |at: Instant| u64::try_from(at.saturating_duration_since(start_time()).as_nanos());
        let at = deadline.map_or(0, |at| since(at).unwrap_or(u64::MAX).max(1));
        self.deadline.store(at, Ordering::Relaxed);
    }
}

static ENGINES: List<Engine> = List::new();
static WATCHED: List<Watched> = List::new();

/// Advances the epoch of this engine from now on.
pub(crate) fn tick(engine: Engine) {
    ENGINES.push(engine);
}

/// Cancels the calls of an instance that outlive their deadline.
pub(crate) fn watch(canceller: Canceller) -> &'static Watched {
    WATCHED.push(Watched { canceller, deadline: AtomicU64::new(0) })
}

fn start_time() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Async-signal-safe: atomics and the clock.
#[cfg(unix)]
extern "C" fn on_alarm(_: libc::c_int) {
    ENGINES.each(Engine::increment_epoch);
    let now = u64::try_from(start_time().elapsed().as_nanos()).unwrap_or(u64::MAX);
    WATCHED.each(|watched| {
        let deadline = watched.deadline.load(Ordering::Relaxed);
        if deadline != 0 && deadline <= now {
            watched.canceller.expire();
        }
    });
}

/// Starts the timer.
#[cfg(unix)]
pub(crate) fn start() -> io::Result<()> {
    start_time();
    let tick = libc::timeval { tv_sec: 0, tv_usec: TICK.subsec_micros().into() };
    let timer = libc::itimerval { it_interval: tick, it_value: tick };
    // SAFETY: a zeroed sigaction is a valid one to fill in, the handler is async-signal-safe, and all pointers are to
    // live locals. Calls that the signal interrupts are started again.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_alarm as *const () as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigemptyset(&mut action.sa_mask);
        let set = libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()) == 0
            && libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) == 0;
        if set { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(not(unix))]
pub(crate) fn start() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A list that grows and is never freed, so that a handler can walk it.
struct List<T: 'static> {
    head: AtomicPtr<Node<T>>,
}

struct Node<T: 'static> {
    value: T,
    next: AtomicPtr<Node<T>>,
}

impl<T: Sync> List<T> {
    const fn new() -> List<T> {
        List { head: AtomicPtr::new(std::ptr::null_mut()) }
    }

    fn push(&self, value: T) -> &'static T {
        let node = Box::leak(Box::new(Node { value, next: AtomicPtr::default() }));
        let link = |head| {
            node.next.store(head, Ordering::Relaxed);
            Some(std::ptr::from_ref(node).cast_mut())
        };
        // `link` never refuses.
        let _ = self.head.fetch_update(Ordering::Release, Ordering::Relaxed, link);
        &node.value
    }

    fn each(&self, f: impl Fn(&T)) {
        let mut at = self.head.load(Ordering::Acquire);
        // SAFETY: nodes are leaked boxes that nobody writes but through atomics.
        while let Some(node) = unsafe { at.as_ref() } {
            f(&node.value);
            at = node.next.load(Ordering::Acquire);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_timer_ends_what_is_late_and_nothing_else() {
        start().unwrap();
        let [late, early, idle] = std::array::from_fn(|_| Canceller::default());
        watch(late.clone()).set(Some(Instant::now() + Duration::from_millis(30)));
        watch(early.clone()).set(Some(Instant::now() + Duration::from_secs(3600)));
        watch(idle.clone()).set(None);
        let start = Instant::now();
        while !late.is_stopped() {
            assert!(start.elapsed() < Duration::from_secs(60), "the deadline is kept");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(start.elapsed() >= Duration::from_millis(30));
        assert!(!early.is_stopped() && !idle.is_stopped());
    }

    #[test]
    fn the_timer_interrupts_wasm() {
        // (module (func (export "f") (loop (br 0))))
        let forever = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a\x09\x01\x07\0\x03\x40\x0c\0\x0b\x0b";
        let engine = Engine::new(&crate::config::common()).unwrap();
        start().unwrap();
        tick(engine.clone());
        let module = wasmtime::Module::new(&engine, forever).unwrap();
        let mut store = wasmtime::Store::new(&engine, ());
        store.set_epoch_deadline(3);
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
        let f = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        let trap = f.call(&mut store, ()).unwrap_err();
        assert_eq!(trap.downcast_ref(), Some(&wasmtime::Trap::Interrupt));
    }

    #[test]
    fn a_list_has_what_was_pushed() {
        static LIST: List<AtomicU64> = List::new();
        let pushed: Vec<_> = (1..4).map(|n| LIST.push(AtomicU64::new(n))).collect();
        LIST.each(|n| _ = n.fetch_add(10, Ordering::Relaxed));
        assert_eq!(pushed.iter().map(|n| n.load(Ordering::Relaxed)).collect::<Vec<_>>(), [11, 12, 13]);
    }
}
