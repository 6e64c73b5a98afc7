//! AVX-512 with VNNI, and AMX for many tokens: 16 tokens times 16 rows times 64 columns an instruction.
//!
//! A panel of 16 rows is laid out as the second operand of `tdpbssd` wants it. Where a block has several factors, they
//! are multiplied into the weights first; products of more than 8 bits are split into `128 * high + low`, so that a
//! whole block is added up in the tile, exactly. Either way the same integers come out as in `panel::micro`, and meet
//! the same f32 operations.
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "instruction set")]

use super::across;
use super::avx512::Avx512;
use crate::arch::Isa;
use crate::arch::direct::Across;
use crate::arch::panel::{Batch, MAX_ROWS, Many, Panel, Quant, offset};
use core::arch::asm;
use core::arch::x86_64::*;
use core::mem::MaybeUninit;

type Amx = Avx512<true>;

/// Rows of a tile: tokens of the first operand.
const ROWS: usize = 16;
/// Columns unpacked together, at most: the size of a panel's buffers.
const COLUMNS: usize = 1024;
/// Bytes of a row of a panel, of a tile of i32, of 16 rows' f32.
const LINE: usize = 64;
/// Blocks of one factor that are multiplied together.
const BLOCKS: usize = 4;
/// Pairs of minima of a block, at most.
const PAIRS: usize = 8;

impl Batch for Amx {
    const ACROSS: bool = true;

    #[inline(always)]
    unsafe fn across(a: &Across) -> __m512 {
        across::across(a)
    }

    const LEAST: usize = 16;

    unsafe fn many<Q: Quant>(m: &Many) {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
        unsafe fn shell<Q: Quant>(m: &Many) {
            many::<Q>(m);
        }
        shell::<Q>(m);
    }
}

/// i32 in four tiles of sums.
const SUMS: usize = 4 * 16 * ROWS;
/// Two tiles of tokens that meet a panel one after the other: so many that they and the panel stay in the L1 cache.
const GROUP: usize = 2;
/// Pairs of sums of activations of two tiles of tokens.
const TILE_PAIRS: usize = 2 * ROWS * PAIRS;

/// Scratch of one call. What two tiles leave is worked off while the next two are multiplied: hence two of everything.
#[repr(align(64))]
struct Scratch {
    /// Lower parts of split products, laid out as the panels' weights.
    low: [MaybeUninit<u8>; MAX_ROWS * COLUMNS],
    /// Four tiles, `(ROWS, 16)` each, twice.
    sums: [MaybeUninit<i32>; 2 * SUMS],
    /// `(GROUP * 2 * ROWS, PAIRS)`, twice.
    pairs: [MaybeUninit<u32>; 2 * GROUP * TILE_PAIRS],
}

/// What a step multiplies: `rows` tokens from `t`, panel `p`, blocks from `b`.
#[derive(Clone, Copy)]
struct Work {
    t: usize,
    rows: usize,
    p: usize,
    b: usize,
    /// Sums of the step.
    sums: *mut i32,
    /// Pairs of the step's tokens.
    pairs: *mut u32,
}

#[inline(always)]
unsafe fn many<Q: Quant>(m: &Many) {
    let mut scratch = MaybeUninit::<Scratch>::uninit();
    let scratch = scratch.as_mut_ptr();
    let low = (&raw mut (*scratch).low).cast::<u8>();
    for p in 0..m.panels {
        let panel = m.first.next::<Amx>(p);
        if Q::SUB == Q::BLOCK {
            centre::<Q>(&panel, m.blocks);
        } else {
            multiply::<Q>(&panel, m.blocks, low.add(p * 16 * COLUMNS));
        }
    }
    // All tiles of one shape, then what is left.
    let step = if Q::SUB == Q::BLOCK { ROWS } else { 2 * ROWS };
    let whole = m.tokens / step * step;
    for (from, to) in [(0, whole), (whole, m.tokens)] {
        if from == to {
            continue;
        }
        let rows = step.min(to - from);
        if Q::SUB == Q::BLOCK {
            configure(rows, rows, 32);
            simple::<Q>(m, scratch, from..to, rows);
        } else {
            configure(rows.min(ROWS), rows.saturating_sub(ROWS).max(1), 64);
            factored::<Q>(m, scratch, from..to, rows);
        }
    }
    asm!("tilerelease", options(nostack, nomem));
}

/// Sets the tiles' shapes: sums 0 and 1 and activations 4 have `first` rows, sums 2 and 3 and activations 5 `second`;
/// activations are `columns` bytes wide.
pub(super) unsafe fn configure(first: usize, second: usize, columns: usize) {
    #[repr(C, align(64))]
    struct Config {
        palette: u8,
        start: u8,
        reserved: [u8; 14],
        row_bytes: [u16; 16],
        rows: [u8; 16],
    }
    let mut config = Config { palette: 1, start: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
    let (a, b, c, k) = (first as u8, second as u8, LINE as u16, columns as u16);
    config.row_bytes[..8].copy_from_slice(&[c, c, c, c, k, k, c, c]);
    let k = (columns / 4) as u8;
    config.rows[..8].copy_from_slice(&[a, a, b, b, a, b, k, k]);
    asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly));
}

/// Weights of blocks of one scale, as signed bytes.
#[inline(always)]
unsafe fn centre<Q: Quant>(panel: &Panel, blocks: usize) {
    if offset::<Amx, Q>() == 0 {
        return;
    }
    let offset = _mm512_set1_epi8(offset::<Amx, Q>() as i8);
    for i in 0..blocks * Q::BLOCK / 4 {
        let at = panel.weights.add(i * LINE);
        _mm512_storeu_si512(at.cast(), _mm512_sub_epi8(_mm512_loadu_si512(at.cast()), offset));
    }
}

/// Weights times their factors: signed bytes, or the upper parts (to the panel) and lower parts (0 to 127, to `low`).
#[inline(always)]
unsafe fn multiply<Q: Quant>(panel: &Panel, blocks: usize, low: *mut u8) {
    let (byte, seven) = (_mm512_set1_epi16(0xff), _mm512_set1_epi16(127));
    let offset = _mm512_set1_epi16(offset::<Amx, Q>() as i16);
    for j in 0..blocks * (Q::BLOCK / Q::SUB) {
        let factor = _mm512_loadu_si512(panel.factors.add(j * 16).cast());
        let factor = _mm512_mask_blend_epi16(0xaaaa_aaaa, factor, _mm512_slli_epi32::<16>(factor));
        for i in 0..Q::SUB / 4 {
            let at = (j * (Q::SUB / 4) + i) * LINE;
            let w = _mm512_loadu_si512(panel.weights.add(at).cast());
            let (even, odd) = (_mm512_and_si512(w, byte), _mm512_srli_epi16::<8>(w));
            let even = _mm512_mullo_epi16(_mm512_sub_epi16(even, offset), factor);
            let odd = _mm512_mullo_epi16(_mm512_sub_epi16(odd, offset), factor);
            let upper =
                |even, odd| _mm512_mask_blend_epi8(0xaaaa_aaaa_aaaa_aaaa, even, _mm512_slli_epi16::<8>(odd));
            if Q::WIDE {
                let high = upper(_mm512_srai_epi16::<7>(even), _mm512_srai_epi16::<7>(odd));
                _mm512_storeu_si512(panel.weights.add(at).cast(), high);
                let lower = upper(_mm512_and_si512(even, seven), _mm512_and_si512(odd, seven));
                _mm512_storeu_si512(low.add(at).cast(), lower);
            } else {
                _mm512_storeu_si512(panel.weights.add(at).cast(), upper(even, odd));
            }
        }
    }
}

impl Work {
    /// A quarter of the tokens of the step.
    #[inline(always)]
    fn quarter(&self, quarter: usize) -> core::ops::Range<usize> {
        self.rows * quarter / 4..self.rows * (quarter + 1) / 4
    }
}

/// Blocks of one scale, for some tokens, `rows` at a time.
#[inline(always)]
unsafe fn simple<Q: Quant>(m: &Many, scratch: *mut Scratch, tokens: core::ops::Range<usize>, rows: usize) {
    let sums = (&raw mut (*scratch).sums).cast::<i32>();
    let (mut last, mut turn): (Option<(Work, usize)>, usize) = (None, 0);
    for t in tokens.step_by(rows) {
        for p in 0..m.panels {
            let weights = m.first.next::<Amx>(p).weights;
            let mut b = 0;
            while b < m.blocks {
                let n = if m.blocks - b >= BLOCKS { BLOCKS } else { 1 };
                let (a, w) = (m.q.add(t * m.q_stride + b * 32), weights.add(b * 32 * 16));
                let work = Work { t, rows, p, b, sums: sums.add(turn * SUMS), pairs: core::ptr::null_mut() };
                turn ^= 1;
                block_0(a, m.q_stride, w);
                scale_quarter::<Q>(m, &last, 0);
                if n == BLOCKS {
                    block_1(a.add(32), m.q_stride, w.add(512));
                }
                scale_quarter::<Q>(m, &last, 1);
                if n == BLOCKS {
                    block_2(a.add(64), m.q_stride, w.add(1024));
                }
                scale_quarter::<Q>(m, &last, 2);
                if n == BLOCKS {
                    block_3(a.add(96), m.q_stride, w.add(1536));
                }
                scale_quarter::<Q>(m, &last, 3);
                if n == BLOCKS {
                    store_four(work.sums)
                } else {
                    store_one(work.sums)
                }
                last = Some((work, n));
                b += n;
            }
        }
    }
    (0..4).for_each(|quarter| scale_quarter::<Q>(m, &last, quarter));
}

/// A quarter of the tokens of [`scale`].
#[inline(always)]
unsafe fn scale_quarter<Q: Quant>(m: &Many, work: &Option<(Work, usize)>, quarter: usize) {
    match work {
        Some((work, BLOCKS)) => scale::<Q, BLOCKS>(m, work, work.quarter(quarter)),
        Some((work, _)) => scale::<Q, 1>(m, work, work.quarter(quarter)),
        None => {}
    }
}

/// Sums of `N` blocks of one scale to the results.
#[inline(always)]
unsafe fn scale<Q: Quant, const N: usize>(m: &Many, work: &Work, rows: core::ops::Range<usize>) {
    let Work { t, p, b, sums, .. } = *work;
    let panel = m.first.next::<Amx>(p);
    let (mut scales, mut min_scales) = ([_mm512_setzero_ps(); N], [_mm512_setzero_ps(); N]);
    for i in 0..N {
        scales[i] = _mm512_loadu_ps(panel.scales.add((b + i) * 16));
        if Q::MIN {
            min_scales[i] = _mm512_loadu_ps(panel.min_scales.add((b + i) * 16));
        }
    }
    for r in rows {
        let out = m.out.add((t + r) * m.out_stride + p * 16);
        let act_scales = m.act_scales.add((t + r) * m.act_stride + b);
        let mut sum = _mm512_loadu_ps(out);
        for i in 0..N {
            let act_scale = _mm512_set1_ps(*act_scales.add(i));
            let product = _mm512_cvtepi32_ps(_mm512_loadu_si512(sums.add((i * ROWS + r) * 16).cast()));
            sum = _mm512_fmadd_ps(product, _mm512_mul_ps(scales[i], act_scale), sum);
            if Q::MIN {
                let s = m.sums.add((t + r) * m.sum_stride + (b + i) * 2);
                let q = (i32::from(*s) + i32::from(*s.add(1))) as f32;
                sum = _mm512_fnmadd_ps(_mm512_set1_ps(q), _mm512_mul_ps(min_scales[i], act_scale), sum);
            }
        }
        _mm512_storeu_ps(out, sum);
    }
}

/// Blocks of several factors, for some tokens, `rows` (up to two tiles) at a time.
#[inline(always)]
unsafe fn factored<Q: Quant>(m: &Many, scratch: *mut Scratch, tokens: core::ops::Range<usize>, rows: usize) {
    let sums = (&raw mut (*scratch).sums).cast::<i32>();
    let pairs = (&raw mut (*scratch).pairs).cast::<u32>();
    let low = (&raw mut (*scratch).low).cast::<u8>();
    let (mut last, mut turn, mut tile) = (None, 0, 0);
    for first in tokens.clone().step_by(GROUP * rows) {
        let group = first..tokens.end.min(first + GROUP * rows);
        for b in 0..m.blocks {
            let pairs = pairs.add(tile * GROUP * TILE_PAIRS);
            tile ^= 1;
            if Q::MIN {
                for t in group.clone() {
                    pair_sums::<Q>(m.sums.add(t * m.sum_stride + b * 16), pairs.add((t - first) * PAIRS));
                }
            }
            for p in 0..m.panels {
                let high = m.first.next::<Amx>(p).weights.add(b * 256 * 16);
                let low = low.add(p * 16 * COLUMNS + b * 256 * 16);
                for t in group.clone().step_by(rows) {
                    let pairs = pairs.add((t - first) * PAIRS);
                    let work = Work { t, rows, p, b, sums: sums.add(turn * SUMS), pairs };
                    turn ^= 1;
                    let a = m.q.add(t * m.q_stride + b * 256);
                    zero();
                    for k in 0..4 {
                        let (a, high, low) = (a.add(64 * k), high.add(1024 * k), low.add(1024 * k));
                        match (Q::WIDE, rows > ROWS) {
                            (true, true) => wide_pair(a, m.q_stride, high, low),
                            (true, false) => wide_single(a, m.q_stride, high, low),
                            (false, true) => narrow_pair(a, m.q_stride, high),
                            (false, false) => narrow_single(a, m.q_stride, high),
                        }
                        scale_block::<Q>(m, &last, k);
                    }
                    match (Q::WIDE, rows > ROWS) {
                        (true, true) => store_four(work.sums),
                        (true, false) => store_upper_lower(work.sums),
                        (false, true) => store_upper_two(work.sums),
                        (false, false) => store_one(work.sums),
                    }
                    last = Some(work);
                }
            }
        }
    }
    (0..4).for_each(|quarter| scale_block::<Q>(m, &last, quarter));
}

/// Pairs of sums of 16 or 32 activations of a block, as the minima stand.
#[inline(always)]
unsafe fn pair_sums<Q: Quant>(sums: *const i16, to: *mut u32) {
    let sums = _mm256_loadu_si256(sums.cast());
    if Q::SUB == 16 {
        _mm256_storeu_si256(to.cast(), sums);
    } else {
        let sums = _mm256_madd_epi16(sums, _mm256_set1_epi16(1));
        _mm_storeu_si128(to.cast(), _mm256_cvtepi32_epi16(sums));
    }
}

/// Sums of a block of several factors to the results, of a quarter of the tokens.
#[inline(always)]
unsafe fn scale_block<Q: Quant>(m: &Many, work: &Option<Work>, quarter: usize) {
    let Some(work) = work else { return };
    let (Work { t, p, b, sums, pairs, .. }, rows) = (*work, work.quarter(quarter));
    let panel = m.first.next::<Amx>(p);
    let n = Q::BLOCK / Q::SUB / 2;
    let scale = _mm512_loadu_ps(panel.scales.add(b * 16));
    let (mut min_scale, mut mins) = (scale, [_mm512_setzero_si512(); PAIRS]);
    if Q::MIN {
        min_scale = _mm512_loadu_ps(panel.min_scales.add(b * 16));
        for (i, min) in mins.iter_mut().enumerate().take(n) {
            *min = _mm512_loadu_si512(panel.mins.add((b * n + i) * 16).cast());
        }
    }
    for r in rows {
        let out = m.out.add((t + r) * m.out_stride + p * 16);
        let act_scale = _mm512_set1_ps(*m.act_scales.add((t + r) * m.act_stride + b));
        // Tiles 0 and 1 are the upper and lower parts of the first 16 tokens, 2 and 3 of the others.
        let at = sums.add((r / ROWS * 2 * ROWS + r % ROWS) * 16);
        let mut product = _mm512_loadu_si512(at.cast());
        if Q::WIDE {
            let lower = _mm512_loadu_si512(at.add(ROWS * 16).cast());
            product = _mm512_add_epi32(_mm512_slli_epi32::<7>(product), lower);
        }
        let scaled = _mm512_mul_ps(scale, act_scale);
        let mut sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(product), scaled, _mm512_loadu_ps(out));
        if Q::MIN {
            let mut min = _mm512_setzero_si512();
            for (i, &pair) in mins.iter().enumerate().take(n) {
                min = _mm512_dpwssd_epi32(min, pair, _mm512_set1_epi32(*pairs.add(r * PAIRS + i) as i32));
            }
            sum = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(min), _mm512_mul_ps(min_scale, act_scale), sum);
        }
        _mm512_storeu_ps(out, sum);
    }
}

/// Defines a function of tile instructions, which may name its arguments, as `{l}` a panel's stride and as `{b}` the
/// rows of the second tile of activations. Tiles keep what they hold from one function to the next: nothing else in the
/// program uses them.
macro_rules! tiles {
    ($(#[$doc:meta])* fn $name:ident($a:ident, $s:ident $(, $panel:ident)*) $($line:literal)*) => {
        $(#[$doc])*
        #[inline(always)]
        unsafe fn $name($a: *const i8, $s: usize, $($panel: *const u8),*) {
            asm!(
                $($line,)*
                "/* {b} */",
                $a = in(reg) $a,
                b = in(reg) $a.wrapping_add(ROWS * $s),
                $s = in(reg) $s,
                $($panel = in(reg) $panel,)*
                l = in(reg) LINE,
                options(nostack, readonly, preserves_flags),
            );
        }
    };
    ($(#[$doc:meta])* fn $name:ident($c:ident) $($line:literal)*) => {
        $(#[$doc])*
        #[inline(always)]
        unsafe fn $name($c: *mut i32) {
            asm!($($line,)* $c = in(reg) $c, l = in(reg) LINE, options(nostack, preserves_flags));
        }
    };
}

/// Sums of nothing.
#[inline(always)]
unsafe fn zero() {
    asm!(
        "tilezero tmm0",
        "tilezero tmm1",
        "tilezero tmm2",
        "tilezero tmm3",
        options(nostack, nomem, preserves_flags)
    );
}

tiles! {
    /// 64 columns of 32 tokens, split products.
    fn wide_pair(a, s, high, low)
    "tileloadd tmm6, [{high} + {l}*1]" "tileloadd tmm4, [{a} + {s}*1]" "tdpbssd tmm0, tmm4, tmm6"
    "tileloadd tmm7, [{low} + {l}*1]" "tdpbssd tmm1, tmm4, tmm7"
    "tileloadd tmm5, [{b} + {s}*1]" "tdpbssd tmm2, tmm5, tmm6" "tdpbssd tmm3, tmm5, tmm7"
}

tiles! {
    /// 64 columns of up to 16 tokens, split products.
    fn wide_single(a, s, high, low)
    "tileloadd tmm6, [{high} + {l}*1]" "tileloadd tmm4, [{a} + {s}*1]" "tdpbssd tmm0, tmm4, tmm6"
    "tileloadd tmm7, [{low} + {l}*1]" "tdpbssd tmm1, tmm4, tmm7"
}

tiles! {
    /// 64 columns of 32 tokens, products of 8 bits.
    fn narrow_pair(a, s, high)
    "tileloadd tmm6, [{high} + {l}*1]" "tileloadd tmm4, [{a} + {s}*1]" "tdpbssd tmm0, tmm4, tmm6"
    "tileloadd tmm5, [{b} + {s}*1]" "tdpbssd tmm2, tmm5, tmm6"
}

tiles! {
    /// 64 columns of up to 16 tokens, products of 8 bits.
    fn narrow_single(a, s, high)
    "tileloadd tmm6, [{high} + {l}*1]" "tileloadd tmm4, [{a} + {s}*1]" "tdpbssd tmm0, tmm4, tmm6"
}

tiles! {
    /// 32 columns of up to 16 tokens, alone in the first tile of sums.
    fn block_0(a, s, w)
    "tilezero tmm0" "tileloadd tmm6, [{w} + {l}*1]" "tileloadd tmm4, [{a} + {s}*1]" "tdpbssd tmm0, tmm4, tmm6"
}

tiles! {
    /// In the second one.
    fn block_1(a, s, w)
    "tilezero tmm1" "tileloadd tmm7, [{w} + {l}*1]" "tileloadd tmm5, [{a} + {s}*1]" "tdpbssd tmm1, tmm5, tmm7"
}

tiles! {
    /// In the third one.
    fn block_2(a, s, w)
    "tilezero tmm2" "tileloadd tmm6, [{w} + {l}*1]" "tileloadd tmm4, [{a} + {s}*1]" "tdpbssd tmm2, tmm4, tmm6"
}

tiles! {
    /// In the fourth one.
    fn block_3(a, s, w)
    "tilezero tmm3" "tileloadd tmm7, [{w} + {l}*1]" "tileloadd tmm5, [{a} + {s}*1]" "tdpbssd tmm3, tmm5, tmm7"
}

tiles! {
    /// All tiles of sums.
    fn store_four(c)
    "tilestored [{c} + {l}*1], tmm0" "tilestored [{c} + {l}*1 + 1024], tmm1"
    "tilestored [{c} + {l}*1 + 2048], tmm2" "tilestored [{c} + {l}*1 + 3072], tmm3"
}

tiles! {
    /// Upper and lower parts of one tile of tokens.
    fn store_upper_lower(c)
    "tilestored [{c} + {l}*1], tmm0" "tilestored [{c} + {l}*1 + 1024], tmm1"
}

tiles! {
    /// Two tiles of tokens.
    fn store_upper_two(c)
    "tilestored [{c} + {l}*1], tmm0" "tilestored [{c} + {l}*1 + 2048], tmm2"
}

tiles! {
    /// One tile of tokens.
    fn store_one(c)
    "tilestored [{c} + {l}*1], tmm0"
}

/// Whether the CPU has int8 tiles, and Linux lets this process use them, which it wants to be asked for.
#[cfg(all(feature = "std", target_os = "linux"))]
fn usable() -> bool {
    const ARCH_PRCTL: usize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const XTILEDATA: usize = 18;
    const TILES: u32 = 1 << 24 | 1 << 25;
    if !super::has_avx512() || __cpuid_count(7, 0).edx & TILES != TILES {
        return false;
    }
    let result: isize;
    // SAFETY: the call reads and writes no memory of this process; it fails on kernels that do not know it.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL as isize => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(all(feature = "std", target_os = "linux")))]
fn usable() -> bool {
    false
}

/// AVX-512 with VNNI and AMX.
pub(super) const ISA: Isa = isa(usable);

crate::arch::shells!(Amx, "avx512-amx", "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c");
