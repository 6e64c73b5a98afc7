//! A tensor's bytes as rows of f32.

use crate::plan::TensorDecl;
use alloc::vec;
use alloc::vec::Vec;
use chord_quant::Format;

/// Whole rows of a tensor of a readable type.
#[derive(Clone, Copy)]
pub struct TensorView<'a> {
    format: &'static Format,
    rows: usize,
    cols: usize,
    row_bytes: usize,
    bytes: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// The view of `decl` over its `bytes`. `None` if the declaration fails its own check or is of another size.
    pub fn new(decl: &TensorDecl, bytes: &'a [u8]) -> Option<TensorView<'a>> {
        if decl.check().ok()? != bytes.len() as u64 {
            return None;
        }
        let (rows, cols) = (usize::try_from(decl.rows).ok()?, usize::try_from(decl.cols).ok()?);
        let format = chord_quant::format(decl.dtype)?;
        Some(TensorView { format, rows, cols, row_bytes: bytes.len() / rows, bytes })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Elements per row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Decodes row `i < rows` into `out` of `cols` elements.
    pub fn row(&self, i: usize, out: &mut [f32]) {
        (self.format.dequantise)(&self.bytes[i * self.row_bytes..][..self.row_bytes], out);
    }

    /// All elements, row-major.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.rows * self.cols];
        out.chunks_exact_mut(self.cols).enumerate().for_each(|(i, row)| self.row(i, row));
        out
    }
}
