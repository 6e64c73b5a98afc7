//! The engine as a library, on the same device and the same bytes.

use crate::{Result, Side};
use chord_cpu::{CpuDevice, WeightBytes};
use chord_engine::{Event, File, GenerateOptions, Host, LoadOptions, Model, Prompt};
use chord_gguf::ReadAt;
use chord_ops::{CacheSpec, Device, DeviceError, DeviceInfo, Picked, SeqId, Step, TensorDecl, ValidPlan};
use chord_runtime::{Canceller, Runtime, Weights};

/// A loaded model.
pub struct Native {
    model: Model<Here>,
}

/// Files and devices of this process.
struct Here {
    runtime: Runtime,
    weights: Weights,
}

/// A mapped file.
struct Mapped(WeightBytes);

/// The CPU device over mapped files.
struct OverFiles(CpuDevice);

impl Native {
    pub fn load(runtime: &Runtime, weights: &Weights, context: u32) -> Result<Native> {
        let here = Here { runtime: runtime.clone(), weights: weights.clone() };
        let options = LoadOptions { context_size: Some(context), ..LoadOptions::default() };
        Ok(Native { model: Model::load(&here, weights.name(), &options)? })
    }
}

impl Side for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn vocabulary(&mut self) -> Result<u32> {
        Ok(self.model.info().vocabulary)
    }

    fn prefill(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let Some(last) = tokens.len().checked_sub(1) else { return Ok(Vec::new()) };
        Ok(self.model.open()?.evaluate(tokens, &[last as u32])?)
    }

    fn decode(&mut self, first: u32, n: u32) -> Result<Vec<u32>> {
        let mut options = GenerateOptions { max_tokens: Some(n), ignore_eos: true, ..Default::default() };
        options.sampler.temperature = 0.0;
        let session = self.model.open()?;
        let mut generation = session.generate(&Prompt::Tokens(vec![first]), &options)?;
        let mut tokens = Vec::new();
        loop {
            let events = generation.advance()?;
            if events.is_empty() {
                return Ok(tokens);
            }
            tokens.extend(events.iter().filter_map(|event| match event {
                Event::Token(token) => Some(token.id),
                _ => None,
            }));
        }
    }
}

impl Host for Here {
    type File = Mapped;
    type Device = OverFiles;

    fn open(&self, name: &str) -> std::result::Result<Mapped, chord_gguf::Error> {
        self.weights.file(name).map(Mapped).map_err(|_| chord_gguf::Error::NotFound(name.into()))
    }

    fn device(&self, _: Option<&str>) -> std::result::Result<OverFiles, DeviceError> {
        Ok(OverFiles(self.runtime.device(&Canceller::default())))
    }
}

impl ReadAt for Mapped {
    fn size(&self) -> u64 {
        self.0.bytes().len() as u64
    }

    fn read_at(&self, offset: u64, len: usize) -> std::result::Result<Vec<u8>, chord_gguf::Error> {
        self.0.bytes().read_at(offset, len)
    }
}

impl File for Mapped {
    fn prefetch(&self, _: u64, _: u64) {}
}

/// Answers of the device.
type Answer<T> = std::result::Result<T, DeviceError>;

impl Device for OverFiles {
    type Weights = Mapped;
    type Tensor = <CpuDevice as Device>::Tensor;
    type Cache = <CpuDevice as Device>::Cache;
    type Plan = <CpuDevice as Device>::Plan;

    fn info(&self) -> DeviceInfo {
        self.0.info()
    }

    fn bind(&self, weights: &Mapped, offset: u64, decl: &TensorDecl) -> Answer<Self::Tensor> {
        self.0.bind(&weights.0, offset, decl)
    }

    fn upload(&self, decl: &TensorDecl, bytes: &[u8]) -> Answer<Self::Tensor> {
        self.0.upload(decl, bytes)
    }

    fn new_cache(&self, spec: &CacheSpec) -> Answer<Self::Cache> {
        self.0.new_cache(spec)
    }

    fn compile(&self, plan: &ValidPlan, tensors: &[&Self::Tensor]) -> Answer<Self::Plan> {
        self.0.compile(plan, tensors)
    }

    fn run(&self, plan: &mut Self::Plan, cache: &mut Self::Cache, step: &Step<'_>) -> Answer<Picked> {
        self.0.run(plan, cache, step)
    }

    fn open(&self, cache: &mut Self::Cache) -> Answer<SeqId> {
        self.0.open(cache)
    }

    fn fork(&self, cache: &mut Self::Cache, seq: SeqId, len: u32) -> Answer<SeqId> {
        self.0.fork(cache, seq, len)
    }

    fn truncate(&self, cache: &mut Self::Cache, seq: SeqId, len: u32) -> Answer<()> {
        self.0.truncate(cache, seq, len)
    }

    fn close(&self, cache: &mut Self::Cache, seq: SeqId) -> Answer<()> {
        self.0.close(cache, seq)
    }

    fn len(&self, cache: &Self::Cache, seq: SeqId) -> Answer<u32> {
        self.0.len(cache, seq)
    }
}
