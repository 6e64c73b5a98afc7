//! The imported interfaces as the engine's host.

use chord_engine::{File, Host};
use chord_gguf::{Error, ReadAt};
use chord_ops::{CacheSpec, Device, DeviceError, DeviceInfo, Picked, SeqId, Step, TensorDecl, ValidPlan};
use chord_wit::{compute, weights};

/// Most bytes of one `read`, as the contract says.
const MAX_READ: usize = 16 << 20;

/// Files and devices of the host.
pub(crate) struct Imports;

impl Host for Imports {
    type File = WeightsFile;
    type Device = ComputeDevice;

    fn open(&self, name: &str) -> Result<WeightsFile, Error> {
        let file = weights::open(name).map_err(|e| read_error(name, e))?;
        Ok(WeightsFile { name: name.into(), file })
    }

    fn device(&self, name: Option<&str>) -> Result<ComputeDevice, DeviceError> {
        Ok(ComputeDevice(compute::Device::open(name)?))
    }
}

fn read_error(name: &str, e: weights::Error) -> Error {
    match e {
        weights::Error::NotFound(m) => Error::not_found(name, m),
        weights::Error::OutOfRange(m) | weights::Error::Lost(m) | weights::Error::Other(m) => {
            Error::read(name, m)
        }
    }
}

/// A file of the `weights` interface.
pub(crate) struct WeightsFile {
    name: String,
    file: weights::File,
}

impl ReadAt for WeightsFile {
    fn size(&self) -> u64 {
        self.file.size()
    }

    fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let read = |at: u64, n: usize| self.file.read(at, n as u32).map_err(|e| read_error(&self.name, e));
        if len <= MAX_READ {
            return read(offset, len);
        }
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let n = MAX_READ.min(len - bytes.len());
            bytes.extend(read(offset + bytes.len() as u64, n)?);
        }
        Ok(bytes)
    }
}

impl AsRef<WeightsFile> for WeightsFile {
    fn as_ref(&self) -> &WeightsFile {
        self
    }
}

impl File for WeightsFile {
    fn prefetch(&self, offset: u64, len: u64) {
        self.file.prefetch(offset, len);
    }
}

/// A device of the `compute` interface.
pub(crate) struct ComputeDevice(compute::Device);

impl Device for ComputeDevice {
    type Weights = WeightsFile;
    type Tensor = compute::Tensor;
    type Cache = compute::Cache;
    type Plan = compute::Plan;

    fn info(&self) -> DeviceInfo {
        self.0.info().into()
    }

    fn bind(&self, w: &WeightsFile, offset: u64, decl: &TensorDecl) -> Result<compute::Tensor, DeviceError> {
        Ok(self.0.bind(&w.file, offset, &decl.into())?)
    }

    fn upload(&self, decl: &TensorDecl, bytes: &[u8]) -> Result<compute::Tensor, DeviceError> {
        Ok(self.0.upload(&decl.into(), bytes)?)
    }

    fn new_cache(&self, spec: &CacheSpec) -> Result<compute::Cache, DeviceError> {
        Ok(self.0.new_cache(&spec.try_into().map_err(contract)?)?)
    }

    fn compile(&self, plan: &ValidPlan, tensors: &[&compute::Tensor]) -> Result<compute::Plan, DeviceError> {
        Ok(self.0.compile(&plan.plan().try_into().map_err(contract)?, tensors)?)
    }

    fn run(
        &self,
        plan: &mut compute::Plan,
        cache: &mut compute::Cache,
        step: &Step<'_>,
    ) -> Result<Picked, DeviceError> {
        let step = compute::Step {
            tokens: step.tokens.to_vec(),
            positions: step.positions.to_vec(),
            spans: step.spans.iter().map(|&s| s.into()).collect(),
            wanted: step.wanted.to_vec(),
            pick: step.pick.into(),
        };
        Ok(plan.run(cache, &step)?.into())
    }

    fn open(&self, cache: &mut compute::Cache) -> Result<SeqId, DeviceError> {
        Ok(SeqId(cache.open()?))
    }

    fn fork(&self, cache: &mut compute::Cache, seq: SeqId, len: u32) -> Result<SeqId, DeviceError> {
        Ok(SeqId(cache.fork(seq.0, len)?))
    }

    fn truncate(&self, cache: &mut compute::Cache, seq: SeqId, len: u32) -> Result<(), DeviceError> {
        Ok(cache.truncate(seq.0, len)?)
    }

    fn close(&self, cache: &mut compute::Cache, seq: SeqId) -> Result<(), DeviceError> {
        Ok(cache.close(seq.0)?)
    }

    fn len(&self, cache: &compute::Cache, seq: SeqId) -> Result<u32, DeviceError> {
        Ok(cache.length(seq.0)?)
    }
}

fn contract(e: chord_wit::Malformed) -> DeviceError {
    DeviceError::Failed(e.to_string())
}
