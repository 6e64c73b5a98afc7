//! Keys, rotated if the op says so, and values into the cache.

use super::rope::Rotator;
use super::{Compiler, Stage};
use crate::cache::{Element, LayerLayout, PAGE, Pages};
use crate::exec::{Piece, Run, Slot, Worker};
use chord_ops::op::RopeParams;
use chord_ops::{DeviceError, ValueId};

/// Elements of a key that are converted together.
const CHUNK: usize = 64;

pub(crate) struct Append {
    k: Slot,
    v: Slot,
    layer: u32,
    rotator: Option<Rotator>,
}

impl Append {
    pub(crate) fn new(
        cx: &mut Compiler<'_>,
        k: ValueId,
        v: ValueId,
        layer: u32,
        rope: Option<&RopeParams>,
    ) -> Result<Append, DeviceError> {
        let rotator = rope.map(|rope| Rotator::new(cx, rope)).transpose()?;
        let (k, v) = (cx.slot(k), cx.slot(v));
        cx.needs.scratch = cx.needs.scratch.max(k.cols);
        Ok(Append { k, v, layer, rotator })
    }

    /// One token; `row` is scratch for its keys.
    fn token<T: Element + Default>(&self, run: &Run<'_>, piece: &mut Piece, row: &mut [f32]) {
        let (token, layer) = (piece.items.start, run.cache.layer(self.layer));
        let LayerLayout { n_kv_heads, k_dim, v_dim, .. } = layer;
        row.copy_from_slice(run.value(&self.k, token..token + 1));
        if let Some(rotator) = &self.rotator {
            rotator.rotate(run, token, row);
        }
        let v = run.value(&self.v, token..token + 1);
        let at = run.index.tokens[token];
        let page = run.cache.seq_pages(run.step.spans[at.span].seq)[at.index / PAGE];
        let (page, slot) = (&T::pages(run.cache.pages())[page], at.index % PAGE);
        for head in 0..n_kv_heads {
            let (k, v) = (&row[head * k_dim..][..k_dim], &v[head * v_dim..][..v_dim]);
            T::store(run.vecs(), v, piece.write(page, layer.value(head, slot)));
            // Keys are transposed: one element in each of the rows of the page.
            let mut at = layer.keys(head).start + slot;
            for k in k.chunks(CHUNK) {
                let mut stored = [T::default(); CHUNK];
                T::store(run.vecs(), k, &mut stored[..k.len()]);
                for k in &stored[..k.len()] {
                    piece.write(page, at..at + 1)[0] = *k;
                    at += PAGE;
                }
            }
        }
    }
}

impl Stage for Append {
    fn run(&self, _: usize, worker: &mut Worker<'_>) {
        let run = worker.run;
        worker.each(run.step.tokens.len(), 1, |mut piece, scratch| {
            let row = &mut scratch[..self.k.cols];
            match run.cache.pages() {
                Pages::F16(_) => self.token::<u16>(run, &mut piece, row),
                Pages::F32(_) => self.token::<f32>(run, &mut piece, row),
            }
        });
    }
}
