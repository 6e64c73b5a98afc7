//! The device: kernels, threads and a flag that stops steps.

use crate::act::ActFormat;
use crate::cache::Cache;
use crate::copies::{Advise, Budget};
use crate::exec::Compiled;
use crate::kernels::Kernels;
use crate::pool::Pool;
use crate::profile::Clock;
use crate::tensor::{Tensor, WeightBytes};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use chord_ops::{
    CacheSpec, Device, DeviceError, DeviceInfo, Picked, SeqId, Step, TensorDecl, ValidPlan, fuse,
};
use chord_quant::DType;
use core::sync::atomic::AtomicBool;

/// Runs plans on threads lent by a [`Pool`]. Clones share everything.
#[derive(Clone)]
pub struct CpuDevice {
    kernels: Arc<Kernels>,
    pool: Arc<dyn Pool>,
    cancel: Arc<AtomicBool>,
    budget: Option<Arc<Budget>>,
    clock: Option<Clock>,
}

impl CpuDevice {
    /// A device over `kernels` and `pool`. While `cancel` is true, steps end early with [`DeviceError::Cancelled`].
    pub fn new(kernels: Kernels, pool: Arc<dyn Pool>, cancel: Arc<AtomicBool>) -> CpuDevice {
        CpuDevice { kernels: Arc::new(kernels), pool, cancel, budget: None, clock: None }
    }

    /// Lets plans copy their matrices into memory of their own, as long as all copies together take at most `bytes`. `advise`
    /// sees that memory before it is filled: huge pages, where it asks for them, are read faster than those of most mapped
    /// files. Without, weights are read where they are bound.
    pub fn with_copies(self, bytes: usize, advise: Advise) -> CpuDevice {
        CpuDevice { budget: Some(Arc::new(Budget::new(bytes, advise))), ..self }
    }

    /// The same device, which times the ops of plans that it compiles: see [`Compiled::profile`].
    pub fn with_clock(self, clock: Clock) -> CpuDevice {
        CpuDevice { clock: Some(clock), ..self }
    }
}

impl Device for CpuDevice {
    type Weights = WeightBytes;
    type Tensor = Tensor;
    type Cache = Cache;
    type Plan = Compiled;

    fn info(&self) -> DeviceInfo {
        let mats = &self.kernels.mats;
        let direct = |k: &&crate::MatKernel| k.act != ActFormat::F32 || !k.dtype.is_quantised();
        let fast: Vec<DType> = mats.iter().filter(direct).map(|k| k.dtype).collect();
        let threads = self.pool.threads();
        let plural = if threads == 1 { "" } else { "s" };
        DeviceInfo {
            name: "cpu".into(),
            description: format!("{threads} thread{plural}, {}", self.kernels.vecs.isa),
            fast,
            readable: mats.iter().map(|k| k.dtype).collect(),
        }
    }

    fn bind(&self, weights: &WeightBytes, offset: u64, decl: &TensorDecl) -> Result<Tensor, DeviceError> {
        Tensor::bind(weights, offset, decl)
    }

    fn upload(&self, decl: &TensorDecl, bytes: &[u8]) -> Result<Tensor, DeviceError> {
        Tensor::upload(decl, bytes)
    }

    fn new_cache(&self, spec: &CacheSpec) -> Result<Cache, DeviceError> {
        Cache::new(spec)
    }

    fn compile(&self, plan: &ValidPlan, tensors: &[&Tensor]) -> Result<Compiled, DeviceError> {
        plan.check_tensors(tensors.iter().map(|t| &t.decl))?;
        Compiled::new(
            &fuse(plan),
            tensors,
            self.kernels.clone(),
            &*self.pool,
            self.budget.as_ref(),
            self.clock,
        )
    }

    fn run(&self, plan: &mut Compiled, cache: &mut Cache, step: &Step<'_>) -> Result<Picked, DeviceError> {
        plan.run(cache, step, &*self.pool, &self.cancel)
    }

    fn open(&self, cache: &mut Cache) -> Result<SeqId, DeviceError> {
        cache.open()
    }

    fn fork(&self, cache: &mut Cache, seq: SeqId, len: u32) -> Result<SeqId, DeviceError> {
        cache.fork(seq, len)
    }

    fn truncate(&self, cache: &mut Cache, seq: SeqId, len: u32) -> Result<(), DeviceError> {
        cache.truncate(seq, len)
    }

    fn close(&self, cache: &mut Cache, seq: SeqId) -> Result<(), DeviceError> {
        cache.close(seq)
    }

    fn len(&self, cache: &Cache, seq: SeqId) -> Result<u32, DeviceError> {
        cache.len(seq)
    }
}
