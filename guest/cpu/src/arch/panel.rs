//! Integer weights times 8-bit activations. One algorithm for one token and for many.
//!
//! `L` rows form a panel: blocks of all of them are transposed and unpacked to bytes, so that a vector holds 4
//! consecutive weights of each row, and a lane is a row. Each activation is then broadcast, without shuffles, and a
//! lane adds up one row's product by itself: integers within a block (exact), then f32 in the order of the row. What a
//! lane does for one token depends on nothing else, so batches and splits do not change results; nor does it matter in
//! which way the integers were added up, so an instruction set may have another one for many tokens ([`Batch`]).
//!
//! Rows past the last whole panel are computed by a panel that overlaps the one before it.
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "raw pointers into checked slices; instruction sets")]
#![expect(clippy::needless_range_loop, reason = "indices run over pointers as well")]

use super::direct::{Across, Direct, Job};
use super::simd::{Rows, STREAMS, Simd, fetch};
use crate::act::{ActFormat, ActView};
use crate::arch::portable::check;
use crate::kernels::Part;
use chord_quant::DType;
use core::mem::MaybeUninit;
use core::ops::Range;

/// Tokens of the largest tile of any instruction set.
pub(crate) const MAX_TILE: usize = 12;
/// Rows unpacked together.
pub(crate) const MAX_ROWS: usize = 64;
/// Columns unpacked together when tokens are few, and when they are many.
const FEW: usize = 256;
pub(crate) const MANY: usize = 1024;
/// Small blocks of a row that are prefetched together.
const TOGETHER: usize = 8;

/// How a weight format is unpacked to panels. Element `i` of a block is
/// `scale * factor[i / SUB] * (u - offset) - min_scale * min[i / SUB]`, where factors and minima are small integers; in
/// blocks of one scale (`SUB == BLOCK`) they are 1.
pub(crate) trait Quant: 'static {
    const DTYPE: DType;
    /// Elements per block; activations have one scale for as many.
    const BLOCK: usize;
    /// Bytes per block.
    const BYTES: usize;
    /// Elements per scale, 16 or 32.
    const SUB: usize;
    /// Whether there are minima.
    const MIN: bool;
    /// Whether factor times weight takes more than 8 bits.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "as `Many`"))]
    const WIDE: bool = Self::SUB < Self::BLOCK;
    /// Whether weights use all 8 bits: then their offset is [`Simd::OFFSET8`].
    const FULL: bool;
    /// Subtracted from the unpacked weights when they are not `FULL`; 0 where there are minima.
    const OFFSET: i32;

    /// Where the f16 scale of a block is that [`Unpack::gather`] reads.
    const SCALE: usize = 0;

    /// Unpacks `u.blocks` consecutive blocks of `L` rows.
    ///
    /// # Safety
    /// The CPU has `S`'s features; see [`Unpack`].
    unsafe fn unpack<S: Simd>(u: &Unpack);

    /// Form of the activations.
    const ACT: ActFormat = if Self::BLOCK == 32 { ActFormat::Q8x32 } else { ActFormat::Q8x256 };
}

/// Where the parts of an unpacked panel are.
#[derive(Clone, Copy)]
pub(crate) struct Panel {
    /// `(blocks * BLOCK / 4, L, 4)` weights.
    pub weights: *mut u8,
    /// `(blocks, L)` scales.
    pub scales: *mut f32,
    /// `(blocks * BLOCK / SUB, L)` factors; only where `SUB < BLOCK`.
    pub factors: *mut i32,
    /// `(blocks, L)` scales of the minima; only with `MIN`.
    pub min_scales: *mut f32,
    /// `(blocks * BLOCK / SUB / 2, L)` pairs of minima, each an i16; only with `MIN` where `SUB < BLOCK`.
    pub mins: *mut i32,
}

/// Where blocks are unpacked from and to.
pub(crate) struct Unpack {
    /// The first of `blocks` blocks of the first of `L` rows.
    pub src: *const u8,
    pub rows: Rows,
    pub blocks: usize,
    pub to: Panel,
    /// Where the bytes are that are wanted next: as many are prefetched, in step with the unpacking. Of each run of rows
    /// the consecutive bytes, whichever row they are of.
    pub ahead: Ahead,
}

/// Where the rows of a panel are that is read later; any addresses will do.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    pub first: *const u8,
    /// Bytes from a run of rows to the next.
    pub stretch: usize,
}

impl Ahead {
    /// As many bytes of each run later.
    pub fn skip(self, bytes: usize) -> Ahead {
        Ahead { first: self.first.wrapping_add(bytes), ..self }
    }
}

impl Unpack {
    /// Bytes `at..at + 16` of block `b` of each row, as [`Simd::chunk`] has them: number `c` of the `C` chunks of a block.
    ///
    /// # Safety
    /// The CPU has `S`'s features; the bytes are within the block.
    #[inline(always)]
    pub unsafe fn chunk<S: Simd, Q: Quant, const C: usize>(
        &self,
        b: usize,
        c: usize,
        at: usize,
    ) -> [S::I; 4] {
        // Of what some blocks take, each chunk prefetches some lines.
        let together = if Q::BYTES < 64 { TOGETHER } else { 1 };
        let lines = (Rows::run::<S>() * together * Q::BYTES).div_ceil(64);
        let (chunk, chunks) = (b % together * C + c, together * C);
        let from = self.ahead.skip(Rows::run::<S>() * (b - b % together) * Q::BYTES);
        for line in chunk * lines / chunks..(chunk + 1) * lines / chunks {
            for stream in 0..STREAMS {
                S::prefetch(from.first.wrapping_add(stream * from.stretch + line * 64));
            }
        }
        S::chunk(self.src.add(b * Q::BYTES + at), self.rows)
    }

    /// The f16 scale of block `b` of each row. Copied with narrow moves, which other units do than those that are busy
    /// with vectors.
    ///
    /// # Safety
    /// See [`Unpack`]; the format has such scales.
    #[inline(always)]
    pub unsafe fn gather<S: Simd, Q: Quant>(&self, b: usize, to: &mut [u16; 16]) {
        let at = self.src.add(b * Q::BYTES + Q::SCALE);
        for (r, bits) in to.iter_mut().take(S::L).enumerate() {
            *bits = at.add(self.rows.at::<S>(r)).cast::<u16>().read_unaligned();
        }
    }
}

/// Panel times tile.
pub(crate) struct Micro {
    pub panel: Panel,
    pub blocks: usize,
    /// Activations of the tile's first token; the next token's are `q_stride` further.
    pub q: *const i8,
    pub q_stride: usize,
    /// One scale per block; the next token's are `act_stride` further.
    pub act_scales: *const f32,
    pub act_stride: usize,
    /// `(tokens, SUBS)`: per `SUB` elements `-offset * Σ q` as i32; for minima `Σ q`, as two i16 of neighbours in a
    /// word where `SUB < BLOCK`, else as f32.
    pub corrections: *const u32,
    /// Results of the first token, `L` of them, which are added to; the next token's are `out_stride` further.
    pub out: *mut f32,
    pub out_stride: usize,
}

/// Panels times many tokens.
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "instruction sets there have no way of their own")
)]
pub(crate) struct Many {
    /// The first of `panels` panels.
    pub first: Panel,
    pub panels: usize,
    pub blocks: usize,
    /// Activations of the first of `tokens` tokens; the next token's are `q_stride` further.
    pub q: *const i8,
    pub q_stride: usize,
    pub tokens: usize,
    /// One scale per block; the next token's are `act_stride` further.
    pub act_scales: *const f32,
    pub act_stride: usize,
    /// One sum per 16 activations; the next token's are `sum_stride` further.
    pub sums: *const i16,
    pub sum_stride: usize,
    /// Results of the first token, `panels * L` of them, which are added to; the next token's are `out_stride` further.
    pub out: *mut f32,
    pub out_stride: usize,
}

/// Other ways to multiply, for many tokens and for one. They must give the bits that [`micro`] gives.
pub(crate) trait Batch: Simd {
    /// Tokens from which on it is used.
    const LEAST: usize = usize::MAX;

    /// Adds panels times tokens to `m.out`. The panels are overwritten.
    ///
    /// # Safety
    /// The CPU has `Self`'s features; see [`Many`].
    unsafe fn many<Q: Quant>(m: &Many) {
        let _ = m;
        unreachable!("no number of tokens is at least usize::MAX");
    }

    /// Whether there is [`Batch::across`].
    const ACROSS: bool = false;

    /// The products of the rows of a panel, as they are in the file, with one token. Blocks are an f16 scale and 32 bytes.
    ///
    /// # Safety
    /// The CPU has `Self`'s features; see [`Across`].
    unsafe fn across(a: &Across) -> Self::F {
        let _ = a;
        unreachable!("ACROSS is false");
    }
}

/// What an instruction set provides: the functions below, compiled with its features.
pub(crate) trait PanelIsa: Batch {
    /// [`Quant::unpack`].
    unsafe fn unpack<Q: Quant>(u: &Unpack);
    /// [`direct::run`](super::direct::run).
    unsafe fn direct<Q: Direct, const T: usize>(job: &Job);
    /// [`micro`].
    unsafe fn micro<Q: Quant, const T: usize>(m: &Micro);
    /// [`correct`].
    unsafe fn correct<Q: Quant>(sums: *const i16, blocks: usize, to: *mut u32);
}

/// Sub-blocks of a token that corrections are kept for.
pub(crate) const SUBS: usize = MANY / 16;

/// Blocks of a row that are unpacked together, at most.
pub(crate) const BLOCKS: usize = MANY / 32;

#[repr(align(64))]
struct Scratch {
    panel: [MaybeUninit<u8>; MAX_ROWS * MANY],
    scales: [MaybeUninit<f32>; MAX_ROWS * BLOCKS],
    factors: [MaybeUninit<i32>; MAX_ROWS * SUBS],
    min_scales: [MaybeUninit<f32>; MAX_ROWS * BLOCKS],
    mins: [MaybeUninit<i32>; MAX_ROWS * SUBS / 2],
    corrections: [MaybeUninit<u32>; MAX_TILE * SUBS],
}

/// [`crate::MatKernel::mul`] for one format and instruction set. Entered in tables of instruction sets that the CPU has.
pub(crate) fn mul<S: PanelIsa, Q: Quant>(
    weights: Part<'_>,
    _next: Part<'_>,
    acts: &ActView<'_>,
    tokens: Range<usize>,
    out: &mut [f32],
) {
    check(Q::DTYPE, weights, acts, Q::ACT, &tokens, out);
    let Part { bytes: weights, rows } = weights;
    if acts.cols == 0 || rows == 0 || tokens.is_empty() {
        return out.fill(0.0);
    }
    let stride = acts.cols / Q::BLOCK * Q::BYTES;
    let run = Run { acts, tokens };
    // SAFETY: the table's owner has checked the CPU. `check` has checked that `weights` holds `rows` rows of `stride`
    // bytes, `out` `rows` elements per token, and the planes of `acts` all of `tokens`.
    unsafe {
        if rows >= S::L {
            run.all::<S, Q>(weights.as_ptr(), stride, rows, out);
        } else {
            run.padded::<S, Q>(weights, stride, rows, out);
        }
    }
}

/// The activations of one call.
struct Run<'a> {
    acts: &'a ActView<'a>,
    tokens: Range<usize>,
}

impl Run<'_> {
    /// At least `L` rows.
    unsafe fn all<S: PanelIsa, Q: Quant>(
        &self,
        weights: *const u8,
        stride: usize,
        rows: usize,
        out: &mut [f32],
    ) {
        let mut scratch = MaybeUninit::<Scratch>::uninit();
        let scratch = scratch.as_mut_ptr();
        let few = self.tokens.len() <= S::TILE;
        if few {
            fetch::<S>(weights, S::L * stride);
        }
        let mut row = 0;
        while row < rows {
            let panels = if few { 1 } else { S::PANELS.min((rows - row) / S::L).max(1) };
            let first = row.min(rows - S::L);
            self.group::<S, Q>(
                scratch,
                weights.add(first * stride),
                stride,
                panels,
                few,
                rows,
                &mut out[first..],
            );
            row = first + panels * S::L;
        }
    }

    /// Some panels, all tokens. `out` begins at the first row of the first token.
    #[expect(clippy::too_many_arguments, reason = "the state of three nested loops")]
    unsafe fn group<S: PanelIsa, Q: Quant>(
        &self,
        scratch: *mut Scratch,
        weights: *const u8,
        stride: usize,
        panels: usize,
        few: bool,
        rows: usize,
        out: &mut [f32],
    ) {
        for token in out.chunks_mut(rows) {
            token[..panels * S::L].fill(0.0);
        }
        let out = out.as_mut_ptr();
        let columns = if few { FEW } else { MANY };
        let mut from = 0;
        while from < self.acts.cols {
            let blocks = columns.min(self.acts.cols - from) / Q::BLOCK;
            for p in 0..panels {
                let (panel, bytes) = (weights.add(p * S::L * stride), from / Q::BLOCK * Q::BYTES);
                let first = panel.wrapping_add(panels * S::L * stride + bytes * Rows::run::<S>());
                let rows = Rows::consecutive::<S>(stride);
                let ahead = Ahead { first, stretch: rows.stretch };
                S::unpack::<Q>(&Unpack {
                    src: panel.add(bytes),
                    rows,
                    blocks,
                    to: Scratch::panel::<S>(scratch, p),
                    ahead,
                });
            }
            if self.tokens.len() >= S::LEAST {
                self.many::<S, Q>(scratch, panels, from, blocks, out, rows);
                from += blocks * Q::BLOCK;
                continue;
            }
            for (t, n) in tiles(self.tokens.len(), S::TILE) {
                self.tile::<S, Q>(scratch, panels, from, blocks, (t, n), out.add(t * rows), rows);
            }
            from += blocks * Q::BLOCK;
        }
    }

    /// Some panels times all tokens, in the instruction set's way for many.
    unsafe fn many<S: PanelIsa, Q: Quant>(
        &self,
        scratch: *mut Scratch,
        panels: usize,
        from: usize,
        blocks: usize,
        out: *mut f32,
        rows: usize,
    ) {
        let cols = self.acts.cols;
        let at = self.tokens.start * cols + from;
        S::many::<Q>(&Many {
            first: Scratch::panel::<S>(scratch, 0),
            panels,
            blocks,
            q: self.acts.q.as_ptr().add(self.tokens.start * self.acts.q_stride + from),
            q_stride: self.acts.q_stride,
            tokens: self.tokens.len(),
            act_scales: self.acts.scales.as_ptr().add(at / Q::BLOCK),
            act_stride: cols / Q::BLOCK,
            sums: self.acts.sums.as_ptr().add(at / 16),
            sum_stride: cols / 16,
            out,
            out_stride: rows,
        });
    }

    /// Some panels times `n` tokens.
    #[expect(clippy::too_many_arguments, reason = "the state of three nested loops")]
    unsafe fn tile<S: PanelIsa, Q: Quant>(
        &self,
        scratch: *mut Scratch,
        panels: usize,
        from: usize,
        blocks: usize,
        (t, n): (usize, usize),
        out: *mut f32,
        rows: usize,
    ) {
        let cols = self.acts.cols;
        let at = (self.tokens.start + t) * cols + from;
        let corrections = (&raw mut (*scratch).corrections).cast::<u32>();
        if Q::MIN || offset::<S, Q>() != 0 {
            for i in 0..n {
                let sums = self.acts.sums.as_ptr().add((at + i * cols) / 16);
                S::correct::<Q>(sums, blocks, corrections.add(i * SUBS));
            }
        }
        for p in 0..panels {
            let m = Micro {
                panel: Scratch::panel::<S>(scratch, p),
                blocks,
                q: self.acts.q.as_ptr().add((self.tokens.start + t) * self.acts.q_stride + from),
                q_stride: self.acts.q_stride,
                act_scales: self.acts.scales.as_ptr().add(at / Q::BLOCK),
                act_stride: cols / Q::BLOCK,
                corrections,
                out: out.add(p * S::L),
                out_stride: rows,
            };
            dispatch::<S, Q>(n, &m);
        }
    }

    /// Fewer than `L` rows: as many columns as fit are copied to a buffer of `L` rows.
    unsafe fn padded<S: PanelIsa, Q: Quant>(
        &self,
        weights: &[u8],
        stride: usize,
        rows: usize,
        out: &mut [f32],
    ) {
        let mut scratch = MaybeUninit::<Scratch>::uninit();
        let scratch = scratch.as_mut_ptr();
        let mut buffer = [0u8; 16 * FEW / 256 * 292];
        let mut results = [0.0f32; 16 * MAX_TILE];
        for (t, n) in tiles(self.tokens.len(), S::TILE) {
            results.fill(0.0);
            for from in (0..self.acts.cols).step_by(FEW) {
                let blocks = FEW.min(self.acts.cols - from) / Q::BLOCK;
                let bytes = blocks * Q::BYTES;
                for (to, row) in buffer.chunks_exact_mut(bytes).zip(weights.chunks_exact(stride)) {
                    to.copy_from_slice(&row[from / Q::BLOCK * Q::BYTES..][..bytes]);
                }
                let src = buffer.as_ptr();
                let ahead = Ahead { first: src, stretch: 0 };
                S::unpack::<Q>(&Unpack {
                    src,
                    rows: Rows::consecutive::<S>(bytes),
                    blocks,
                    to: Scratch::panel::<S>(scratch, 0),
                    ahead,
                });
                self.tile::<S, Q>(scratch, 1, from, blocks, (t, n), results.as_mut_ptr(), S::L);
            }
            for (to, from) in out[t * rows..].chunks_exact_mut(rows).zip(results.chunks_exact(S::L)).take(n) {
                to.copy_from_slice(&from[..rows]);
            }
        }
    }
}

impl Scratch {
    /// Panel number `p`.
    unsafe fn panel<S: Simd>(this: *mut Scratch, p: usize) -> Panel {
        Panel {
            weights: (&raw mut (*this).panel).cast::<u8>(),
            scales: (&raw mut (*this).scales).cast(),
            factors: (&raw mut (*this).factors).cast(),
            min_scales: (&raw mut (*this).min_scales).cast(),
            mins: (&raw mut (*this).mins).cast(),
        }
        .next::<S>(p)
    }
}

impl Panel {
    /// The panel that comes `n` later.
    #[inline(always)]
    pub(crate) unsafe fn next<S: Simd>(self, n: usize) -> Panel {
        let rows = n * S::L;
        Panel {
            weights: self.weights.add(rows * MANY),
            scales: self.scales.add(rows * BLOCKS),
            factors: self.factors.add(rows * SUBS),
            min_scales: self.min_scales.add(rows * BLOCKS),
            mins: self.mins.add(rows * SUBS / 2),
        }
    }
}

/// What is subtracted from unpacked weights.
pub(crate) const fn offset<S: Simd, Q: Quant>() -> i32 {
    if Q::FULL { S::OFFSET8 } else { Q::OFFSET }
}

/// Tokens in the fewest tiles, all of nearly the same size: first token and number of each.
fn tiles(tokens: usize, tile: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = tokens.div_ceil(tile);
    (0..count).map(move |i| {
        let start = i * tokens / count;
        (start, (i + 1) * tokens / count - start)
    })
}

unsafe fn dispatch<S: PanelIsa, Q: Quant>(tokens: usize, m: &Micro) {
    match tokens {
        1 => S::micro::<Q, 1>(m),
        2 => S::micro::<Q, 2>(m),
        3 => S::micro::<Q, 3>(m),
        4 => S::micro::<Q, 4>(m),
        5 => S::micro::<Q, 5>(m),
        6 => S::micro::<Q, 6>(m),
        7 => S::micro::<Q, 7>(m),
        8 => S::micro::<Q, 8>(m),
        9 => S::micro::<Q, 9>(m),
        10 => S::micro::<Q, 10>(m),
        11 => S::micro::<Q, 11>(m),
        12 => S::micro::<Q, 12>(m),
        _ => unreachable!("tiles have 1 to {MAX_TILE} tokens"),
    }
}

/// Corrections for `blocks` blocks from the sums of 16 activations.
///
/// # Safety
/// `sums` and `to` are valid for all sub-blocks.
#[inline(always)]
pub(crate) unsafe fn correct<S: Simd, Q: Quant>(sums: *const i16, blocks: usize, to: *mut u32) {
    let per = Q::SUB / 16;
    let sum = |i: usize| (0..per).map(|j| i32::from(*sums.add(i * per + j))).sum::<i32>();
    let subs = Q::BLOCK / Q::SUB;
    if !Q::MIN {
        for i in 0..blocks * subs {
            *to.add(i) = (-offset::<S, Q>() * sum(i)) as u32;
        }
    } else if subs == 1 {
        for i in 0..blocks {
            *to.add(i) = (sum(i) as f32).to_bits();
        }
    } else {
        for i in 0..blocks * subs / 2 {
            *to.add(i) = (sum(2 * i) & 0xffff | sum(2 * i + 1) << 16) as u32;
        }
    }
}

/// A panel times `T` tokens.
///
/// # Safety
/// The CPU has `S`'s features; see [`Micro`].
#[inline(always)]
pub(crate) unsafe fn micro<S: Simd, Q: Quant, const T: usize>(m: &Micro) {
    let subs = Q::BLOCK / Q::SUB;
    let Panel { mut weights, mut factors, mut mins, .. } = m.panel;
    let (mut q, mut corrections) = (m.q, m.corrections);
    // Blocks of one scale: sums stay in registers. Larger ones: added to memory once per block.
    let mut sums = [S::splat(0.0); T];
    if subs == 1 {
        for t in 0..T {
            sums[t] = S::load(m.out.add(t * m.out_stride));
        }
    }
    for b in 0..m.blocks {
        let mut products = [S::splat_i(0); T];
        for _ in 0..subs {
            let mut dots = [S::splat_i(0); T];
            if offset::<S, Q>() != 0 {
                for t in 0..T {
                    dots[t] = S::splat_i(*corrections.add(t * SUBS) as i32);
                }
                corrections = corrections.add(1);
            }
            for k in 0..Q::SUB / 4 {
                let w = weights.add(k * 4 * S::L);
                let w = if Q::FULL { S::load_w::<true>(w) } else { S::load_w::<false>(w) };
                for t in 0..T {
                    let x = q.add(t * m.q_stride + 4 * k);
                    dots[t] =
                        if Q::FULL { S::dot::<true>(dots[t], w, x) } else { S::dot::<false>(dots[t], w, x) };
                }
            }
            if subs == 1 {
                products = dots;
            } else {
                let factor = S::load_i(factors);
                for t in 0..T {
                    products[t] = S::add_i(products[t], S::mul_i(dots[t], factor));
                }
                factors = factors.add(S::L);
            }
            weights = weights.add(Q::SUB * S::L);
            q = q.add(Q::SUB);
        }
        let scale = S::load(m.panel.scales.add(b * S::L));
        for t in 0..T {
            let act_scale = S::splat(*m.act_scales.add(t * m.act_stride + b));
            if subs > 1 {
                sums[t] = S::load(m.out.add(t * m.out_stride));
            }
            sums[t] = S::fma(S::to_f(products[t]), S::mul(scale, act_scale), sums[t]);
        }
        if Q::MIN {
            let min_scale = S::load(m.panel.min_scales.add(b * S::L));
            for t in 0..T {
                let act_scale = S::splat(*m.act_scales.add(t * m.act_stride + b));
                let min = if subs == 1 {
                    S::splat(f32::from_bits(*corrections.add(t * SUBS)))
                } else {
                    let mut sum = S::splat_i(0);
                    for pair in 0..subs / 2 {
                        let min = S::load_i(mins.add(pair * S::L));
                        sum = S::dot_pairs(sum, min, corrections.add(t * SUBS + pair).cast());
                    }
                    S::to_f(sum)
                };
                sums[t] = S::fnma(min, S::mul(min_scale, act_scale), sums[t]);
            }
            mins = mins.add(subs / 2 * S::L);
            corrections = corrections.add((subs / 2).max(1));
        }
        if subs > 1 {
            for t in 0..T {
                S::store(m.out.add(t * m.out_stride), sums[t]);
            }
        }
    }
    if subs == 1 {
        for t in 0..T {
            S::store(m.out.add(t * m.out_stride), sums[t]);
        }
    }
}
