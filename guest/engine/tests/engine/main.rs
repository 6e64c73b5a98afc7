//! The engine over files in memory and the CPU device, without any wasm.

mod batching;
mod chatting;
mod draft;
mod errors;
mod generating;
mod golden;
mod loading;
mod memory;
mod odd;
mod others;
mod saved;
mod sessions;
