//! The device: kernels, threads and a flag that stops steps.

use crate::act::ActFormat;
use crate::cache::Cache;
use crate::copies::{Advise, Copies};
use crate::exec::Compiled;
use crate::kernels::Kernels;
use crate::pool::Pool;
use crate::profile::Clock;
use crate::tensor::{Tensor, WeightBytes};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use chord_ops::{
    Budget, CacheSpec, Device, DeviceError, DeviceInfo, Limits, Picked, SeqId, Step, TensorDecl, ValidPlan,
    fuse,
};
use chord_quant::DType;
use core::sync::atomic::{AtomicBool, Ordering};

/// Runs plans on threads lent by a [`Pool`]. Clones share everything.
#[derive(Clone)]
pub struct CpuDevice {
    kernels: Arc<Kernels>,
    pool: Arc<dyn Pool>,
    cancel: Arc<AtomicBool>,
    copies: Option<Copies>,
    clock: Option<Clock>,
    bounds: Bounds,
}

/// What all tensors, plans and caches of a device may take together.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Bytes of everything but the pages of caches: uploads, what plans hold, and the books of caches.
    pub memory: Arc<Budget>,
    /// Bytes of the pages of caches when full.
    pub kv: Arc<Budget>,
    /// What each cache is checked against.
    pub limits: Limits,
}

impl Default for Bounds {
    /// What the machine has.
    fn default() -> Bounds {
        Bounds { memory: Budget::unlimited(), kv: Budget::unlimited(), limits: Limits::default() }
    }
}

impl CpuDevice {
    /// A device over `kernels` and `pool`. While `cancel` is true, steps end early with [`DeviceError::Cancelled`].
    pub fn new(kernels: Kernels, pool: Arc<dyn Pool>, cancel: Arc<AtomicBool>) -> CpuDevice {
        let bounds = Bounds::default();
        CpuDevice { kernels: Arc::new(kernels), pool, cancel, copies: None, clock: None, bounds }
    }

    /// The same device, which takes no more memory than these bounds allow.
    pub fn with_bounds(self, bounds: Bounds) -> CpuDevice {
        CpuDevice { bounds, ..self }
    }

    /// Lets plans copy their matrices into memory of their own, as long as all copies together take at most `bytes`. `advise`
    /// sees that memory before it is filled: huge pages, where it asks for them, are read faster than those of most mapped
    /// files. Without, weights are read where they are bound.
    pub fn with_copies(self, bytes: usize, advise: Advise) -> CpuDevice {
        CpuDevice { copies: Some(Copies::new(bytes, advise)), ..self }
    }

    /// The same device, which times the ops of plans that it compiles: see [`Compiled::profile`].
    pub fn with_clock(self, clock: Clock) -> CpuDevice {
        CpuDevice { clock: Some(clock), ..self }
    }
}

/// What compiling a plan needs of its device.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) kernels: &'a Arc<Kernels>,
    pub(crate) pool: &'a dyn Pool,
    pub(crate) copies: Option<&'a Copies>,
    pub(crate) memory: &'a Arc<Budget>,
    cancel: &'a AtomicBool,
}

impl Site<'_> {
    /// Fails if compiling is to end early.
    pub(crate) fn check(&self) -> Result<(), DeviceError> {
        if self.cancel.load(Ordering::Relaxed) { Err(DeviceError::Cancelled) } else { Ok(()) }
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
        Tensor::upload(&self.bounds.memory, decl, bytes)
    }

    fn new_cache(&self, spec: &CacheSpec) -> Result<Cache, DeviceError> {
        Cache::new(spec, &self.bounds)
    }

    fn compile(&self, plan: &ValidPlan, tensors: &[&Tensor]) -> Result<Compiled, DeviceError> {
        plan.check_tensors(tensors.iter().map(|t| &t.decl))?;
        let site = Site {
            kernels: &self.kernels,
            pool: &*self.pool,
            copies: self.copies.as_ref(),
            memory: &self.bounds.memory,
            cancel: &self.cancel,
        };
        Compiled::new(&fuse(plan), tensors, &site, self.clock)
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
