//! From logits to the next token: an ordered chain of samplers, a seeded draw.
//!
//! One file per sampler and one line in [`chain`]'s table. The order and the defaults are llama.cpp's. NaN and +infinity
//! end a generation with a reason; -infinity is a masked token.

mod candidates;
mod chain;
mod dry;
mod logit_bias;
mod min_p;
mod mirostat;
mod options;
mod penalties;
mod rng;
mod state;
mod temperature;
mod top_k;
mod top_n_sigma;
mod top_p;
mod typical;
mod xtc;

pub use candidates::{Candidate, Candidates};
pub use chain::{Chain, Choice, SampleError};
pub use options::{Error, Mirostat, SamplerKind, SamplerOptions};
