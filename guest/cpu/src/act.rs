//! Activations in the form that a weight format's kernel wants: f32, or 8-bit with scales and sums.

use core::ops::Range;

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

impl ActFormat {
    /// Elements that share a scale; `None` for f32.
    pub const fn block(self) -> Option<usize> {
        match self {
            ActFormat::F32 => None,
            ActFormat::Q8x32 => Some(32),
            ActFormat::Q8x256 => Some(256),
        }
    }
}

impl core::fmt::Display for ActFormat {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(match self {
            ActFormat::F32 => "f32",
            ActFormat::Q8x32 => "q8x32",
            ActFormat::Q8x256 => "q8x256",
        })
    }
}

/// Elements from one quantised row of `cols` to the next. A tile reads the same columns of many rows: rows are kept from
/// competing for the same cache sets, which they would at a multiple of a large power of two.
pub const fn q_stride(cols: usize) -> usize {
    // A cache line more.
    if cols > 0 && cols.is_multiple_of(512) { cols + 64 } else { cols }
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
    /// `(n, cols)` quantised elements, in -127..=127, rows `q_stride` apart.
    pub q: &'a [i8],
    /// Elements from one row of `q` to the next, at least `cols`; see [`q_stride`].
    pub q_stride: usize,
    /// `(n, cols / 32)` or `(n, cols / 256)` scales: `x ≈ q * scale`.
    pub scales: &'a [f32],
    /// `(n, cols / 16)` sums of 16 consecutive `q`.
    pub sums: &'a [i16],
}

impl ActView<'_> {
    /// Panics unless the planes that a kernel of form `want` reads hold the rows of `tokens`. Called once per call
    /// of a kernel; whatever indexes or points into the planes afterwards relies on it.
    #[inline]
    pub(crate) fn check(&self, want: ActFormat, tokens: &Range<usize>) {
        assert!(tokens.start <= tokens.end, "tokens {tokens:?} of an activation view");
        let elements = |per: usize| tokens.end.checked_mul(self.cols / per).expect("activation plane size");
        let Some(block) = want.block() else {
            assert!(
                self.f32.len() >= elements(1),
                "f32 plane: {} of {} elements",
                self.f32.len(),
                elements(1)
            );
            return;
        };
        assert_eq!(self.format, want, "activation form");
        assert_eq!(self.cols % block, 0, "columns {} in whole blocks of {block}", self.cols);
        assert!(self.q_stride >= self.cols, "rows of {} elements, {} apart", self.cols, self.q_stride);
        let q = tokens.end.checked_mul(self.q_stride).expect("activation plane size");
        assert!(self.q.len() >= q, "q plane: {} of {q} elements", self.q.len());
        assert!(self.scales.len() >= elements(block), "scales: {} of {}", self.scales.len(), elements(block));
        assert!(self.sums.len() >= elements(16), "sums: {} of {}", self.sums.len(), elements(16));
    }
}
