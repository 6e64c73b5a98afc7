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
/// Rows of a tile; where tokens are few, each is the next of a stream of rows.
const ROWS: usize = 4;
/// Rows decoded together when tokens are many.
const MANY: usize = 8;
/// Tokens whose chunk stays in the caches while it meets all rows.
const TOKENS: usize = 192;
/// Bytes of a cache line.
const LINE: usize = 64;

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

/// Weights of one element each.
pub(crate) trait Element: Source {
    /// Bytes of an element.
    const SIZE: usize;

    /// `S::L` elements.
    ///
    /// # Safety
    /// The CPU has `S`'s features; `from` holds them.
    unsafe fn load<S: Simd>(from: *const u8) -> S::F;

    /// One element.
    ///
    /// # Safety
    /// `from` holds it.
    unsafe fn get(from: *const u8) -> f32;
}

/// [`Source::decode`] for elements.
#[inline(always)]
unsafe fn decode_elements<S: Simd, E: Element>(from: *const u8, n: usize, to: *mut f32) -> *const f32 {
    let whole = n / S::L * S::L;
    for i in (0..whole).step_by(S::L) {
        S::store(to.add(i), E::load::<S>(from.add(i * E::SIZE)));
    }
    for i in whole..n {
        *to.add(i) = E::get(from.add(i * E::SIZE));
    }
    to
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

impl Element for F32 {
    const SIZE: usize = 4;

    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const u8) -> S::F {
        S::load(from.cast())
    }

    #[inline(always)]
    unsafe fn get(from: *const u8) -> f32 {
        from.cast::<f32>().read_unaligned()
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
        decode_elements::<S, F16>(from, n, to)
    }
}

impl Element for F16 {
    const SIZE: usize = 2;

    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const u8) -> S::F {
        S::load_f16(from.cast())
    }

    #[inline(always)]
    unsafe fn get(from: *const u8) -> f32 {
        super::portable::f16_to_f32(from.cast::<u16>().read_unaligned())
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
        decode_elements::<S, BF16>(from, n, to)
    }
}

impl Element for BF16 {
    const SIZE: usize = 2;

    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const u8) -> S::F {
        S::load_bf16(from.cast())
    }

    #[inline(always)]
    unsafe fn get(from: *const u8) -> f32 {
        super::portable::bf16_to_f32(from.cast::<u16>().read_unaligned())
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
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    /// First row; the next is `w_stride` bytes further.
    pub w: *const u8,
    pub w_stride: usize,
    /// First token; the next is `x_stride` elements further.
    pub x: *const f32,
    pub x_stride: usize,
    /// Columns.
    pub n: usize,
    /// Result of the first row and token, added to; the next token's is `out_stride` further, the next row's `out_row`.
    pub out: *mut f32,
    pub out_stride: usize,
    pub out_row: usize,
    /// As many bytes as the chunk has for each row, to be prefetched. Null: nothing.
    pub ahead: *const u8,
    pub ahead_stride: usize,
}

/// What an instruction set provides: the functions below, compiled with its features.
pub(crate) trait FloatIsa: Simd {
    /// [`Source::decode`].
    unsafe fn decode<Src: Source>(from: *const u8, n: usize, to: *mut f32) -> *const f32;
    /// [`tile`].
    unsafe fn tile<E: Element, const R: usize, const T: usize>(tile: &Tile);
}

#[repr(align(64))]
#[expect(dead_code, reason = "room that is used through a pointer")]
struct Buffer([MaybeUninit<f32>; MANY * STRIDE]);

/// Elements between decoded rows: not a power of two, so that rows do not compete for the same cache sets.
const STRIDE: usize = CHUNK + 16;

/// [`crate::MatKernel::mul`] for elements. Entered in tables of instruction sets that the CPU has.
pub(crate) fn mul<S: FloatIsa, E: Element>(
    weights: Part<'_>,
    next: Part<'_>,
    acts: &ActView<'_>,
    tokens: Range<usize>,
    out: &mut [f32],
) {
    if tokens.len() > S::FTILE {
        return mul_decoded::<S, E>(weights, next, acts, tokens, out);
    }
    check(E::dtype(), weights, acts, ActFormat::F32, &tokens, out);
    out.fill(0.0);
    if out.is_empty() {
        return;
    }
    // SAFETY: the table's owner has checked the CPU. `check` has checked that `weights` holds `rows` rows of
    // `acts.cols` elements, `out` `rows` elements per token, and `acts.f32` all of `tokens`.
    unsafe { few::<S, E>(weights, next, acts, tokens, out) }
}

/// A few tokens: weights are converted as they are read, in [`ROWS`] streams of consecutive rows.
unsafe fn few<S: FloatIsa, E: Element>(
    weights: Part<'_>,
    next: Part<'_>,
    acts: &ActView<'_>,
    tokens: Range<usize>,
    out: &mut [f32],
) {
    let (cols, rows) = (acts.cols, weights.rows);
    let stride = cols * E::SIZE;
    let whole = rows / ROWS;
    // Bytes from a stream to the next: of this part, and of the next one.
    let stretch = whole * stride;
    let next_stretch = next.rows / ROWS * (next.bytes.len() / next.rows.max(1));
    for row in 0..whole {
        for from in (0..cols).step_by(CHUNK) {
            let n = CHUNK.min(cols - from);
            let w = weights.bytes.as_ptr().add(row * stride + from * E::SIZE);
            let is_last = row + 1 == whole && from + n == cols;
            // Each stream goes on behind the chunk.
            let (ahead, ahead_stride) = match is_last {
                true if next_stretch > 0 => (next.bytes.as_ptr(), next_stretch),
                _ => (w.wrapping_add(n * E::SIZE), stretch),
            };
            let x = acts.f32.as_ptr().add(tokens.start * cols + from);
            let (out, out_stride, out_row) = (out.as_mut_ptr().add(row), rows, whole);
            let (w_stride, x_stride) = (stretch, cols);
            let tile = Tile { w, w_stride, x, x_stride, n, out, out_stride, out_row, ahead, ahead_stride };
            dispatch::<S, E, ROWS>(tokens.len(), &tile);
        }
    }
    for row in whole * ROWS..rows {
        for from in (0..cols).step_by(CHUNK) {
            let n = CHUNK.min(cols - from);
            let w = weights.bytes.as_ptr().add(row * stride + from * E::SIZE);
            let x = acts.f32.as_ptr().add(tokens.start * cols + from);
            let out = out.as_mut_ptr().add(row);
            dispatch::<S, E, 1>(tokens.len(), &Tile::new(w, stride, x, cols, n, out, rows));
        }
    }
}

impl Tile {
    /// Consecutive rows; nothing is prefetched.
    fn new(
        w: *const u8,
        w_stride: usize,
        x: *const f32,
        x_stride: usize,
        n: usize,
        out: *mut f32,
        out_stride: usize,
    ) -> Tile {
        let (ahead, ahead_stride) = (core::ptr::null(), 0);
        Tile { w, w_stride, x, x_stride, n, out, out_stride, out_row: 1, ahead, ahead_stride }
    }
}

/// [`crate::MatKernel::mul`] for any type and number of tokens: weights are decoded, some rows at a time. Entered in tables of
/// instruction sets that the CPU has.
pub(crate) fn mul_decoded<S: FloatIsa, Src: Source>(
    weights: Part<'_>,
    _next: Part<'_>,
    acts: &ActView<'_>,
    tokens: Range<usize>,
    out: &mut [f32],
) {
    let dtype = Src::dtype();
    check(dtype, weights, acts, ActFormat::F32, &tokens, out);
    out.fill(0.0);
    if out.is_empty() {
        return;
    }
    let mut buffer = if Src::SAFE { MaybeUninit::zeroed() } else { MaybeUninit::<Buffer>::uninit() };
    let many = if tokens.len() > S::FTILE { MANY } else { ROWS };
    let block = (dtype.block_len(), dtype.block_bytes());
    for from in (0..acts.cols).step_by(CHUNK) {
        for first in tokens.clone().step_by(TOKENS) {
            let some = first..tokens.end.min(first + TOKENS);
            let chunk = Chunk { weights, acts, from, tokens: some, block };
            for row in (0..weights.rows).step_by(many) {
                let out = &mut out[(first - tokens.start) * weights.rows + row..];
                // SAFETY: the table's owner has checked the CPU. `check` has checked that `weights` holds `rows` rows of
                // `acts.cols` elements, `out` `rows` elements per token, and `acts.f32` all of `tokens`.
                unsafe {
                    chunk.rows::<S, Src>(buffer.as_mut_ptr(), row, many.min(weights.rows - row), out);
                }
            }
        }
    }
}

/// A chunk of all rows and of some tokens.
struct Chunk<'a> {
    weights: Part<'a>,
    acts: &'a ActView<'a>,
    /// First column.
    from: usize,
    tokens: Range<usize>,
    /// Elements and bytes of a block.
    block: (usize, usize),
}

impl Chunk<'_> {
    /// `count` rows from `row`, at most [`MANY`]. `out` begins at the first row of the first token.
    unsafe fn rows<S: FloatIsa, Src: Source>(
        &self,
        buffer: *mut Buffer,
        row: usize,
        count: usize,
        out: &mut [f32],
    ) {
        let (cols, from, (len, bytes)) = (self.acts.cols, self.from, self.block);
        let (n, stride) = (CHUNK.min(cols - from), cols / len * bytes);
        let weights = self.weights.bytes.as_ptr().add(row * stride + from / len * bytes);
        let (mut w, mut w_stride) = (core::ptr::null(), STRIDE * 4);
        for r in (0..count).rev() {
            let at = weights.add(r * stride);
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
            let (out, out_stride) = (out.as_mut_ptr().add(t * self.weights.rows), self.weights.rows);
            let tile = Tile::new(w.cast(), w_stride, x, cols, n, out, out_stride);
            sweep::<S>(tile, count, S::FTILE.min(self.tokens.len() - t));
        }
    }
}

/// All rows of a chunk, in f32, times one tile of tokens.
unsafe fn sweep<S: FloatIsa>(mut tile: Tile, rows: usize, tokens: usize) {
    let mut r = 0;
    while r < rows {
        let step = if rows - r >= ROWS { ROWS } else { 1 };
        match step {
            ROWS => dispatch::<S, F32, ROWS>(tokens, &tile),
            _ => dispatch::<S, F32, 1>(tokens, &tile),
        }
        tile.w = tile.w.add(step * tile.w_stride);
        tile.out = tile.out.add(step);
        r += step;
    }
}

unsafe fn dispatch<S: FloatIsa, E: Element, const R: usize>(tokens: usize, tile: &Tile) {
    match tokens {
        1 => S::tile::<E, R, 1>(tile),
        2 => S::tile::<E, R, 2>(tile),
        3 => S::tile::<E, R, 3>(tile),
        4 => S::tile::<E, R, 4>(tile),
        _ => unreachable!("float tiles have 1 to 4 tokens"),
    }
}

/// `R` rows times `T` tokens.
///
/// # Safety
/// The CPU has `S`'s features; see [`Tile`].
#[inline(always)]
pub(crate) unsafe fn tile<S: Simd, E: Element, const R: usize, const T: usize>(tile: &Tile) {
    let mut sums = [[S::splat(0.0); T]; R];
    let whole = tile.n / S::L * S::L;
    let mut k = 0;
    while k < whole {
        if (k * E::SIZE).is_multiple_of(LINE) && !tile.ahead.is_null() {
            for r in 0..R {
                S::prefetch(tile.ahead.wrapping_add(r * tile.ahead_stride + k * E::SIZE));
            }
        }
        let mut x = [S::splat(0.0); T];
        for t in 0..T {
            x[t] = S::load(tile.x.add(t * tile.x_stride + k));
        }
        for r in 0..R {
            let w = E::load::<S>(tile.w.add(r * tile.w_stride + k * E::SIZE));
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
                let w = E::get(tile.w.add(r * tile.w_stride + k * E::SIZE));
                sum += w * *tile.x.add(t * tile.x_stride + k);
            }
            *tile.out.add(t * tile.out_stride + r * tile.out_row) += sum;
        }
    }
}
