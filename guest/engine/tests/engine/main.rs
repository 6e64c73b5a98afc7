//! The engine over files in memory and the CPU device, without any wasm.

mod batching;
mod chatting;
mod generating;
mod golden;
mod loading;
mod memory;
mod sessions;
