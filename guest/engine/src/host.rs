//! What the engine needs from outside.

use chord_gguf::ReadAt;
use chord_ops::{Device, DeviceError};

/// An open model file.
pub trait File: ReadAt {
    /// Hints that `len` bytes at `offset` will be used soon.
    fn prefetch(&self, offset: u64, len: u64);
}

/// Files and devices. In `engine.wasm` these are the imported `weights` and `compute` interfaces.
pub trait Host {
    /// An open model file, with what a device binds tensors to ranges of.
    type File: File + AsRef<<Self::Device as Device>::Weights> + 'static;
    /// A device.
    type Device: Device;

    /// Opens a model file by name.
    fn open(&self, name: &str) -> Result<Self::File, chord_gguf::Error>;

    /// Opens a device by name; `None` is the host's choice.
    fn device(&self, name: Option<&str>) -> Result<Self::Device, DeviceError>;
}
