//! Activations in the form that a weight format's kernel wants: f32, or 8-bit with scales and sums.

/// The form of activations that a matrix kernel reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActFormat {
    /// Plain f32 rows.
    F32,
    /// i8, one f32 scale per 32 elements (weights in blocks of 32).
    Q8x32,
    /// i8, one f32 scale per 256 elements, i16 sums per 16 (K-quants).
    Q8x256,
}

/// Rows of activations, `(n, cols)`, borrowed from the step's scratch memory. Planes are row-major and separate, so
/// that kernels load them without shuffles. Planes that the format does not use are empty.
#[derive(Clone, Copy, Debug)]
pub struct ActView<'a> {
    /// Form of the planes below.
    pub format: ActFormat,
    /// Elements per row.
    pub cols: usize,
    /// `(n, cols)`: the f32 rows; always present (kernels of format F32 read it).
    pub f32: &'a [f32],
    /// `(n, cols)` quantised elements, in -127..=127.
    pub q: &'a [i8],
    /// `(n, cols / 32)` or `(n, cols / 256)` scales: `x ≈ q * scale`.
    pub scales: &'a [f32],
    /// `(n, cols / 16)` sums of 16 consecutive `q`.
    pub sums: &'a [i16],
}
