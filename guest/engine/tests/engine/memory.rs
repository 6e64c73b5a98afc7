//! A host whose files are in memory.

use chord_cpu::{Bytes, CpuDevice, Kernels, Serial, WeightBytes};
use chord_engine::{Event, File, FinishReason, GenerateOptions, Generation, Host, LoadOptions, Model};
use chord_gguf::ReadAt;
use chord_ops::{CacheSpec, Device, DeviceError, DeviceInfo, Picked, SeqId, Step, TensorDecl, ValidPlan};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// Files by name, and what the device was asked for.
#[derive(Clone, Default)]
pub struct Memory {
    files: HashMap<String, Arc<Vec<u8>>>,
    /// Tokens of each step, in order.
    pub steps: Rc<RefCell<Vec<usize>>>,
}

#[derive(Clone)]
pub struct MemoryFile(Arc<Vec<u8>>);

/// The CPU device over such files.
pub struct MemoryDevice {
    cpu: CpuDevice,
    steps: Rc<RefCell<Vec<usize>>>,
}

impl Memory {
    /// One file.
    pub fn of(name: &str, bytes: Vec<u8>) -> Memory {
        Memory { files: [(name.into(), Arc::new(bytes))].into(), ..Memory::default() }
    }

    /// A model of the repository's test data.
    pub fn model(name: &str) -> Memory {
        Memory::of("model.gguf", bytes(name))
    }

    pub fn load(&self, options: &LoadOptions) -> Result<Model<Memory>, chord_engine::Error> {
        Model::load(self, "model.gguf", options)
    }
}

/// One small model of each family, by file name.
pub fn families() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/models");
    let names = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|n| n.starts_with("tiny-")).collect();
    names.sort();
    assert!(names.len() >= 9, "{names:?}");
    names
}

/// The bytes of a model of the repository's test data.
pub fn bytes(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/models").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

impl Bytes for MemoryFile {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl ReadAt for MemoryFile {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, chord_gguf::Error> {
        self.0.as_slice().read_at(offset, len)
    }
}

impl AsRef<MemoryFile> for MemoryFile {
    fn as_ref(&self) -> &MemoryFile {
        self
    }
}

impl File for MemoryFile {
    fn prefetch(&self, _: u64, _: u64) {}
}

impl Host for Memory {
    type File = MemoryFile;
    type Device = MemoryDevice;

    fn open(&self, name: &str) -> Result<MemoryFile, chord_gguf::Error> {
        let file = self.files.get(name).cloned().map(MemoryFile);
        file.ok_or_else(|| chord_gguf::Error::NotFound(name.into()))
    }

    fn device(&self, name: Option<&str>) -> Result<MemoryDevice, DeviceError> {
        match name {
            None | Some("cpu") => {
                let cpu = CpuDevice::new(Kernels::portable(), Arc::new(Serial), Default::default());
                Ok(MemoryDevice { cpu, steps: self.steps.clone() })
            }
            Some(other) => Err(DeviceError::Failed(format!("device `{other}` is not here"))),
        }
    }
}

impl Device for MemoryDevice {
    type Weights = MemoryFile;
    type Tensor = <CpuDevice as Device>::Tensor;
    type Cache = <CpuDevice as Device>::Cache;
    type Plan = <CpuDevice as Device>::Plan;

    fn info(&self) -> DeviceInfo {
        self.cpu.info()
    }

    fn bind(
        &self,
        weights: &MemoryFile,
        offset: u64,
        decl: &TensorDecl,
    ) -> Result<Self::Tensor, DeviceError> {
        let bytes: WeightBytes = Arc::new(weights.clone());
        self.cpu.bind(&bytes, offset, decl)
    }

    fn upload(&self, decl: &TensorDecl, bytes: &[u8]) -> Result<Self::Tensor, DeviceError> {
        self.cpu.upload(decl, bytes)
    }

    fn new_cache(&self, spec: &CacheSpec) -> Result<Self::Cache, DeviceError> {
        self.cpu.new_cache(spec)
    }

    fn compile(&self, plan: &ValidPlan, tensors: &[&Self::Tensor]) -> Result<Self::Plan, DeviceError> {
        self.cpu.compile(plan, tensors)
    }

    fn run(
        &self,
        plan: &mut Self::Plan,
        cache: &mut Self::Cache,
        step: &Step<'_>,
    ) -> Result<Picked, DeviceError> {
        self.steps.borrow_mut().push(step.tokens.len());
        self.cpu.run(plan, cache, step)
    }

    fn open(&self, cache: &mut Self::Cache) -> Result<SeqId, DeviceError> {
        self.cpu.open(cache)
    }

    fn fork(&self, cache: &mut Self::Cache, seq: SeqId, len: u32) -> Result<SeqId, DeviceError> {
        self.cpu.fork(cache, seq, len)
    }

    fn truncate(&self, cache: &mut Self::Cache, seq: SeqId, len: u32) -> Result<(), DeviceError> {
        self.cpu.truncate(cache, seq, len)
    }

    fn close(&self, cache: &mut Self::Cache, seq: SeqId) -> Result<(), DeviceError> {
        self.cpu.close(cache, seq)
    }

    fn len(&self, cache: &Self::Cache, seq: SeqId) -> Result<u32, DeviceError> {
        self.cpu.len(cache, seq)
    }
}

/// Greedy, so many tokens.
pub fn greedy(max_tokens: u32) -> GenerateOptions {
    let mut options =
        GenerateOptions { max_tokens: Some(max_tokens), ignore_eos: true, ..Default::default() };
    options.sampler.temperature = 0.0;
    options
}

/// The rest of a generation: ids, text, reason.
pub fn rest(generation: &mut Generation<Memory>) -> (Vec<u32>, String, FinishReason) {
    let (mut ids, mut text) = (Vec::new(), String::new());
    loop {
        for event in generation.advance().expect("a step runs") {
            match event {
                Event::PromptDone(_) => {}
                Event::Token(token) => {
                    ids.push(token.id);
                    text += &token.text;
                }
                Event::Finish(finish) => {
                    assert!(generation.advance().expect("nothing comes after the end").is_empty());
                    return (ids, text + &finish.text, finish.reason);
                }
            }
        }
    }
}
