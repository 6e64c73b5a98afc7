//! Causal attention with an online softmax (Milakov & Gimelshein 2018), page by page of the cache.
//!
//! Work is split by KV head and by tile of tokens. Whatever the tile, a query meets the same pages in the same order,
//! so results depend neither on the other tokens of a step nor on the number of threads.

use super::elementwise::capped;
use super::{Compiler, Stage};
use crate::cache::{Element, LayerLayout, PAGE, Pages};
use crate::exec::{Piece, Run, Slot, TILE, Tile, Worker};
use crate::kernels::VecKernels;
use chord_ops::{DeviceError, ValueId, op};

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

/// The state of one query over the pages seen so far.
struct Query<'a> {
    q: &'a [f32],
    /// Largest score.
    max: &'a mut f32,
    /// Sum of the weights.
    sum: &'a mut f32,
    /// Weighted sum of the values.
    acc: &'a mut [f32],
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
        cx.needs.scratch = cx.needs.scratch.max(PAGE + group * TILE * (2 + v_dim));
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
        let (group, v_dim) = (self.group, self.v_dim);
        let n = tile.len * group;
        let (scores, rest) = scratch.split_at_mut(PAGE);
        let (maxima, rest) = rest[..n * (2 + v_dim)].split_at_mut(n);
        let (sums, accs) = rest.split_at_mut(n);
        maxima.fill(f32::NEG_INFINITY);
        sums.fill(0.0);
        accs.fill(0.0);
        let tokens = &run.index.tokens[tile.first..][..tile.len];
        let seq = run.step.spans[tokens[0].span].seq;
        let first_page = self.first_seen(tokens[0].index) / PAGE;
        let pages = &run.cache.seq_pages(seq)[..=tokens[tile.len - 1].index / PAGE];
        let memory = T::pages(run.cache.pages());
        let layer = run.cache.layer(self.op.layer);
        for (p, &page) in pages.iter().enumerate().skip(first_page) {
            let keys = run.read(&memory[page], layer.keys(kv_head));
            let values = run.read(&memory[page], layer.values(kv_head));
            for i in 0..n {
                let token = tokens[i / group].index;
                let start = self.first_seen(token).max(p * PAGE);
                let end = (token + 1).min((p + 1) * PAGE);
                if start >= end {
                    continue;
                }
                let head = kv_head * group + i % group;
                let row = run.value(&self.q, tile.first + i / group..tile.first + i / group + 1);
                let q = &row[head * self.k_dim..][..self.k_dim];
                let (max, sum, acc) = (&mut maxima[i], &mut sums[i], &mut accs[i * v_dim..][..v_dim]);
                let (from, to) = (start - p * PAGE, end - p * PAGE);
                let (keys, values) =
                    (&keys[from * self.k_dim..to * self.k_dim], &values[from * v_dim..to * v_dim]);
                self.page(run.vecs(), Query { q, max, sum, acc }, keys, values, &mut scores[..to - from]);
            }
        }
        for i in 0..n {
            let head = kv_head * group + i % group;
            let out = self.out.columns(tile.first + i / group, head * v_dim..(head + 1) * v_dim);
            let out = piece.write(&run.memory.arena, out);
            out.copy_from_slice(&accs[i * v_dim..][..v_dim]);
            (run.vecs().scale)(1.0 / sums[i], out);
        }
    }

    /// One query on some tokens of a page.
    fn page<T: Element>(
        &self,
        vecs: &VecKernels,
        query: Query<'_>,
        keys: &[T],
        values: &[T],
        scores: &mut [f32],
    ) {
        let Query { q, max, sum, acc } = query;
        for (score, key) in scores.iter_mut().zip(keys.chunks_exact(self.k_dim)) {
            *score = T::dot(vecs, q, key) * self.op.scale;
        }
        if let Some(cap) = self.op.softcap {
            scores.iter_mut().for_each(|s| *s = capped(*s, cap));
        }
        let new = scores.iter().copied().fold(*max, f32::max);
        if new > *max {
            let mut shrink = [*max];
            (vecs.exp_sum)(&mut shrink, new);
            *sum *= shrink[0];
            (vecs.scale)(shrink[0], acc);
            *max = new;
        }
        *sum += (vecs.exp_sum)(scores, *max);
        for (&weight, value) in scores.iter().zip(values.chunks_exact(self.v_dim)) {
            T::axpy(vecs, weight, value, acc);
        }
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

impl LayerLayout {
    /// Elements of the keys of a head in a page: `(PAGE, k_dim)`.
    fn keys(&self, head: usize) -> core::ops::Range<usize> {
        self.key(head, 0).start..self.key(head, PAGE - 1).end
    }

    /// Elements of the values of a head in a page: `(PAGE, v_dim)`.
    fn values(&self, head: usize) -> core::ops::Range<usize> {
        self.value(head, 0).start..self.value(head, PAGE - 1).end
    }
}
