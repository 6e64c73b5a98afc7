//! Runs engine components: the embeddable half of WASM-Chord.
//!
//! A [`Runtime`] owns the wasm compiler, the thread pool and the epoch clock; an [`EngineComponent`] is a compiled
//! `engine.wasm`; an [`Instance`] is one sandboxed engine with its [`Weights`] and [`Limits`]. The engine, the model
//! file and the prompt are untrusted; everything they ask for passes [`chord_ops::validate`], the limits and
//! the table of handles.
//!
//! ```no_run
//! use chord_runtime::{GenerateOptions, LoadOptions, Prompt, Runtime, Weights};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::builder().build()?;
//! let component = runtime.component(&std::fs::read("engine.wasm")?)?;
//! let mut instance = component.instantiate(Weights::open("model.gguf".as_ref())?)?;
//! let model = instance.load(&LoadOptions::default())?;
//! let session = instance.open(&model)?;
//! let generation = instance.generate(&session, &Prompt::Text("Once".into()), &GenerateOptions::default())?;
//! loop {
//!     let events = instance.next(&generation)?;
//!     if events.is_empty() {
//!         break;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod alarm;
mod cancel;
mod ceilings;
mod clock;
mod compute;
mod config;
mod error;
mod files;
mod instance;
mod limits;
mod mapping;
mod pool;
mod precompiled;
mod runtime;
mod state;
mod stats;
mod system;
mod trailer;
mod unmapped;
mod wasi;
mod watchdog;
mod weights;

pub use cancel::Canceller;
pub use ceilings::{Ceilings, Peak, Rates};
pub use chord_cpu::OpProfile;
pub use chord_ops::{DeviceInfo, WeightReads};
pub use chord_wit::inference::{
    ChatOptions, Error as EngineError, Event, Finish, FinishReason, GenerateOptions, LoadOptions, Message,
    MetadataEntry, Mirostat, ModelInfo, Prompt, Report, TensorEntry, TokenEvent, Usage,
};
pub use error::Error;
pub use files::{ModelFiles, file_kind};
pub use instance::{Generation, Instance, Model, Session};
pub use limits::Limits;
pub use pool::ThreadPool;
pub use precompiled::Precompiled;
pub use runtime::{Builder, EngineComponent, Runtime};
pub use stats::{PlanText, Stats};
pub use weights::Weights;
