//! A thin layer over an instruction set's registers: what the shared algorithms are written in.
//!
//! Methods are inlined into functions that enable the instruction set's features (`shells!`), never called elsewhere.
#![expect(
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    reason = "methods of the trait must run on the right CPU only and take raw pointers"
)]

/// Vectors of [`Simd::L`] 32-bit lanes.
///
/// # Safety
/// Of every method: the CPU has the instruction set's features, and pointers are valid for the bytes that the method
/// names. No pointer needs an alignment.
pub(crate) trait Simd: Copy + 'static {
    /// Lanes; also the rows of a panel.
    const L: usize;
    /// Most tokens of an integer tile; at most [`super::panel::MAX_TILE`].
    const TILE: usize;
    /// Panels that are unpacked together when tokens are many; `PANELS * L` is at most [`super::panel::MAX_ROWS`].
    const PANELS: usize;
    /// Most tokens of a float tile, at most 4.
    const FTILE: usize;
    /// Most queries of a tile of attention, at most [`crate::kernels::QUERIES`].
    const QUERIES: usize;
    /// Added to signed 8-bit weights before they are multiplied: 128 where the instruction wants them unsigned.
    const OFFSET8: i32;
    /// `L` lanes of i32.
    type I: Copy;
    /// `L` lanes of f32.
    type F: Copy;
    /// 4 weights of each of `L` rows, ready for [`Simd::dot`].
    type W: Copy;

    /// Hints that the line at `p` is read soon; any address will do.
    unsafe fn prefetch(p: *const u8);
    /// 16 bytes of each of `L` rows, of the first at `p`, transposed: lane `r` of vector `i` holds bytes
    /// `4 * i .. 4 * i + 4` of row `r`.
    unsafe fn chunk(p: *const u8, rows: Rows) -> [Self::I; 4];
    /// Stores 4 weights of each row: `4 * L` bytes.
    unsafe fn store_w(p: *mut u8, w: Self::I);
    /// Loads what [`Simd::store_w`] stored. `FULL`: weights use all 8 bits (and have [`Simd::OFFSET8`] added), else
    /// they are in 0..=63.
    unsafe fn load_w<const FULL: bool>(p: *const u8) -> Self::W;
    /// What [`Simd::load_w`] makes of what is stored.
    unsafe fn as_w<const FULL: bool>(w: Self::I) -> Self::W;
    /// Adds to each lane the dot product of its 4 weights with the 4 activations at `x`, exactly.
    unsafe fn dot<const FULL: bool>(sum: Self::I, w: Self::W, x: *const i8) -> Self::I;

    /// Byte by byte, the entry of the 16 at `table` that the index, 0 to 15, names.
    unsafe fn lookup(table: *const u8, indices: Self::I) -> Self::I;

    /// Adds to each lane the products of its 2 i16 with the 2 i16 at `x`, exactly.
    unsafe fn dot_pairs(sum: Self::I, a: Self::I, x: *const i16) -> Self::I;

    unsafe fn load_i(p: *const i32) -> Self::I;
    unsafe fn store_i(p: *mut i32, a: Self::I);
    unsafe fn splat_i(x: i32) -> Self::I;
    unsafe fn add_i(a: Self::I, b: Self::I) -> Self::I;
    /// The lower half of the product.
    unsafe fn mul_i(a: Self::I, b: Self::I) -> Self::I;
    unsafe fn and(a: Self::I, b: Self::I) -> Self::I;
    unsafe fn or(a: Self::I, b: Self::I) -> Self::I;
    unsafe fn xor(a: Self::I, b: Self::I) -> Self::I;
    unsafe fn shl<const N: u32>(a: Self::I) -> Self::I;
    /// Shifts zeros in.
    unsafe fn shr<const N: u32>(a: Self::I) -> Self::I;
    /// Shifts signs in.
    unsafe fn sar<const N: u32>(a: Self::I) -> Self::I;
    /// The larger, signed.
    unsafe fn max_i(a: Self::I, b: Self::I) -> Self::I;
    /// The largest lane, signed.
    unsafe fn reduce_max_i(a: Self::I) -> i32;
    /// Stores the lanes as `L` bytes; they are in -128..=127.
    unsafe fn store_i8(p: *mut i8, a: Self::I);

    unsafe fn splat(x: f32) -> Self::F;
    unsafe fn load(p: *const f32) -> Self::F;
    unsafe fn store(p: *mut f32, a: Self::F);
    /// `L` f16.
    unsafe fn load_f16(p: *const u16) -> Self::F;
    /// Rounds to nearest even.
    unsafe fn store_f16(p: *mut u16, a: Self::F);
    /// `L` bf16.
    unsafe fn load_bf16(p: *const u16) -> Self::F;
    /// The f16 in the lower half of each lane.
    unsafe fn f16(a: Self::I) -> Self::F;
    /// Lanes to f32, rounded to nearest even.
    unsafe fn to_f(a: Self::I) -> Self::F;
    /// Lanes to i32, rounded to nearest even.
    unsafe fn to_i(a: Self::F) -> Self::I;
    /// The same bits.
    unsafe fn bits(a: Self::F) -> Self::I;
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, fused where the instruction set can.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `c - a * b`, fused where the instruction set can.
    unsafe fn fnma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The smaller; `x` where that is NaN.
    unsafe fn at_most(limit: Self::F, x: Self::F) -> Self::F;
    /// The larger; `x` where either is NaN.
    unsafe fn at_least(limit: Self::F, x: Self::F) -> Self::F;
    /// The nearest whole number, ties to even.
    unsafe fn round(a: Self::F) -> Self::F;
    /// `a * 2^n` for whole `n` in -160..=160, without overflow or underflow on the way.
    unsafe fn scale2(a: Self::F, n: Self::F) -> Self::F;
    /// The sum of the lanes, always in the same order.
    unsafe fn sum(a: Self::F) -> f32;
}

/// Runs of rows that a panel is made of.
pub(crate) const STREAMS: usize = 4;

/// Where the rows of a panel are: [`STREAMS`] runs of neighbours, each read from its first byte to its last.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    /// Bytes from a row to its neighbour.
    pub stride: usize,
    /// Bytes from a run to the next.
    pub stretch: usize,
}

impl Rows {
    /// Rows of a run.
    pub const fn run<S: Simd>() -> usize {
        S::L / STREAMS
    }

    /// `L` rows, one after the other.
    pub fn consecutive<S: Simd>(stride: usize) -> Rows {
        Rows { stride, stretch: Rows::run::<S>() * stride }
    }

    /// Bytes from the first row to row `r`.
    #[inline(always)]
    pub fn at<S: Simd>(self, r: usize) -> usize {
        r / Rows::run::<S>() * self.stretch + r % Rows::run::<S>() * self.stride
    }
}

/// Prefetches `bytes` from `p`, which may be any addresses.
///
/// # Safety
/// The CPU has `S`'s features.
#[inline(always)]
pub(crate) unsafe fn fetch<S: Simd>(p: *const u8, bytes: usize) {
    for line in (0..bytes).step_by(64) {
        S::prefetch(p.wrapping_add(line));
    }
}
