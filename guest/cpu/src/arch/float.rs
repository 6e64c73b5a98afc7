//! Weights that are, or are decoded to, f32, times f32 activations.
//!
//! Columns are taken in chunks of a fixed size; within a chunk lanes run along the columns, one vector of sums per row
//! and token, reduced in a fixed order and added to the result. Tiles only share loads, so they change no bits.
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "raw pointers into checked slices; instruction sets")]
#![expect(clippy::needless_range_loop, reason = "indices run over pointers as well")]

use super::simd::{Simd, fetch};
use crate::act::{ActFormat, ActView};
use crate::arch::portable::check;
use crate::kernels::Part;
use chord_quant::DType;
use core::mem::MaybeUninit;
use core::ops::Range;

/// Columns of a chunk; a multiple of every block length.
const CHUNK: usize = 1024;
/// Rows of a tile.
const ROWS: usize = 4;
/// Rows decoded together when tokens are many.
const MANY: usize = 16;

/// Where f32 weights come from.
pub(crate) trait Source: 'static {
    /// Whether `decode` wants its buffer initialised.
    const SAFE: bool = false;

    /// Weight type.
    fn dtype() -> DType;

    /// Decodes `n` elements, whole blocks, at most [`CHUNK`]. Returns where they are: at `to`, or `from` itself.
    ///
    /// # Safety
    /// The CPU has `S`'s features; `from` holds `n` elements, `to` has room for as many f32.
    unsafe fn decode<S: Simd>(from: *const u8, n: usize, to: *mut f32) -> *const f32;
}

/// f32 in place.
pub(crate) struct F32;

impl Source for F32 {
    fn dtype() -> DType {
        DType::F32
    }

    #[inline(always)]
    unsafe fn decode<S: Simd>(from: *const u8, _: usize, _: *mut f32) -> *const f32 {
        from.cast()
    }
}

/// f16.
pub(crate) struct F16;

impl Source for F16 {
    fn dtype() -> DType {
        DType::F16
    }

    #[inline(always)]
    unsafe fn decode<S: Simd>(from: *const u8, n: usize, to: *mut f32) -> *const f32 {
        let from = from.cast::<u16>();
        for i in (0..n / S::L * S::L).step_by(S::L) {
            S::store(to.add(i), S::load_f16(from.add(i)));
        }
        for i in n / S::L * S::L..n {
            *to.add(i) = super::portable::f16_to_f32(from.add(i).read_unaligned());
        }
        to
    }
}

/// bf16.
pub(crate) struct BF16;

impl Source for BF16 {
    fn dtype() -> DType {
        DType::BF16
    }

    #[inline(always)]
    unsafe fn decode<S: Simd>(from: *const u8, n: usize, to: *mut f32) -> *const f32 {
        let from = from.cast::<u16>();
        for i in (0..n / S::L * S::L).step_by(S::L) {
            S::store(to.add(i), S::load_bf16(from.add(i)));
        }
        for i in n / S::L * S::L..n {
            *to.add(i) = super::portable::bf16_to_f32(from.add(i).read_unaligned());
        }
        to
    }
}

/// Any other type, by its own reference.
pub(crate) struct Dequantised<const ID: u32>;

impl<const ID: u32> Source for Dequantised<ID> {
    const SAFE: bool = true;

    fn dtype() -> DType {
        DType::from_ggml_id(ID).expect("the table lists known types")
    }

    #[inline(always)]
    unsafe fn decode<S: Simd>(from: *const u8, n: usize, to: *mut f32) -> *const f32 {
        let dtype = Self::dtype();
        let bytes = n / dtype.block_len() * dtype.block_bytes();
        let format = chord_quant::format(dtype).expect("the table lists types that can be decoded");
        let to = core::slice::from_raw_parts_mut(to, n);
        (format.dequantise)(core::slice::from_raw_parts(from, bytes), to);
        to.as_ptr()
    }
}

/// Some rows times some tokens, one chunk.
pub(crate) struct Tile {
    /// First row; the next is `w_stride` bytes further.
    pub w: *const f32,
    pub w_stride: usize,
    /// First token; the next is `x_stride` elements further.
    pub x: *const f32,
    pub x_stride: usize,
    /// Columns.
    pub n: usize,
    /// Result of the first row and token, added to; the next token's is `out_stride` further, the next row's 1.
    pub out: *mut f32,
    pub out_stride: usize,
}

/// What an instruction set provides: the functions below, compiled with its features.
pub(crate) trait FloatIsa: Simd {
    /// [`Source::decode`].
    unsafe fn decode<Src: Source>(from: *const u8, n: usize, to: *mut f32) -> *const f32;
    /// [`tile`].
    unsafe fn tile<const R: usize, const T: usize>(tile: &Tile);
}

#[repr(align(64))]
#[expect(dead_code, reason = "room that is used through a pointer")]
struct Buffer([MaybeUninit<f32>; MANY * STRIDE]);

/// Elements between decoded rows: not a power of two, so that rows do not compete for the same cache sets.
const STRIDE: usize = CHUNK + 16;

/// [`crate::MatKernel::mul`] for one type and instruction set. Entered in tables of instruction sets that the CPU has.
pub(crate) fn mul<S: FloatIsa, Src: Source>(
    weights: Part<'_>,
    _next: Part<'_>,
    acts: &ActView<'_>,
    tokens: Range<usize>,
    out: &mut [f32],
) {
    let dtype = Src::dtype();
    check(dtype, weights, acts, ActFormat::F32, &tokens, out);
    out.fill(0.0);
    let mut buffer = if Src::SAFE { MaybeUninit::zeroed() } else { MaybeUninit::<Buffer>::uninit() };
    let Part { bytes: weights, rows } = weights;
    let run = Run { weights, rows, acts, tokens, block: (dtype.block_len(), dtype.block_bytes()) };
    let many = if run.tokens.len() > S::FTILE { MANY } else { ROWS };
    for row in (0..rows).step_by(many) {
        // SAFETY: the table's owner has checked the CPU. `check` has checked that `weights` holds `rows` rows of
        // `acts.cols` elements, `out` `rows` elements per token, and `acts.f32` all of `tokens`.
        unsafe { run.rows::<S, Src>(buffer.as_mut_ptr(), row, many.min(rows - row), &mut out[row..]) }
    }
}

/// One call.
struct Run<'a> {
    weights: &'a [u8],
    rows: usize,
    acts: &'a ActView<'a>,
    tokens: Range<usize>,
    /// Elements and bytes of a block.
    block: (usize, usize),
}

impl Run<'_> {
    /// `count` rows from `row`, at most [`MANY`]. `out` begins at the first row of the first token.
    unsafe fn rows<S: FloatIsa, Src: Source>(
        &self,
        buffer: *mut Buffer,
        row: usize,
        count: usize,
        out: &mut [f32],
    ) {
        if out.is_empty() {
            return;
        }
        let (cols, (len, bytes)) = (self.acts.cols, self.block);
        let stride = cols / len * bytes;
        let weights = self.weights.as_ptr().add(row * stride);
        for from in (0..cols).step_by(CHUNK) {
            let n = CHUNK.min(cols - from);
            let (mut w, mut w_stride) = (core::ptr::null(), STRIDE * 4);
            for r in (0..count).rev() {
                let at = weights.add(r * stride + from / len * bytes);
                if self.tokens.len() <= S::FTILE {
                    fetch::<S>(at.wrapping_add(ROWS * stride), n / len * bytes);
                }
                let to = buffer.cast::<f32>().add(r * STRIDE);
                w = S::decode::<Src>(at, n, to);
                if !core::ptr::eq(w, to) {
                    w_stride = stride;
                }
            }
            for t in (0..self.tokens.len()).step_by(S::FTILE) {
                let x = self.acts.f32.as_ptr().add((self.tokens.start + t) * cols + from);
                let (out, out_stride) = (out.as_mut_ptr().add(t * self.rows), self.rows);
                let tile = Tile { w, w_stride, x, x_stride: cols, n, out, out_stride };
                sweep::<S>(tile, count, S::FTILE.min(self.tokens.len() - t));
            }
        }
    }
}

/// All rows of a chunk times one tile of tokens.
unsafe fn sweep<S: FloatIsa>(mut tile: Tile, rows: usize, tokens: usize) {
    let mut r = 0;
    while r < rows {
        let step = if rows - r >= ROWS { ROWS } else { 1 };
        match step {
            ROWS => dispatch::<S, ROWS>(tokens, &tile),
            _ => dispatch::<S, 1>(tokens, &tile),
        }
        tile.w = tile.w.byte_add(step * tile.w_stride);
        tile.out = tile.out.add(step);
        r += step;
    }
}

unsafe fn dispatch<S: FloatIsa, const R: usize>(tokens: usize, tile: &Tile) {
    match tokens {
        1 => S::tile::<R, 1>(tile),
        2 => S::tile::<R, 2>(tile),
        3 => S::tile::<R, 3>(tile),
        4 => S::tile::<R, 4>(tile),
        5 => S::tile::<R, 5>(tile),
        6 => S::tile::<R, 6>(tile),
        _ => unreachable!("float tiles have 1 to 6 tokens"),
    }
}

/// `R` rows times `T` tokens.
///
/// # Safety
/// The CPU has `S`'s features; see [`Tile`].
#[inline(always)]
pub(crate) unsafe fn tile<S: Simd, const R: usize, const T: usize>(tile: &Tile) {
    let mut sums = [[S::splat(0.0); T]; R];
    let whole = tile.n / S::L * S::L;
    let mut k = 0;
    while k < whole {
        let mut x = [S::splat(0.0); T];
        for t in 0..T {
            x[t] = S::load(tile.x.add(t * tile.x_stride + k));
        }
        for r in 0..R {
            let w = S::load(tile.w.byte_add(r * tile.w_stride).add(k));
            for t in 0..T {
                sums[r][t] = S::fma(w, x[t], sums[r][t]);
            }
        }
        k += S::L;
    }
    for r in 0..R {
        for t in 0..T {
            let mut sum = S::sum(sums[r][t]);
            for k in whole..tile.n {
                let w = tile.w.byte_add(r * tile.w_stride).add(k).read_unaligned();
                sum += w * *tile.x.add(t * tile.x_stride + k);
            }
            *tile.out.add(t * tile.out_stride + r) += sum;
        }
    }
}
