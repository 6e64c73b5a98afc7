//! The engine: models, sessions and generations over any [`Host`].
//!
//! It owns what changes with a new model; the host owns what touches the machine. One step of the device advances
//! every active generation of a model ([`scheduler`]). No file, thread or clock except through [`Host`].

mod chat;
mod error;
mod generation;
mod host;
mod inspect;
mod model;
mod options;
mod scheduler;
mod session;
mod stop;

pub use chat::{ChatOptions, Message};
pub use error::Error;
pub use generation::{Event, Finish, FinishReason, Generation, TokenEvent, Usage};
pub use host::{File, Host};
pub use inspect::{MetadataEntry, Report, TensorEntry, inspect};
pub use model::{Model, ModelInfo};
pub use options::{GenerateOptions, LoadOptions, Prompt};
pub use session::Session;

pub use chord_sampler::{Mirostat, SamplerKind};
