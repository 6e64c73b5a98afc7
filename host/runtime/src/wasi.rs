//! The part of WASI that an engine's standard library links: an empty environment, no files, no network, discarded output.
//!
//! Waiting is our own: [`wasmtime_wasi`] waits for a pollable however long it takes, here the wait ends with the call, at
//! its deadline or by the canceller. Clocks and random numbers are the machine's.

use crate::clock::TICK;
use crate::state::State;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use wasmtime::Trap;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll as waiting;
use wasmtime_wasi::p2::bindings::sync::io::poll;
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sync};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};
use wasmtime_wasi::runtime::in_tokio;

/// Adds the interfaces. Sockets are not among them: an engine that imports them is refused.
pub(crate) fn add_to_linker(l: &mut Linker<State>) -> wasmtime::Result<()> {
    cli::environment::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, State::cli)?;
    clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(l, State::clocks)?;
    clocks::wall_clock::add_to_linker::<_, WasiClocks>(l, State::clocks)?;
    random::random::add_to_linker::<_, WasiRandom>(l, State::random)?;
    random::insecure::add_to_linker::<_, WasiRandom>(l, State::random)?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(l, State::random)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, State::filesystem)?;
    sync::filesystem::types::add_to_linker::<_, WasiFilesystem>(l, State::filesystem)?;
    sync::io::error::add_to_linker::<_, Table>(l, |state| &mut state.table)?;
    sync::io::streams::add_to_linker::<_, Table>(l, |state| &mut state.table)?;
    poll::add_to_linker::<_, Waits>(l, |state| Wait { state })
}

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

struct Waits;

impl HasData for Waits {
    type Data<'a> = Wait<'a>;
}

/// The instance whose engine waits.
struct Wait<'a> {
    state: &'a mut State,
}

impl poll::Host for Wait<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        let State { table, canceller, deadline, .. } = &mut *self.state;
        wait(waiting::Host::poll(table, pollables), || canceller.ends(*deadline))
    }
}

impl poll::HostPollable for Wait<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        in_tokio(waiting::HostPollable::ready(&mut self.state.table, pollable))
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        let State { table, canceller, deadline, .. } = &mut *self.state;
        wait(waiting::HostPollable::block(table, pollable), || canceller.ends(*deadline))
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        waiting::HostPollable::drop(&mut self.state.table, pollable)
    }
}

/// Waits for `ready`; traps with [`Trap::Interrupt`], as the epoch does, once `ends` says so.
fn wait<T>(ready: impl Future<Output = wasmtime::Result<T>>, ends: impl Fn() -> bool) -> wasmtime::Result<T> {
    let stop = async {
        while !ends() {
            tokio::time::sleep(TICK).await;
        }
    };
    in_tokio(async {
        let (mut ready, mut stop) = (pin!(ready), pin!(stop));
        let first = poll_fn(|cx| match ready.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => stop.as_mut().poll(cx).map(|()| Err(Trap::Interrupt.into())),
        });
        first.await
    })
}
