//! Attention kernels, generic over the instruction set: some queries on one page of the KV cache.
//!
//! Lanes are slots of the page (keys are stored transposed) or elements of the values, and each adds up its own result
//! in a fixed order: what a query gets does not depend on which others it is computed with.
//!
//! # Safety
//! Of every function: the CPU has `S`'s features. Lengths are checked here.
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "raw pointers into checked slices; instruction sets")]
#![expect(clippy::needless_range_loop, reason = "indices run over pointers as well")]

use super::simd::Simd;
use crate::kernels::{QUERIES, SLOTS, check_scores, check_weigh};
use core::ops::Range;

/// Vectors of a tile next to its queries.
const VECTORS: usize = 2;

/// Streams that memory is prefetched in.
const STREAMS: usize = 4;
/// Bytes of a cache line.
const LINE: usize = 64;

/// What a kernel prefetches as it goes along: a part of each of the streams that the memory wanted next is cut into. One
/// stream is as slow as the first lines of each small page of the system are; several hide that.
#[derive(Clone, Copy)]
struct Ahead {
    /// Where the part of the first stream begins; null: nothing is wanted.
    from: *const u8,
    /// Bytes from a stream to the next.
    stream: usize,
}

impl Ahead {
    /// Nothing.
    const NONE: Ahead = Ahead { from: core::ptr::null(), stream: 0 };

    /// The part that begins `skip` bytes into each stream of `next`.
    fn new<E>(next: &[E], skip: usize) -> Ahead {
        if next.is_empty() {
            return Ahead::NONE;
        }
        let stream = size_of_val(next) / STREAMS / LINE * LINE;
        Ahead { from: next.as_ptr().cast::<u8>().wrapping_add(skip), stream }
    }

    /// Called where `done` bytes of the kernel's own page are behind it: keeps as far in the part.
    #[inline(always)]
    unsafe fn fetch<S: Simd>(self, done: usize) {
        // A line of each stream at a time.
        if done.is_multiple_of(STREAMS * LINE) && !self.from.is_null() {
            for stream in 0..STREAMS {
                S::prefetch(self.from.wrapping_add(stream * self.stream + done / STREAMS));
            }
        }
    }
}

/// An element of keys and values.
trait Element: Copy {
    unsafe fn load<S: Simd>(p: *const Self) -> S::F;
    fn to_f32(self) -> f32;
}

impl Element for u16 {
    #[inline(always)]
    unsafe fn load<S: Simd>(p: *const u16) -> S::F {
        S::load_f16(p)
    }

    fn to_f32(self) -> f32 {
        super::portable::f16_to_f32(self)
    }
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn load<S: Simd>(p: *const f32) -> S::F {
        S::load(p)
    }

    fn to_f32(self) -> f32 {
        self
    }
}

/// Calls `$f::<S, E, N, V>($args)` for the number of queries `$n`.
macro_rules! for_queries {
    ($n:expr, $f:ident, $S:ident, $E:ident, $V:expr, $args:tt) => {
        match $n {
            1 => $f::<$S, $E, 1, { $V }> $args,
            2 => $f::<$S, $E, 2, { $V }> $args,
            3 => $f::<$S, $E, 3, { $V }> $args,
            4 => $f::<$S, $E, 4, { $V }> $args,
            5 => $f::<$S, $E, 5, { $V }> $args,
            6 => $f::<$S, $E, 6, { $V }> $args,
            7 => $f::<$S, $E, 7, { $V }> $args,
            _ => $f::<$S, $E, 8, { $V }> $args,
        }
    };
}

/// See [`crate::VecKernels::scores_f16`].
#[inline(always)]
pub(crate) unsafe fn scores_f16<S: Simd>(q: &[f32], keys: &[u16], next: &[u16], scores: &mut [f32]) {
    scores_of::<S, u16>(q, keys, next, scores);
}

/// See [`crate::VecKernels::scores_f32`].
#[inline(always)]
pub(crate) unsafe fn scores_f32<S: Simd>(q: &[f32], keys: &[f32], next: &[f32], scores: &mut [f32]) {
    scores_of::<S, f32>(q, keys, next, scores);
}

/// See [`crate::VecKernels::weigh_f16`].
#[inline(always)]
pub(crate) unsafe fn weigh_f16<S: Simd>(
    w: &[f32],
    values: &[u16],
    next: &[u16],
    slots: Range<usize>,
    acc: &mut [f32],
) {
    weigh::<S, u16>(w, values, next, slots, acc);
}

/// See [`crate::VecKernels::weigh_f32`].
#[inline(always)]
pub(crate) unsafe fn weigh_f32<S: Simd>(
    w: &[f32],
    values: &[f32],
    next: &[f32],
    slots: Range<usize>,
    acc: &mut [f32],
) {
    weigh::<S, f32>(w, values, next, slots, acc);
}

#[inline(always)]
unsafe fn scores_of<S: Simd, E: Element>(q: &[f32], keys: &[E], next: &[E], scores: &mut [f32]) {
    let (n, dim) = check_scores(q, keys, scores);
    for first in (0..n).step_by(S::QUERIES) {
        for slot in (0..SLOTS).step_by(VECTORS * S::L) {
            let q = q.as_ptr().add(first * dim);
            let to = scores.as_mut_ptr().add(first * SLOTS + slot);
            let keys = keys.as_ptr().add(slot);
            // Once is enough.
            let ahead = if first == 0 { Ahead::new(next, 0) } else { Ahead::NONE };
            let done = slot * dim * size_of::<E>();
            for_queries!(
                S::QUERIES.min(n - first),
                score_tile,
                S,
                E,
                VECTORS,
                (q, dim, keys, ahead, done, to)
            );
        }
    }
}

/// `N` queries on `V` vectors of slots, `done` bytes of keys after the first.
#[inline(always)]
unsafe fn score_tile<S: Simd, E: Element, const N: usize, const V: usize>(
    q: *const f32,
    dim: usize,
    keys: *const E,
    ahead: Ahead,
    done: usize,
    to: *mut f32,
) {
    let mut sums = [[S::splat(0.0); V]; N];
    for d in 0..dim {
        let mut k = [S::splat(0.0); V];
        for v in 0..V {
            k[v] = E::load::<S>(keys.add(d * SLOTS + v * S::L));
        }
        ahead.fetch::<S>(done + d * V * S::L * size_of::<E>());
        for i in 0..N {
            let q = S::splat(*q.add(i * dim + d));
            for v in 0..V {
                sums[i][v] = S::fma(q, k[v], sums[i][v]);
            }
        }
    }
    for i in 0..N {
        for v in 0..V {
            S::store(to.add(i * SLOTS + v * S::L), sums[i][v]);
        }
    }
}

#[inline(always)]
unsafe fn weigh<S: Simd, E: Element>(
    w: &[f32],
    values: &[E],
    next: &[E],
    slots: Range<usize>,
    acc: &mut [f32],
) {
    let (n, dim) = check_weigh(w, values, &slots, acc);
    for first in (0..n).step_by(S::QUERIES) {
        let count = S::QUERIES.min(n - first);
        let (w, acc) = (w.as_ptr().add(first * SLOTS), acc.as_mut_ptr().add(first * dim));
        // The keys' kernel has begun each stream.
        let begun = size_of_val(next).saturating_sub(size_of_val(values)) / STREAMS;
        let ahead = if first == 0 { Ahead::new(next, begun) } else { Ahead::NONE };
        let mut at = 0;
        while at + VECTORS * S::L <= dim {
            let (values, acc) = (values.as_ptr().add(at), acc.add(at));
            let done = at * SLOTS * size_of::<E>();
            for_queries!(count, weigh_tile, S, E, VECTORS, (w, values, ahead, done, dim, slots.clone(), acc));
            at += VECTORS * S::L;
        }
        while at + S::L <= dim {
            let (values, acc) = (values.as_ptr().add(at), acc.add(at));
            let done = at * SLOTS * size_of::<E>();
            for_queries!(count, weigh_tile, S, E, 1, (w, values, ahead, done, dim, slots.clone(), acc));
            at += S::L;
        }
        for d in at..dim {
            for i in 0..count {
                let terms = slots.clone().map(|t| (*w.add(i * SLOTS + t), *values.as_ptr().add(t * dim + d)));
                let sum = acc.add(i * dim + d);
                *sum = terms.fold(*sum, |sum, (w, v)| sum + w * v.to_f32());
            }
        }
    }
}

/// `N` queries on `V` vectors of elements of the values, `done` bytes of them after the first.
#[inline(always)]
unsafe fn weigh_tile<S: Simd, E: Element, const N: usize, const V: usize>(
    w: *const f32,
    values: *const E,
    ahead: Ahead,
    done: usize,
    dim: usize,
    slots: Range<usize>,
    acc: *mut f32,
) {
    let mut sums = [[S::splat(0.0); V]; N];
    for i in 0..N {
        for v in 0..V {
            sums[i][v] = S::load(acc.add(i * dim + v * S::L));
        }
    }
    for t in slots {
        let mut x = [S::splat(0.0); V];
        for v in 0..V {
            x[v] = E::load::<S>(values.add(t * dim + v * S::L));
        }
        ahead.fetch::<S>(done + t * V * S::L * size_of::<E>());
        for i in 0..N {
            let w = S::splat(*w.add(i * SLOTS + t));
            for v in 0..V {
                sums[i][v] = S::fma(w, x[v], sums[i][v]);
            }
        }
    }
    for i in 0..N {
        for v in 0..V {
            S::store(acc.add(i * dim + v * S::L), sums[i][v]);
        }
    }
}

const _: () = assert!(QUERIES == 8, "tiles have up to 8 queries");
