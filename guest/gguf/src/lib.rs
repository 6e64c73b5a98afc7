//! GGUF files: bytes to metadata and tensor directory, and a writer.
//!
//! Every count, length and offset of a file is checked against what the file can hold before anything is sized by it;
//! no input makes this crate panic or allocate more than a small multiple of the file. No file access: bytes come from
//! a [`ReadAt`]. Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

mod cursor;
mod error;
mod foreign;
mod metadata;
mod parse;
mod split;
mod value;
mod writer;

pub use error::Error;
pub use metadata::Metadata;
pub use parse::{Gguf, ReadAt, TensorInfo};
pub use split::Open;
pub use value::{Array, StringArray, Value};
pub use writer::Writer;
