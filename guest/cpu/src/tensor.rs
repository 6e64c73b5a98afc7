//! Bound tensors: bytes in place, wherever they come from.

use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use chord_ops::{Budget, Charge, DeviceError, TensorDecl, TensorView};

/// A source of bytes that do not move: a mapped file, a buffer.
pub trait Bytes: Send + Sync {
    /// All of them; the same at every call.
    fn bytes(&self) -> &[u8];

    /// Whether some of them were found missing. Then they read as zeros, and whatever was computed from them is wrong.
    fn is_lost(&self) -> bool {
        false
    }

    /// Whether they ever can be.
    fn can_be_lost(&self) -> bool {
        false
    }
}

impl Bytes for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// Bytes that tensors are bound to, shared.
pub type WeightBytes = Arc<dyn Bytes>;

/// Bytes that were uploaded: charged for as long as a tensor of them, or a plan that holds one, is there.
struct Uploaded {
    bytes: Vec<u8>,
    _charge: Charge,
}

impl Bytes for Uploaded {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What a step or a plan says whose weights are gone.
pub(crate) fn lost() -> DeviceError {
    DeviceError::WeightsLost("the model file was truncated while in use".into())
}

/// A bound tensor.
#[derive(Clone)]
pub struct Tensor {
    pub(crate) decl: TensorDecl,
    source: WeightBytes,
    start: usize,
    len: usize,
}

impl Tensor {
    pub(crate) fn bind(source: &WeightBytes, offset: u64, decl: &TensorDecl) -> Result<Tensor, DeviceError> {
        let refused =
            |e: &dyn core::fmt::Display| DeviceError::Tensor(format!("`{}`: {e}", decl.name.escape_debug()));
        let bytes = decl.check().map_err(|e| refused(&e))?;
        if source.is_lost() {
            return Err(lost());
        }
        let available = source.bytes().len();
        if offset.checked_add(bytes).is_none_or(|end| end > available as u64) {
            return Err(refused(&format_args!(
                "{bytes} bytes at offset {offset} end beyond the {available} bytes of the weights"
            )));
        }
        // Both are within the source, which is in memory.
        let (start, len) = (offset as usize, bytes as usize);
        Ok(Tensor { decl: decl.clone(), source: source.clone(), start, len })
    }

    pub(crate) fn upload(
        memory: &Arc<Budget>,
        decl: &TensorDecl,
        bytes: &[u8],
    ) -> Result<Tensor, DeviceError> {
        let expected = decl.check().map_err(|e| DeviceError::Tensor(e.to_string()))?;
        if expected != bytes.len() as u64 {
            let (name, found) = (decl.name.escape_debug(), bytes.len());
            return Err(DeviceError::Tensor(format!("`{name}` has {expected} bytes, {found} are given")));
        }
        let (mut copy, charge) = memory.vec("an uploaded tensor", bytes.len())?;
        copy.extend_from_slice(bytes);
        let source: WeightBytes = Arc::new(Uploaded { bytes: copy, _charge: charge });
        Tensor::bind(&source, 0, decl)
    }

    /// What it is.
    pub fn decl(&self) -> &TensorDecl {
        &self.decl
    }

    /// Its bytes as stored.
    pub fn bytes(&self) -> &[u8] {
        &self.source.bytes()[self.start..][..self.len]
    }

    /// Where its bytes come from.
    pub(crate) fn source(&self) -> &WeightBytes {
        &self.source
    }

    /// Bytes of one row.
    pub(crate) fn row_bytes(&self) -> usize {
        self.len / (self.decl.rows as usize)
    }

    /// The rows as f32.
    pub(crate) fn view(&self) -> Result<TensorView<'_>, DeviceError> {
        let refused = || DeviceError::Tensor(format!("`{}` is too large for this machine", self.decl.name));
        TensorView::new(&self.decl, self.bytes()).ok_or_else(refused)
    }
}
