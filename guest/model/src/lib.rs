//! Model families as data: a GGUF's metadata becomes a [`ModelSpec`], a spec becomes a recorded plan.
//!
//! `arch/<family>.rs` reads one family's metadata into the spec and undoes its quirks; `block/<mechanism>.rs` turns a
//! part of the spec into ops. After a spec is made, nothing asks for the architecture's name again.

mod arch;
mod block;
mod error;
mod kind;
mod record;
mod spec;
mod weights;

pub use arch::{architectures, spec};
pub use error::Error;
pub use kind::check_kind;
pub use record::{Binding, Recording, record};
pub use spec::{FeedForward, LayerSpec, ModelSpec, NormSpec};
