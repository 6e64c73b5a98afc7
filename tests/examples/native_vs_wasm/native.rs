//! The engine as a library, on the same device and the same bytes.

use crate::{Result, Side};
use chord_cpu::{CpuDevice, WeightBytes};
use chord_engine::{Event, File, GenerateOptions, Host, LoadOptions, Model, Prompt};
use chord_gguf::ReadAt;
use chord_ops::DeviceError;
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
    type Device = CpuDevice;

    fn open(&self, name: &str) -> std::result::Result<Mapped, chord_gguf::Error> {
        self.weights.file(name).map(Mapped).map_err(|_| chord_gguf::Error::NotFound(name.into()))
    }

    fn device(&self, _: Option<&str>) -> std::result::Result<CpuDevice, DeviceError> {
        Ok(self.runtime.device(&Canceller::default()))
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

impl AsRef<WeightBytes> for Mapped {
    fn as_ref(&self) -> &WeightBytes {
        &self.0
    }
}

impl File for Mapped {
    fn prefetch(&self, _: u64, _: u64) {}
}
