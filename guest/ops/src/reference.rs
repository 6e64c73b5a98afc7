//! The oracle: a device that runs plans with the scalar reference of each op, one op after the other.
//!
//! Slow and plain on purpose. Other devices are compared with it.

mod cache;
mod run;

pub use cache::Cache;
pub use run::Compiled;

use crate::device::{Device, DeviceError, DeviceInfo, Picked, SeqId, Step};
use crate::fuse::fuse;
use crate::plan::{CacheSpec, TensorDecl};
use crate::tensor::TensorView;
use crate::validate::{Limits, ValidPlan};
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use chord_quant::{DType, FORMATS};

/// The reference device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference {
    /// Run fused plans in a reused arena, as fast devices do. Otherwise ops run as recorded, and every value has
    /// memory of its own. Results are the same, bit by bit.
    pub fused: bool,
    /// The seed of noise on the inputs of matrix products, as large as the rounding of a fast device: 1/254 of the
    /// largest element of a row where weights are quantised, 2⁻²² of the element otherwise. Shows how far rounding
    /// alone can move the results of a plan.
    pub noise: Option<u64>,
}

/// Bytes in memory, shared.
#[derive(Clone, Debug)]
pub struct Tensor {
    decl: TensorDecl,
    bytes: Arc<[u8]>,
    start: usize,
    len: usize,
}

impl Tensor {
    /// What the tensor is.
    pub fn decl(&self) -> &TensorDecl {
        &self.decl
    }

    /// Its bytes, as they are stored.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..][..self.len]
    }

    fn view(&self) -> Result<TensorView<'_>, DeviceError> {
        let refused = || DeviceError::Tensor(format!("`{}` is too large for this machine", self.decl.name));
        TensorView::new(&self.decl, self.bytes()).ok_or_else(refused)
    }
}

impl Device for Reference {
    type Weights = Arc<[u8]>;
    type Tensor = Tensor;
    type Cache = Cache;
    type Plan = Compiled;

    fn info(&self) -> DeviceInfo {
        let readable: Vec<DType> = FORMATS.iter().map(|f| f.dtype).collect();
        let description = "scalar reference, f64 sums".into();
        DeviceInfo { name: "reference".into(), description, fast: Vec::new(), readable }
    }

    fn bind(&self, weights: &Arc<[u8]>, offset: u64, decl: &TensorDecl) -> Result<Tensor, DeviceError> {
        let refused =
            |e: &dyn core::fmt::Display| DeviceError::Tensor(format!("`{}`: {e}", decl.name.escape_debug()));
        let bytes = decl.check().map_err(|e| refused(&e))?;
        let end = offset.checked_add(bytes).filter(|&end| end <= weights.len() as u64);
        if end.is_none() {
            return Err(refused(&format_args!(
                "{bytes} bytes at offset {offset} end beyond the {} bytes of the weights",
                weights.len()
            )));
        }
        // Both fit: they are within the weights.
        let (start, len) = (offset as usize, bytes as usize);
        Ok(Tensor { decl: decl.clone(), bytes: weights.clone(), start, len })
    }

    fn upload(&self, decl: &TensorDecl, bytes: &[u8]) -> Result<Tensor, DeviceError> {
        let expected = decl.check().map_err(|e| DeviceError::Tensor(e.to_string()))?;
        if expected != bytes.len() as u64 {
            let (name, found) = (decl.name.escape_debug(), bytes.len());
            return Err(DeviceError::Tensor(format!("`{name}` has {expected} bytes, {found} are given")));
        }
        self.bind(&bytes.into(), 0, decl)
    }

    fn new_cache(&self, spec: &CacheSpec) -> Result<Cache, DeviceError> {
        spec.check(&Limits::default())?;
        Ok(Cache::new(spec))
    }

    fn compile(&self, plan: &ValidPlan, tensors: &[&Tensor]) -> Result<Compiled, DeviceError> {
        plan.check_tensors(tensors.iter().map(|t| &t.decl))?;
        let tensors = tensors.iter().map(|&t| t.clone()).collect();
        let compiled =
            if self.fused { Compiled::fused(fuse(plan), tensors) } else { Compiled::recorded(plan, tensors) };
        Ok(compiled.with_noise(self.noise))
    }

    fn run(&self, plan: &mut Compiled, cache: &mut Cache, step: &Step<'_>) -> Result<Picked, DeviceError> {
        plan.run(cache, step)
    }

    fn open(&self, cache: &mut Cache) -> Result<SeqId, DeviceError> {
        Ok(cache.open())
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
