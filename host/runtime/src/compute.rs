//! The contract's `compute` interface over the CPU device: handles, limits, validation.

use crate::state::{State, table_error};
use crate::stats::{PlanText, hash};
use crate::weights::OpenFile;
use chord_cpu::{CpuDevice, WeightBytes};
use chord_ops::{self as ops, Device, DeviceError};
use chord_wit::compute as w;
use std::time::Instant;
use wasmtime::component::Resource;

/// The device that the host offers; a handle carries no state of its own.
struct OpenDevice;

/// A bound tensor.
struct BoundTensor {
    tensor: <CpuDevice as Device>::Tensor,
    /// Bytes of a file that it is bound to.
    mapped: u64,
}

type OpenCache = <CpuDevice as Device>::Cache;

/// It holds what it reads of its tensors itself.
type CompiledPlan = <CpuDevice as Device>::Plan;

type Answer<T> = wasmtime::Result<Result<T, w::Error>>;

/// A device error is an answer, not a trap.
macro_rules! answer {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(e) => return Ok(Err(w::Error::from(DeviceError::from(e)))),
        }
    };
}

fn limit(message: String) -> w::Error {
    w::Error::Limit(message)
}

impl State {
    /// Registers a tensor within the limit on tensor bytes.
    fn push_tensor(&mut self, bound: BoundTensor) -> Answer<Resource<w::Tensor>> {
        let total = self.stats.tensor_bytes.saturating_add(bound.mapped);
        if total > self.limits.tensor_bytes {
            let bound = self.limits.tensor_bytes;
            return Ok(Err(limit(format!("{total} bytes of tensors: at most {bound} are allowed"))));
        }
        self.stats.tensor_bytes = total;
        Ok(Ok(self.push(bound)?))
    }

    fn compile_plan(
        &mut self,
        plan: ops::Plan,
        tensors: &[Resource<w::Tensor>],
    ) -> Answer<Resource<w::Plan>> {
        let plan = answer!(ops::validate(plan, &self.limits.plan));
        let bound = |handle| self.get::<BoundTensor, _>(handle).map(|bound| &bound.tensor);
        let tensors = tensors.iter().map(bound).collect::<wasmtime::Result<Vec<_>>>()?;
        let compiled = answer!(self.device.compile(&plan, &tensors));
        if let Some(plans) = &mut self.plans {
            let text = PlanText::new(&plan);
            let bytes = text.recorded.len() + text.fused.len();
            plans.charges.push(answer!(self.bounds.memory.charge("the texts of plans", bytes)));
            plans.texts.push(text);
        }
        Ok(Ok(self.push(compiled)?))
    }

    /// The plans that the engine holds.
    pub(crate) fn plans_mut(&mut self) -> impl Iterator<Item = &mut CompiledPlan> {
        self.table.iter_mut().filter_map(|entry| entry.downcast_mut::<CompiledPlan>())
    }

    /// The table's entries of a plan and a cache at once.
    fn run_step(
        &mut self,
        plan: &Resource<w::Plan>,
        cache: &Resource<w::Cache>,
        step: &ops::Step<'_>,
    ) -> Answer<ops::Picked> {
        // Both are in one table; the cache is taken out for the step.
        let cache_key = Resource::<Option<OpenCache>>::new_borrow(cache.rep());
        let Some(mut open) = self.table.get_mut(&cache_key).map_err(table_error)?.take() else {
            return Err(wasmtime::Error::msg("handle refused: the cache is in use"));
        };
        let plan_key = Resource::<CompiledPlan>::new_borrow(plan.rep());
        let result = match self.table.get_mut(&plan_key).map_err(table_error) {
            Ok(compiled) => Ok(self.device.run(compiled, &mut open, step)),
            Err(e) => Err(e),
        };
        *self.table.get_mut(&cache_key).map_err(table_error)? = Some(open);
        Ok(Ok(answer!(result?)))
    }

    fn cache_mut(&mut self, cache: &Resource<w::Cache>) -> wasmtime::Result<&mut OpenCache> {
        let key = Resource::<Option<OpenCache>>::new_borrow(cache.rep());
        let entry = self.table.get_mut(&key).map_err(table_error)?;
        entry.as_mut().ok_or_else(|| wasmtime::Error::msg("handle refused: the cache is in use"))
    }
}

impl w::Host for State {}

impl w::HostDevice for State {
    fn open(&mut self, name: Option<String>) -> Answer<Resource<w::Device>> {
        match name.as_deref() {
            None | Some("auto" | "cpu") => Ok(Ok(self.push(OpenDevice)?)),
            Some(other) => Ok(Err(w::Error::Other(format!("device `{other}` is not here; available: cpu")))),
        }
    }

    fn info(&mut self, device: Resource<w::Device>) -> wasmtime::Result<w::DeviceInfo> {
        self.get::<OpenDevice, _>(&device)?;
        Ok(self.device.info().into())
    }

    fn bind(
        &mut self,
        device: Resource<w::Device>,
        source: Resource<chord_wit::weights::File>,
        offset: u64,
        decl: w::TensorDecl,
    ) -> Answer<Resource<w::Tensor>> {
        self.get::<OpenDevice, _>(&device)?;
        let weights: WeightBytes = self.get::<OpenFile, _>(&source)?.source.clone();
        let decl = answer!(tensor_decl(decl));
        let tensor = answer!(self.device.bind(&weights, offset, &decl));
        let mapped = tensor.bytes().len() as u64;
        self.push_tensor(BoundTensor { tensor, mapped })
    }

    fn upload(
        &mut self,
        device: Resource<w::Device>,
        decl: w::TensorDecl,
        bytes: Vec<u8>,
    ) -> Answer<Resource<w::Tensor>> {
        self.get::<OpenDevice, _>(&device)?;
        let decl = answer!(tensor_decl(decl));
        let tensor = answer!(self.device.upload(&decl, &bytes));
        self.push_tensor(BoundTensor { tensor, mapped: 0 })
    }

    fn new_cache(&mut self, device: Resource<w::Device>, spec: w::CacheSpec) -> Answer<Resource<w::Cache>> {
        self.get::<OpenDevice, _>(&device)?;
        let spec = ops::CacheSpec::from(spec);
        let cache = answer!(self.device.new_cache(&spec));
        Ok(Ok(self.push(Some(cache))?))
    }

    fn compile(
        &mut self,
        device: Resource<w::Device>,
        decl: w::PlanDecl,
        tensors: Vec<Resource<w::Tensor>>,
    ) -> Answer<Resource<w::Plan>> {
        self.get::<OpenDevice, _>(&device)?;
        // Checked before anything is copied or sized by it.
        let bounds = &self.limits.plan;
        for (what, n, bound) in [
            ("ops", decl.ops.len(), bounds.nodes),
            ("tensors", decl.tensors.len().max(tensors.len()), bounds.tensors),
        ] {
            if n > bound as usize {
                return Ok(Err(limit(format!("plan of {n} {what}: at most {bound} are allowed"))));
            }
        }
        match ops::Plan::try_from(decl) {
            Ok(plan) => self.compile_plan(plan, &tensors),
            Err(e) => Ok(Err(w::Error::Plan(e.to_string()))),
        }
    }

    fn drop(&mut self, device: Resource<w::Device>) -> wasmtime::Result<()> {
        self.delete::<OpenDevice, _>(device).map_err(table_error)?;
        Ok(())
    }
}

fn tensor_decl(decl: w::TensorDecl) -> Result<ops::TensorDecl, DeviceError> {
    decl.try_into().map_err(|e: chord_wit::Malformed| DeviceError::Tensor(e.to_string()))
}

impl w::HostTensor for State {
    fn drop(&mut self, tensor: Resource<w::Tensor>) -> wasmtime::Result<()> {
        let bound: BoundTensor = self.delete(tensor).map_err(table_error)?;
        self.stats.tensor_bytes = self.stats.tensor_bytes.saturating_sub(bound.mapped);
        Ok(())
    }
}

impl w::HostCache for State {
    fn open(&mut self, cache: Resource<w::Cache>) -> Answer<u32> {
        let device = self.device.clone();
        Ok(Ok(answer!(device.open(self.cache_mut(&cache)?)).0))
    }

    fn fork(&mut self, cache: Resource<w::Cache>, seq: u32, len: u32) -> Answer<u32> {
        let device = self.device.clone();
        Ok(Ok(answer!(device.fork(self.cache_mut(&cache)?, ops::SeqId(seq), len)).0))
    }

    fn truncate(&mut self, cache: Resource<w::Cache>, seq: u32, len: u32) -> Answer<()> {
        let device = self.device.clone();
        answer!(device.truncate(self.cache_mut(&cache)?, ops::SeqId(seq), len));
        Ok(Ok(()))
    }

    fn close(&mut self, cache: Resource<w::Cache>, seq: u32) -> Answer<()> {
        let device = self.device.clone();
        answer!(device.close(self.cache_mut(&cache)?, ops::SeqId(seq)));
        Ok(Ok(()))
    }

    fn length(&mut self, cache: Resource<w::Cache>, seq: u32) -> Answer<u32> {
        let device = self.device.clone();
        Ok(Ok(answer!(device.len(self.cache_mut(&cache)?, ops::SeqId(seq)))))
    }

    fn drop(&mut self, cache: Resource<w::Cache>) -> wasmtime::Result<()> {
        let _: Option<OpenCache> = self.delete(cache).map_err(table_error)?;
        Ok(())
    }
}

impl w::HostPlan for State {
    fn run(
        &mut self,
        plan: Resource<w::Plan>,
        cache: Resource<w::Cache>,
        step: w::Step,
    ) -> Answer<w::Picked> {
        let spans: Vec<ops::Span> = step.spans.into_iter().map(Into::into).collect();
        let step = ops::Step {
            tokens: &step.tokens,
            positions: &step.positions,
            spans: &spans,
            wanted: &step.wanted,
            pick: step.pick.into(),
        };
        let start = Instant::now();
        let picked = match self.run_step(&plan, &cache, &step)? {
            Ok(picked) => picked,
            Err(e) => return Ok(Err(e)),
        };
        self.stats.device_time += start.elapsed();
        self.stats.steps += 1;
        self.stats.tokens += step.tokens.len() as u64;
        if let Some(state) = &mut self.stats.logits_hash {
            *state = hash(*state, &picked.values);
        }
        Ok(Ok(picked.into()))
    }

    fn drop(&mut self, plan: Resource<w::Plan>) -> wasmtime::Result<()> {
        let _: CompiledPlan = self.delete(plan).map_err(table_error)?;
        Ok(())
    }
}
