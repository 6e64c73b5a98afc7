//! Causal attention with an online softmax (Milakov & Gimelshein 2018), page by page of the cache.
//!
//! Work is split by KV head and by tile of tokens. Whatever the tile, a query meets the same pages in the same order,
//! so results depend neither on the other tokens of a step nor on the number of threads.

use super::elementwise::capped;
use super::{Compiler, Stage};
use crate::cache::{Element, PAGE, Pages};
use crate::exec::{Piece, Run, Slot, TILE, Tile, Worker};
use crate::kernels::{QUERIES, VecKernels};
use chord_ops::{DeviceError, ValueId, op};
use core::ops::Range;

pub(crate) struct Attention {
    q: Slot,
    out: Slot,
    op: op::Attention,
    n_kv_heads: usize,
    /// Query heads per KV head.
    group: usize,
    k_dim: usize,
    v_dim: usize,
}

/// The queries of a tile on one KV head, and their states over the pages seen so far.
struct Queries<'a> {
    /// `(n, k_dim)`, times the op's scale.
    q: &'a mut [f32],
    /// Largest scores, `(n)`.
    maxima: &'a mut [f32],
    /// Sums of the weights, `(n)`.
    sums: &'a mut [f32],
    /// Weighted sums of the values, `(n, v_dim)`.
    accs: &'a mut [f32],
    /// `(QUERIES, PAGE)`: scores, then weights, of those that are computed together.
    scores: &'a mut [f32],
}

impl Attention {
    pub(crate) fn new(
        cx: &mut Compiler<'_>,
        op: &op::Attention,
        outs: &[ValueId],
    ) -> Result<Attention, DeviceError> {
        let kv = cx.fused.plan().cache.layers[op.layer as usize];
        let [n_kv_heads, n_heads, k_dim, v_dim] =
            [kv.n_kv_heads, op.n_heads, kv.k_dim, kv.v_dim].map(|n| n as usize);
        let group = n_heads / n_kv_heads;
        let per_query = k_dim + 2 + v_dim;
        cx.needs.scratch = cx.needs.scratch.max(QUERIES * PAGE + group * TILE * per_query);
        let (q, out) = (cx.slot(op.q), cx.slot(outs[0]));
        Ok(Attention { q, out, op: *op, n_kv_heads, group, k_dim, v_dim })
    }

    /// All queries of a tile of tokens on one KV head.
    fn tile<T: Element>(
        &self,
        run: &Run<'_>,
        tile: Tile,
        kv_head: usize,
        piece: &mut Piece,
        scratch: &mut [f32],
    ) {
        let mut queries = self.queries(run, tile, kv_head, scratch);
        let tokens = &run.index.tokens[tile.first..][..tile.len];
        let seq = run.step.spans[tokens[0].span].seq;
        let first_page = self.first_seen(tokens[0].index) / PAGE;
        let pages = &run.cache.seq_pages(seq)[..=tokens[tile.len - 1].index / PAGE];
        let memory = T::pages(run.cache.pages());
        let layer = run.cache.layer(self.op.layer);
        let head = |page: usize| run.read(&memory[page], layer.head(kv_head));
        for (p, &page) in pages.iter().enumerate().skip(first_page) {
            let (keys, values) = head(page).split_at(PAGE * self.k_dim);
            let next = head(*pages.get(p + 1).unwrap_or(&page));
            // Those that see the same slots of the page are computed together.
            let seen = |query: usize| self.slots(tokens[query / self.group].index, p);
            let mut i = 0;
            while i < tile.len * self.group {
                if run.poll() {
                    return;
                }
                let slots = seen(i);
                let more = (i + 1..tile.len * self.group).take(QUERIES - 1);
                let n = 1 + more.take_while(|&j| seen(j) == slots).count();
                if !slots.is_empty() {
                    self.page(run.vecs(), &mut queries, i..i + n, [keys, values, next], slots);
                }
                i += n;
            }
        }
        let results = queries.accs.chunks_exact(self.v_dim).zip(&*queries.sums);
        for (i, (acc, sum)) in results.enumerate() {
            let head = kv_head * self.group + i % self.group;
            let columns = head * self.v_dim..(head + 1) * self.v_dim;
            let out = piece.write(&run.memory.arena, self.out.columns(tile.first + i / self.group, columns));
            out.copy_from_slice(acc);
            (run.vecs().scale)(1.0 / sum, out);
        }
    }

    /// Queries that have seen nothing yet.
    fn queries<'s>(&self, run: &Run<'_>, tile: Tile, kv_head: usize, scratch: &'s mut [f32]) -> Queries<'s> {
        let (group, k_dim) = (self.group, self.k_dim);
        let n = tile.len * group;
        let (scores, rest) = scratch.split_at_mut(QUERIES * PAGE);
        let (q, rest) = rest[..n * (k_dim + 2 + self.v_dim)].split_at_mut(n * k_dim);
        let (maxima, rest) = rest.split_at_mut(n);
        let (sums, accs) = rest.split_at_mut(n);
        maxima.fill(f32::NEG_INFINITY);
        sums.fill(0.0);
        accs.fill(0.0);
        for (i, q) in q.chunks_exact_mut(group * k_dim).enumerate() {
            let row = run.value(&self.q, tile.first + i..tile.first + i + 1);
            let heads = &row[kv_head * group * k_dim..][..group * k_dim];
            q.iter_mut().zip(heads).for_each(|(to, q)| *to = q * self.op.scale);
        }
        Queries { q, maxima, sums, accs, scores }
    }

    /// Some queries on those slots of a page that all of them see: its keys, its values and both of the next page.
    fn page<T: Element>(
        &self,
        vecs: &VecKernels,
        queries: &mut Queries<'_>,
        which: Range<usize>,
        [keys, values, next]: [&[T]; 3],
        slots: Range<usize>,
    ) {
        let Queries { q, maxima, sums, accs, scores } = queries;
        let scores = &mut scores[..which.len() * PAGE];
        T::scores(vecs)(&q[which.start * self.k_dim..which.end * self.k_dim], keys, next, scores);
        let accs = &mut accs[which.start * self.v_dim..which.end * self.v_dim];
        if let Some(cap) = self.op.softcap {
            let seen = scores.chunks_exact_mut(PAGE).flat_map(|scores| &mut scores[slots.clone()]);
            seen.for_each(|s| *s = capped(*s, cap));
        }
        (vecs.softmax)(scores, slots.clone(), &mut maxima[which.clone()], &mut sums[which], accs);
        T::weigh(vecs)(scores, values, next, slots, accs);
    }

    /// Slots of page `p` that the token at `index` sees.
    fn slots(&self, index: usize, p: usize) -> Range<usize> {
        let page = p * PAGE..(p + 1) * PAGE;
        let (start, end) = (self.first_seen(index).max(page.start), (index + 1).min(page.end));
        if start < end { start - page.start..end - page.start } else { 0..0 }
    }

    /// Index of the first token that the token at `index` sees.
    fn first_seen(&self, index: usize) -> usize {
        self.op.window.map_or(0, |n| (index + 1).saturating_sub(n as usize))
    }
}

impl Stage for Attention {
    fn run(&self, _: usize, worker: &mut Worker<'_>) {
        let run = worker.run;
        let tiles = &run.index.tiles;
        worker.each(tiles.len() * self.n_kv_heads, 1, |mut piece, scratch| {
            let (tile, head) =
                (tiles[piece.items.start / self.n_kv_heads], piece.items.start % self.n_kv_heads);
            match run.cache.pages() {
                Pages::F16(_) => self.tile::<u16>(run, tile, head, &mut piece, scratch),
                Pages::F32(_) => self.tile::<f32>(run, tile, head, &mut piece, scratch),
            }
        });
    }
}
