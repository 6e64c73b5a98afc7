//! Everything the host keeps for one instance.

use crate::cancel::Canceller;
use crate::limits::{Limiter, Limits};
use crate::stats::{PlanText, Stats};
use crate::weights::Weights;
use chord_cpu::{Bounds, CpuDevice};
use chord_ops::Charge;
use std::time::Instant;
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// Texts of plans, charged like all that the engine makes the host hold.
#[derive(Default)]
pub(crate) struct Texts {
    pub(crate) texts: Vec<PlanText>,
    pub(crate) charges: Vec<Charge>,
}

/// Store data of one instance.
pub(crate) struct State {
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiCtx,
    pub(crate) limits: Limits,
    pub(crate) limiter: Limiter,
    pub(crate) weights: Weights,
    pub(crate) device: CpuDevice,
    /// What the device charges.
    pub(crate) bounds: Bounds,
    pub(crate) canceller: Canceller,
    pub(crate) stats: Stats,
    /// Text of each compiled plan; filled if asked for.
    pub(crate) plans: Option<Texts>,
    /// When the call in progress has to end.
    pub(crate) deadline: Option<Instant>,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// A handle that the guest must not have, or a full table: the guest broke the contract, so it traps.
pub(crate) fn table_error(e: ResourceTableError) -> wasmtime::Error {
    wasmtime::Error::msg(format!("handle refused: {e}"))
}

/// The table holds our types, the contract names its own: a handle is looked up as `T`, and one of another kind is
/// refused by the table's type check.
impl State {
    pub(crate) fn push<T: Send + 'static, W: 'static>(&mut self, entry: T) -> wasmtime::Result<Resource<W>> {
        let handle = self.table.push(entry).map_err(table_error)?;
        Ok(Resource::new_own(handle.rep()))
    }

    pub(crate) fn get<T: 'static, W: 'static>(&self, handle: &Resource<W>) -> wasmtime::Result<&T> {
        self.table.get(&Resource::<T>::new_borrow(handle.rep())).map_err(table_error)
    }

    pub(crate) fn delete<T: 'static, W: 'static>(
        &mut self,
        handle: Resource<W>,
    ) -> Result<T, ResourceTableError> {
        self.table.delete(Resource::<T>::new_own(handle.rep()))
    }
}
