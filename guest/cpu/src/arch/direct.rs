//! Integer weights times a few tokens, straight from their blocks: no panel is written and read again, so that there is
//! little to do but wait for memory. The same integers meet the same f32 operations as in [`panel`](super::panel).
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "raw pointers into checked slices; instruction sets")]
#![expect(clippy::needless_range_loop, reason = "indices run over pointers as well")]

use super::panel::{self, Ahead, BLOCKS, Batch, MANY, Panel, PanelIsa, Quant, SUBS, Unpack, offset};
use super::simd::{Rows, STREAMS, Simd, fetch};
use super::unpack::{GATHER, Q4_0, Q4_K, Q5_K, Q6_K, Q8_0, k_scales, q6_scales, small_scales};
use crate::act::ActView;
use crate::arch::portable::check;
use crate::kernels::Part;
use core::mem::MaybeUninit;
use core::ops::Range;

/// Most tokens that are computed this way.
const FEW: usize = 4;
/// Bytes of each row that are prefetched before the first panel.
const FIRST: usize = 512;
/// Most lanes of any instruction set.
const MAX_L: usize = 16;

/// A format whose blocks are multiplied as they are read.
pub(crate) trait Direct: Quant + Sized {
    /// Blocks whose scales are read together.
    const HEADS: usize = GATHER;

    /// Whether [`Batch::across`] is for this format: blocks of an f16 and 32 bytes.
    const ACROSS: bool = false;

    /// Scales, factors and minima of some blocks to `u.to`. Unless a format says otherwise: the lone f16 of each block.
    ///
    /// # Safety
    /// The CPU has `S`'s features; see [`Unpack`].
    #[inline(always)]
    unsafe fn heads<S: Simd>(u: &Unpack, from: usize, blocks: usize) {
        small_scales::<S, Self>(u, from, blocks);
    }

    /// The product of block `b` of each row with the same columns of `T` tokens, in integers.
    ///
    /// # Safety
    /// The CPU has `S`'s features; see [`Unpack`] and [`Tokens`]; the block's scales are in `u.to`.
    unsafe fn block<S: Simd, const T: usize>(u: &Unpack, b: usize, x: &Tokens) -> [S::I; T];
}

/// The rows of a panel and a token, for [`Batch::across`].
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only AVX-512 has it"))]
pub(crate) struct Across {
    /// The first row.
    pub src: *const u8,
    pub rows: Rows,
    /// What is read after each run of rows.
    pub ahead: Ahead,
    /// Of a row.
    pub blocks: usize,
    pub q: *const i8,
    /// By block.
    pub scales: *const f32,
    /// Of 16 elements each.
    pub sums: *const i16,
}

/// The columns of a block of some tokens.
pub(crate) struct Tokens {
    /// Of the first token; the next one's are `q_stride` further.
    q: *const i8,
    q_stride: usize,
    /// As in [`panel::Micro`], of the block's first sub-block; the next token's are [`SUBS`] further.
    corrections: *const u32,
}

/// Panels times `T` tokens.
pub(crate) struct Job {
    weights: *const u8,
    /// Bytes of a row, of which there are `rows`.
    stride: usize,
    rows: usize,
    /// What is read after the last panel.
    next: Ahead,
    cols: usize,
    q: *const i8,
    q_stride: usize,
    act_scales: *const f32,
    sums: *const i16,
    /// Rows of `rows` results.
    out: *mut f32,
}

#[repr(align(64))]
struct Scratch {
    scales: [MaybeUninit<f32>; MAX_L * BLOCKS],
    factors: [MaybeUninit<i32>; MAX_L * SUBS],
    min_scales: [MaybeUninit<f32>; MAX_L * BLOCKS],
    mins: [MaybeUninit<i32>; MAX_L * SUBS / 2],
    corrections: [MaybeUninit<u32>; FEW * SUBS],
}

/// [`panel::mul`], or this for a few tokens.
pub(crate) fn mul<S: PanelIsa, Q: Direct>(
    weights: Part<'_>,
    next: Part<'_>,
    acts: &ActView<'_>,
    tokens: Range<usize>,
    out: &mut [f32],
) {
    if weights.rows < S::L || !few::<S, Q>(weights, next, acts, &tokens, out) {
        panel::mul::<S, Q>(weights, next, acts, tokens, out);
    }
}

/// At least `S::L` rows. Says whether they were few.
fn few<S: PanelIsa, Q: Direct>(
    weights: Part<'_>,
    next: Part<'_>,
    acts: &ActView<'_>,
    tokens: &Range<usize>,
    out: &mut [f32],
) -> bool {
    if tokens.is_empty() || tokens.len() > FEW || acts.cols == 0 {
        return false;
    }
    check(Q::DTYPE, weights, acts, Q::ACT, tokens, out);
    let (cols, first) = (acts.cols, tokens.start);
    // What follows in memory, unless something is announced.
    let (own, next) = (streams::<S>(weights), streams::<S>(next));
    let next = if next.stretch > 0 { next } else { own.skip(STREAMS * own.stretch) };
    // SAFETY: the table's owner has checked the CPU. `check` has checked that `weights` holds `rows` rows, `out` `rows`
    // elements per token, and the planes of `acts` all of `tokens`.
    unsafe {
        let job = Job {
            weights: weights.bytes.as_ptr(),
            stride: cols / Q::BLOCK * Q::BYTES,
            rows: weights.rows,
            next,
            cols,
            q: acts.q.as_ptr().add(first * acts.q_stride),
            q_stride: acts.q_stride,
            act_scales: acts.scales.as_ptr().add(first * (cols / Q::BLOCK)),
            sums: acts.sums.as_ptr().add(first * (cols / 16)),
            out: out.as_mut_ptr(),
        };
        match tokens.len() {
            1 => S::direct::<Q, 1>(&job),
            2 => S::direct::<Q, 2>(&job),
            3 => S::direct::<Q, 3>(&job),
            _ => S::direct::<Q, 4>(&job),
        }
    }
    true
}

/// The streams of a part: where the first panel begins, and how far apart they are. 0 where there is no whole panel.
fn streams<S: Simd>(part: Part<'_>) -> Ahead {
    let stride = part.bytes.len() / part.rows.max(1);
    Ahead { first: part.bytes.as_ptr(), stretch: part.rows / S::L * Rows::run::<S>() * stride }
}

/// All panels of a job.
///
/// # Safety
/// The CPU has `S`'s features; see [`Job`].
#[inline(always)]
pub(crate) unsafe fn run<S: Batch, Q: Direct, const T: usize>(job: &Job) {
    let mut scratch = MaybeUninit::<Scratch>::uninit();
    let scratch = scratch.as_mut_ptr();
    let to = Panel {
        weights: core::ptr::null_mut(),
        scales: (&raw mut (*scratch).scales).cast(),
        factors: (&raw mut (*scratch).factors).cast(),
        min_scales: (&raw mut (*scratch).min_scales).cast(),
        mins: (&raw mut (*scratch).mins).cast(),
    };
    let corrections = (&raw mut (*scratch).corrections).cast::<u32>();
    // A panel is some runs of neighbours that are far apart, and the next panel is what follows each of them: as many streams
    // as there are runs, which costs less than one where pages are small.
    let (whole, run) = (job.rows / S::L, Rows::run::<S>());
    let rows = Rows { stride: job.stride, stretch: whole * run * job.stride };
    // Along rows, each is read from its first byte to its last, as the CPU expects it.
    if !across::<S, Q, T>() {
        for row in 0..S::L {
            fetch::<S>(job.weights.wrapping_add(rows.at::<S>(row)), job.stride.min(FIRST));
        }
    }
    for i in 0..whole {
        let weights = job.weights.add(i * run * job.stride);
        let follows = Ahead { first: weights.wrapping_add(run * job.stride), stretch: rows.stretch };
        let ahead = if i + 1 < whole { follows } else { job.next };
        let sums = one::<S, Q, T>(job, weights, rows, ahead, to, corrections);
        for t in 0..T {
            let mut lanes = [0.0; MAX_L];
            S::store(lanes.as_mut_ptr(), sums[t]);
            for stream in 0..STREAMS {
                let lanes = lanes.as_ptr().add(stream * run);
                let out = job.out.add(t * job.rows + (stream * whole + i) * run);
                lanes.copy_to_nonoverlapping(out, run);
            }
        }
    }
    if whole * S::L < job.rows {
        let first = job.rows - S::L;
        let weights = job.weights.add(first * job.stride);
        let rows = Rows::consecutive::<S>(job.stride);
        let sums = one::<S, Q, T>(job, weights, rows, job.next, to, corrections);
        for t in 0..T {
            S::store(job.out.add(t * job.rows + first), sums[t]);
        }
    }
}

/// Whether rows are multiplied along themselves.
const fn across<S: Batch, Q: Direct, const T: usize>() -> bool {
    Q::ACROSS && S::ACROSS && T == 1
}

/// A panel.
#[inline(always)]
unsafe fn one<S: Batch, Q: Direct, const T: usize>(
    job: &Job,
    weights: *const u8,
    rows: Rows,
    ahead: Ahead,
    to: Panel,
    corrections: *mut u32,
) -> [S::F; T] {
    if across::<S, Q, T>() {
        let blocks = job.cols / Q::BLOCK;
        let (q, scales, sums) = (job.q, job.act_scales, job.sums);
        return [S::across(&Across { src: weights, rows, ahead, blocks, q, scales, sums }); T];
    }
    let mut sums = [S::splat(0.0); T];
    for from in (0..job.cols).step_by(MANY) {
        let blocks = MANY.min(job.cols - from) / Q::BLOCK;
        if Q::MIN || offset::<S, Q>() != 0 {
            for t in 0..T {
                let sums = job.sums.add((t * job.cols + from) / 16);
                panel::correct::<S, Q>(sums, blocks, corrections.add(t * SUBS));
            }
        }
        let bytes = from / Q::BLOCK * Q::BYTES;
        let (src, ahead) = (weights.add(bytes), ahead.skip(bytes * Rows::run::<S>()));
        let u = Unpack { src, rows, blocks, to, ahead };
        columns::<S, Q, T>(job, &u, from, corrections, &mut sums);
    }
    sums
}

/// Some blocks of a panel.
#[inline(always)]
unsafe fn columns<S: Simd, Q: Direct, const T: usize>(
    job: &Job,
    u: &Unpack,
    from: usize,
    corrections: *const u32,
    sums: &mut [S::F; T],
) {
    let (subs, act_stride) = (Q::BLOCK / Q::SUB, job.cols / Q::BLOCK);
    for b in 0..u.blocks {
        if b % Q::HEADS == 0 {
            Q::heads::<S>(u, b, Q::HEADS.min(u.blocks - b));
        }
        let per_block = if Q::MIN { subs / 2 } else { subs };
        let corrections = corrections.add(b * per_block);
        let q = job.q.add(from + b * Q::BLOCK);
        let products = Q::block::<S, T>(u, b, &Tokens { q, q_stride: job.q_stride, corrections });
        let act_scales = job.act_scales.add(from / Q::BLOCK + b);
        let scale = S::load(u.to.scales.add(b * S::L));
        for t in 0..T {
            let act_scale = S::splat(*act_scales.add(t * act_stride));
            sums[t] = S::fma(S::to_f(products[t]), S::mul(scale, act_scale), sums[t]);
            if Q::MIN {
                let mut min = S::splat_i(0);
                for pair in 0..subs / 2 {
                    let mins = S::load_i(u.to.mins.add((b * (subs / 2) + pair) * S::L));
                    min = S::dot_pairs(min, mins, corrections.add(t * SUBS + pair).cast());
                }
                let min_scale = S::load(u.to.min_scales.add(b * S::L));
                sums[t] = S::fnma(S::to_f(min), S::mul(min_scale, act_scale), sums[t]);
            }
        }
    }
}

/// Adds the products of 4 weights of each row with elements `at..at + 4` of each token.
#[inline(always)]
unsafe fn dot<S: Simd, const FULL: bool, const T: usize>(
    sums: &mut [S::I; T],
    w: S::I,
    x: &Tokens,
    at: usize,
) {
    let w = S::as_w::<FULL>(w);
    for t in 0..T {
        sums[t] = S::dot::<FULL>(sums[t], w, x.q.add(t * x.q_stride + at));
    }
}

/// What the sums of sub-block `sub` begin with.
#[inline(always)]
unsafe fn begin<S: Simd, Q: Quant, const T: usize>(x: &Tokens, sub: usize) -> [S::I; T] {
    let mut sums = [S::splat_i(0); T];
    if offset::<S, Q>() != 0 {
        for t in 0..T {
            sums[t] = S::splat_i(*x.corrections.add(t * SUBS + sub) as i32);
        }
    }
    sums
}

/// Adds sums times the factors of sub-block `sub` of block `b`.
#[inline(always)]
unsafe fn add_scaled<S: Simd, Q: Quant, const T: usize>(
    products: &mut [S::I; T],
    sums: [S::I; T],
    u: &Unpack,
    b: usize,
    sub: usize,
) {
    let factor = S::load_i(u.to.factors.add((b * (Q::BLOCK / Q::SUB) + sub) * S::L));
    for t in 0..T {
        products[t] = S::add_i(products[t], S::mul_i(sums[t], factor));
    }
}

impl Direct for Q8_0 {
    const ACROSS: bool = true;

    #[inline(always)]
    unsafe fn block<S: Simd, const T: usize>(u: &Unpack, b: usize, x: &Tokens) -> [S::I; T] {
        let signs = S::splat_i(0x8080_8080_u32 as i32);
        let (mut first, mut second) = (begin::<S, Self, T>(x, 0), [S::splat_i(0); T]);
        let (low, high) = (u.chunk::<S, Self, 2>(b, 0, 2), u.chunk::<S, Self, 2>(b, 1, 18));
        for i in 0..4 {
            let offset = |c| if S::OFFSET8 == 0 { c } else { S::xor(c, signs) };
            dot::<S, true, T>(&mut first, offset(low[i]), x, 4 * i);
            dot::<S, true, T>(&mut second, offset(high[i]), x, 16 + 4 * i);
        }
        core::array::from_fn(|t| S::add_i(first[t], second[t]))
    }
}

impl Direct for Q4_0 {
    #[inline(always)]
    unsafe fn block<S: Simd, const T: usize>(u: &Unpack, b: usize, x: &Tokens) -> [S::I; T] {
        let low = S::splat_i(0x0f0f_0f0f);
        let (mut first, mut second) = (begin::<S, Self, T>(x, 0), [S::splat_i(0); T]);
        let chunk = u.chunk::<S, Self, 1>(b, 0, 2);
        for i in 0..4 {
            dot::<S, false, T>(&mut first, S::and(chunk[i], low), x, 4 * i);
            dot::<S, false, T>(&mut second, S::and(S::shr::<4>(chunk[i]), low), x, 16 + 4 * i);
        }
        core::array::from_fn(|t| S::add_i(first[t], second[t]))
    }
}

impl Direct for Q4_K {
    const HEADS: usize = 1;

    #[inline(always)]
    unsafe fn heads<S: Simd>(u: &Unpack, b: usize, _: usize) {
        k_scales::<S>(u, b, u.chunk::<S, Self, 9>(b, 0, 0));
    }

    #[inline(always)]
    unsafe fn block<S: Simd, const T: usize>(u: &Unpack, b: usize, x: &Tokens) -> [S::I; T] {
        let low = S::splat_i(0x0f0f_0f0f);
        let mut products = [S::splat_i(0); T];
        for g in 0..4 {
            let (mut first, mut second) = ([S::splat_i(0); T], [S::splat_i(0); T]);
            for half in 0..2 {
                let c = 2 * g + half;
                let chunk = u.chunk::<S, Self, 9>(b, 1 + c, 16 + c * 16);
                for i in 0..4 {
                    let at = 64 * g + 16 * half + 4 * i;
                    dot::<S, false, T>(&mut first, S::and(chunk[i], low), x, at);
                    dot::<S, false, T>(&mut second, S::and(S::shr::<4>(chunk[i]), low), x, at + 32);
                }
            }
            add_scaled::<S, Self, T>(&mut products, first, u, b, 2 * g);
            add_scaled::<S, Self, T>(&mut products, second, u, b, 2 * g + 1);
        }
        products
    }
}

impl Direct for Q5_K {
    const HEADS: usize = 1;

    #[inline(always)]
    unsafe fn heads<S: Simd>(u: &Unpack, b: usize, _: usize) {
        k_scales::<S>(u, b, u.chunk::<S, Self, 11>(b, 0, 0));
    }

    #[inline(always)]
    unsafe fn block<S: Simd, const T: usize>(u: &Unpack, b: usize, x: &Tokens) -> [S::I; T] {
        let (low, bit) = (S::splat_i(0x0f0f_0f0f), S::splat_i(0x1010_1010));
        let mut products = [S::splat_i(0); T];
        let mut fifth = [u.chunk::<S, Self, 11>(b, 1, 16), u.chunk::<S, Self, 11>(b, 2, 32)];
        for g in 0..4 {
            let (mut first, mut second) = ([S::splat_i(0); T], [S::splat_i(0); T]);
            for half in 0..2 {
                let c = 2 * g + half;
                let chunk = u.chunk::<S, Self, 11>(b, 3 + c, 48 + c * 16);
                for i in 0..4 {
                    let at = 64 * g + 16 * half + 4 * i;
                    // Bits 2g and 2g + 1 are at the bottom; whole bytes stay apart below bit 4.
                    let bits = fifth[half][i];
                    fifth[half][i] = S::shr::<2>(bits);
                    let w = S::or(S::and(chunk[i], low), S::and(S::shl::<4>(bits), bit));
                    dot::<S, false, T>(&mut first, w, x, at);
                    let w = S::or(S::and(S::shr::<4>(chunk[i]), low), S::and(S::shl::<3>(bits), bit));
                    dot::<S, false, T>(&mut second, w, x, at + 32);
                }
            }
            add_scaled::<S, Self, T>(&mut products, first, u, b, 2 * g);
            add_scaled::<S, Self, T>(&mut products, second, u, b, 2 * g + 1);
        }
        products
    }
}

impl Direct for Q6_K {
    const HEADS: usize = 1;

    #[inline(always)]
    unsafe fn heads<S: Simd>(u: &Unpack, b: usize, _: usize) {
        q6_scales::<S>(u, b);
    }

    #[inline(always)]
    unsafe fn block<S: Simd, const T: usize>(u: &Unpack, b: usize, x: &Tokens) -> [S::I; T] {
        let (low, upper) = (S::splat_i(0x0f0f_0f0f), S::splat_i(0x3030_3030));
        let mut products = [S::splat_i(0); T];
        for part in 0..4 {
            let (half, quarter) = (part / 2, part % 2);
            let first = u.chunk::<S, Self, 13>(b, 1 + 3 * part, half * 64 + quarter * 16);
            let second = u.chunk::<S, Self, 13>(b, 2 + 3 * part, half * 64 + 32 + quarter * 16);
            let bits = u.chunk::<S, Self, 13>(b, 3 + 3 * part, 128 + half * 32 + quarter * 16);
            let sub = |j: usize| half * 8 + j * 2 + quarter;
            let mut sums: [[S::I; T]; 4] = core::array::from_fn(|j| begin::<S, Self, T>(x, sub(j)));
            for i in 0..4 {
                let (a, c, u) = (first[i], second[i], bits[i]);
                let at = half * 128 + quarter * 16 + 4 * i;
                let w = S::or(S::and(a, low), S::and(S::shl::<4>(u), upper));
                dot::<S, false, T>(&mut sums[0], w, x, at);
                let w = S::or(S::and(c, low), S::and(S::shl::<2>(u), upper));
                dot::<S, false, T>(&mut sums[1], w, x, at + 32);
                let w = S::or(S::and(S::shr::<4>(a), low), S::and(u, upper));
                dot::<S, false, T>(&mut sums[2], w, x, at + 64);
                let w = S::or(S::and(S::shr::<4>(c), low), S::and(S::shr::<2>(u), upper));
                dot::<S, false, T>(&mut sums[3], w, x, at + 96);
            }
            for (j, sums) in sums.into_iter().enumerate() {
                add_scaled::<S, Self, T>(&mut products, sums, u, b, sub(j));
            }
        }
        products
    }
}
