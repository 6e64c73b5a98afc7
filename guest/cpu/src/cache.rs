//! The paged KV cache. Pages hold all layers of [`PAGE`] tokens; forks share them and copy on write.

use crate::arena::{Plain, Shared};
use crate::device::Bounds;
use crate::kernels::{SLOTS, ScoresFn, VecKernels, WeighFn};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use chord_ops::{Budget, CacheSpec, Charge, DeviceError, KvType, LayerKv, SeqId, Span};
use core::mem::size_of;
use core::ops::Range;

/// Tokens of a page.
pub(crate) const PAGE: usize = SLOTS;

/// Keys and values of sequences, by page. Memory grows with the tokens held.
pub struct Cache {
    spec: CacheSpec,
    layers: Vec<LayerLayout>,
    /// Elements of one page.
    page_len: usize,
    pages: Pages,
    /// By page: sequences that hold it. 0: free.
    holders: Vec<u32>,
    free: Vec<usize>,
    seqs: BTreeMap<u32, Sequence>,
    next: u32,
    /// Pages take their memory when they are first used; it is charged before, for all that there can be. Less by what the
    /// pages have that are there.
    kv: Charge,
    /// The lists of pages, likewise.
    _books: Charge,
    /// Sequences and their lists of pages are charged as they come.
    memory: Arc<Budget>,
}

/// Bytes of a page's entries in the lists of a cache, at most.
const PAGE_ENTRY: usize = size_of::<Shared<u16>>() + size_of::<u32>() + size_of::<usize>();
/// Bytes of a sequence beside its pages: its entry in the map, with the map's own share.
const SEQUENCE: usize = 2 * (size_of::<Sequence>() + size_of::<u32>());

/// Memory of the pages by number, in the element type of the cache.
pub(crate) enum Pages {
    F16(Vec<Shared<u16>>),
    F32(Vec<Shared<f32>>),
}

/// Where a layer lies in a page: by head, keys `(k_dim, PAGE)`, then values `(PAGE, v_dim)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerLayout {
    pub(crate) n_kv_heads: usize,
    pub(crate) k_dim: usize,
    pub(crate) v_dim: usize,
    at: usize,
}

#[derive(Debug)]
struct Sequence {
    /// Tokens held.
    len: usize,
    /// Pages of these tokens, in order; during a step also those of the tokens to come.
    pages: Vec<usize>,
    /// For the room of `pages`, and for [`SEQUENCE`] bytes.
    charge: Charge,
}

impl Sequence {
    /// With room for some pages.
    fn new(memory: &Arc<Budget>, pages: usize) -> Result<Sequence, DeviceError> {
        let (pages, mut charge) = memory.vec(LIST, pages)?;
        charge.grow("a sequence of the KV cache", SEQUENCE)?;
        Ok(Sequence { len: 0, pages, charge })
    }

    /// Makes room for `more` pages beyond those that are there.
    fn reserve(&mut self, more: usize) -> Result<(), DeviceError> {
        let (len, room) = (self.pages.len(), self.pages.capacity());
        if len + more <= room {
            return Ok(());
        }
        let wanted = (len + more).max(2 * room);
        self.charge.grow(LIST, (wanted - room) * size_of::<usize>())?;
        let no_memory = |_| DeviceError::Limit(format!("{LIST}: no memory for {wanted} pages"));
        self.pages.try_reserve_exact(wanted - len).map_err(no_memory)
    }
}

/// What a sequence holds, for messages.
const LIST: &str = "the pages of a sequence";

/// An element as it is stored in a cache.
pub(crate) trait Element: Plain {
    fn pages(pages: &Pages) -> &[Shared<Self>];
    fn store(vecs: &VecKernels, from: &[f32], to: &mut [Self]);
    /// [`VecKernels::scores_f16`] or its like.
    fn scores(vecs: &VecKernels) -> ScoresFn<Self>;
    /// [`VecKernels::weigh_f16`] or its like.
    fn weigh(vecs: &VecKernels) -> WeighFn<Self>;
}

impl Element for u16 {
    fn pages(pages: &Pages) -> &[Shared<u16>] {
        match pages {
            Pages::F16(pages) => pages,
            Pages::F32(_) => &[],
        }
    }

    fn store(vecs: &VecKernels, from: &[f32], to: &mut [u16]) {
        (vecs.to_f16)(from, to);
    }

    fn scores(vecs: &VecKernels) -> ScoresFn<Self> {
        vecs.scores_f16
    }

    fn weigh(vecs: &VecKernels) -> WeighFn<Self> {
        vecs.weigh_f16
    }
}

impl Element for f32 {
    fn pages(pages: &Pages) -> &[Shared<f32>] {
        match pages {
            Pages::F32(pages) => pages,
            Pages::F16(_) => &[],
        }
    }

    fn store(_: &VecKernels, from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
    }

    fn scores(vecs: &VecKernels) -> ScoresFn<Self> {
        vecs.scores_f32
    }

    fn weigh(vecs: &VecKernels) -> WeighFn<Self> {
        vecs.weigh_f32
    }
}

impl LayerLayout {
    /// Elements of a head in a page: its keys, then its values.
    pub(crate) fn head(&self, head: usize) -> Range<usize> {
        let len = PAGE * (self.k_dim + self.v_dim);
        let at = self.at + head * len;
        at..at + len
    }

    /// Elements of the keys of a head in a page: `(k_dim, PAGE)`.
    pub(crate) fn keys(&self, head: usize) -> Range<usize> {
        let at = self.head(head).start;
        at..at + PAGE * self.k_dim
    }

    /// Elements of the values of a head in a page: `(PAGE, v_dim)`.
    pub(crate) fn values(&self, head: usize) -> Range<usize> {
        self.keys(head).end..self.head(head).end
    }

    /// Elements of the value of a token's head in its page.
    pub(crate) fn value(&self, head: usize, slot: usize) -> Range<usize> {
        let at = self.values(head).start + slot * self.v_dim;
        at..at + self.v_dim
    }
}

/// Layouts of the layers and the elements of a page; `None`: more than this machine can address.
fn layout(spec: &CacheSpec) -> Option<(Vec<LayerLayout>, usize)> {
    let mut layers = Vec::with_capacity(spec.layers.len());
    let mut at = 0usize;
    for kv in &spec.layers {
        let [n_kv_heads, k_dim, v_dim] = [kv.n_kv_heads, kv.k_dim, kv.v_dim].map(|n| n as usize);
        layers.push(LayerLayout { n_kv_heads, k_dim, v_dim, at });
        let head = PAGE.checked_mul(k_dim.checked_add(v_dim)?)?;
        at = at.checked_add(n_kv_heads.checked_mul(head)?)?;
    }
    (at.checked_mul(4)? <= isize::MAX as usize).then_some((layers, at))
}

impl Cache {
    pub(crate) fn new(spec: &CacheSpec, bounds: &Bounds) -> Result<Cache, DeviceError> {
        spec.check(&bounds.limits)?;
        let too_large = || DeviceError::Limit("pages of the KV cache are too large for this machine".into());
        let (layers, page_len) = layout(spec).ok_or_else(too_large)?;
        let pages = match spec.dtype {
            KvType::F16 => Pages::F16(Vec::new()),
            KvType::F32 => Pages::F32(Vec::new()),
            other => return Err(DeviceError::Limit(format!("a KV cache of {other:?} is not supported"))),
        };
        let n_pages = (spec.max_tokens as usize).div_ceil(PAGE);
        let page_bytes = pages.page_bytes(page_len);
        let what = format!("a KV cache of {} tokens", spec.max_tokens);
        let kv = bounds.kv.charge(&what, n_pages.saturating_mul(page_bytes)).map_err(|e| match e {
            DeviceError::Limit(why) => DeviceError::Limit(format!("{why}; lower the context size")),
            other => other,
        })?;
        // Vectors grow by doubling.
        let layers_bytes = layers.len() * (size_of::<LayerLayout>() + size_of::<LayerKv>());
        let books = bounds.memory.charge(&what, 2 * n_pages * PAGE_ENTRY + layers_bytes)?;
        Ok(Cache {
            spec: spec.clone(),
            layers,
            page_len,
            pages,
            holders: Vec::new(),
            free: Vec::new(),
            seqs: BTreeMap::new(),
            next: 0,
            kv,
            _books: books,
            memory: bounds.memory.clone(),
        })
    }

    pub(crate) fn spec(&self) -> &CacheSpec {
        &self.spec
    }

    pub(crate) fn is_open(&self, seq: SeqId) -> bool {
        self.seqs.contains_key(&seq.0)
    }

    pub(crate) fn layer(&self, layer: u32) -> LayerLayout {
        self.layers[layer as usize]
    }

    pub(crate) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// Pages of a sequence; empty if it is not open.
    pub(crate) fn seq_pages(&self, seq: SeqId) -> &[usize] {
        self.seqs.get(&seq.0).map_or(&[], |s| &s.pages)
    }

    pub(crate) fn open(&mut self) -> Result<SeqId, DeviceError> {
        self.insert(Sequence::new(&self.memory, 0)?)
    }

    pub(crate) fn fork(&mut self, seq: SeqId, len: u32) -> Result<SeqId, DeviceError> {
        let from = self.holding(seq, len)?;
        let len = len as usize;
        let shared = &from.pages[..len.div_ceil(PAGE)];
        let mut seq = Sequence::new(&self.memory, shared.len())?;
        seq.len = len;
        seq.pages.extend_from_slice(shared);
        self.insert(seq)
    }

    pub(crate) fn truncate(&mut self, seq: SeqId, len: u32) -> Result<(), DeviceError> {
        self.holding(seq, len)?;
        self.cut(seq, len as usize);
        Ok(())
    }

    pub(crate) fn close(&mut self, seq: SeqId) -> Result<(), DeviceError> {
        self.holding(seq, 0)?;
        self.cut(seq, 0);
        self.seqs.remove(&seq.0);
        Ok(())
    }

    pub(crate) fn len(&self, seq: SeqId) -> Result<u32, DeviceError> {
        Ok(self.holding(seq, 0)?.len as u32)
    }

    /// Makes room for the tokens of a step, in pages that no other sequence holds. On error nothing has changed.
    pub(crate) fn reserve(&mut self, spans: &[Span]) -> Result<(), DeviceError> {
        self.check_room(spans)?;
        for (i, span) in spans.iter().enumerate() {
            if let Err(e) = self.reserve_span(span) {
                self.release(&spans[..=i]);
                return Err(e);
            }
        }
        Ok(())
    }

    /// Gives up what [`Cache::reserve`] took.
    pub(crate) fn release(&mut self, spans: &[Span]) {
        for span in spans {
            self.cut(span.seq, self.held(span.seq));
        }
    }

    /// The reserved tokens are there now.
    pub(crate) fn commit(&mut self, spans: &[Span]) {
        for span in spans {
            if let Some(seq) = self.seqs.get_mut(&span.seq.0) {
                seq.len += span.len as usize;
            }
        }
    }

    /// Pages that the cache may have.
    fn max_pages(&self) -> usize {
        (self.spec.max_tokens as usize).div_ceil(PAGE)
    }

    fn check_room(&self, spans: &[Span]) -> Result<(), DeviceError> {
        let more = spans.iter().map(|span| self.pages_for(span)).sum::<usize>();
        let used = self.holders.len() - self.free.len();
        if used + more <= self.max_pages() {
            return Ok(());
        }
        let wanted = spans.iter().map(|s| s.len).sum();
        let (used, max) = ((used * PAGE) as u32, self.spec.max_tokens);
        Err(DeviceError::CacheFull { used: used.min(max), max, wanted })
    }

    /// Pages that a sequence lacks for the tokens of a span.
    fn pages_for(&self, span: &Span) -> usize {
        let Some(seq) = self.seqs.get(&span.seq.0) else { return 0 };
        let more = (seq.len + span.len as usize).div_ceil(PAGE) - seq.pages.len();
        more + usize::from(self.shared_tail(seq).is_some())
    }

    /// The last page of a sequence, if it has room but others hold it too.
    fn shared_tail(&self, seq: &Sequence) -> Option<usize> {
        let last = *seq.pages.last()?;
        (!seq.len.is_multiple_of(PAGE) && self.holders[last] > 1).then_some(last)
    }

    fn reserve_span(&mut self, span: &Span) -> Result<(), DeviceError> {
        let Some(seq) = self.seqs.get(&span.seq.0) else { return Ok(()) };
        let pages = (seq.len + span.len as usize).div_ceil(PAGE);
        let more = pages - seq.pages.len();
        if let Some(shared) = self.shared_tail(seq) {
            let own = self.take()?;
            self.pages.copy(shared, own);
            self.holders[shared] -= 1;
            if let Some(last) = self.seqs.get_mut(&span.seq.0).and_then(|s| s.pages.last_mut()) {
                *last = own;
            }
        }
        if let Some(seq) = self.seqs.get_mut(&span.seq.0) {
            seq.reserve(more)?;
        }
        for _ in 0..more {
            let page = self.take()?;
            // There is room, so this takes no memory.
            if let Some(seq) = self.seqs.get_mut(&span.seq.0) {
                seq.pages.push(page);
            }
        }
        Ok(())
    }

    /// A page for one holder.
    fn take(&mut self) -> Result<usize, DeviceError> {
        let page = match self.free.pop() {
            Some(page) => page,
            None => {
                self.pages.push(self.page_len, &mut self.kv)?;
                self.holders.push(0);
                self.holders.len() - 1
            }
        };
        self.holders[page] = 1;
        Ok(page)
    }

    /// Keeps the first `len` tokens and their pages.
    fn cut(&mut self, seq: SeqId, len: usize) {
        let Some(seq) = self.seqs.get_mut(&seq.0) else { return };
        seq.len = len;
        for page in seq.pages.drain(len.div_ceil(PAGE)..) {
            self.holders[page] -= 1;
            if self.holders[page] == 0 {
                self.free.push(page);
            }
        }
    }

    fn insert(&mut self, seq: Sequence) -> Result<SeqId, DeviceError> {
        // Ids are not used again, so that a stale one is noticed.
        let id = self.next;
        self.next =
            id.checked_add(1).ok_or_else(|| DeviceError::Limit("2^32 sequences were opened".into()))?;
        seq.pages.iter().for_each(|&page| self.holders[page] += 1);
        self.seqs.insert(id, seq);
        Ok(SeqId(id))
    }

    fn holding(&self, seq: SeqId, len: u32) -> Result<&Sequence, DeviceError> {
        let id = seq.0;
        let seq =
            self.seqs.get(&id).ok_or_else(|| DeviceError::Step(format!("sequence {id} is not open")))?;
        if len as usize <= seq.len {
            return Ok(seq);
        }
        let held = seq.len;
        Err(DeviceError::Step(format!("the first {len} tokens of sequence {id}, which holds {held}")))
    }

    /// Tokens that a sequence holds; 0 if it is not open.
    pub(crate) fn held(&self, seq: SeqId) -> usize {
        self.seqs.get(&seq.0).map_or(0, |s| s.len)
    }
}

impl Pages {
    /// Bytes of a page of `len` elements.
    fn page_bytes(&self, len: usize) -> usize {
        match self {
            Pages::F16(_) => Shared::<u16>::bytes(len),
            Pages::F32(_) => Shared::<f32>::bytes(len),
        }
    }

    /// A page of `len` elements more, charged to what the cache has been charged.
    fn push(&mut self, len: usize, kv: &mut Charge) -> Result<(), DeviceError> {
        let (charge, what) = (kv.split(self.page_bytes(len)), "a page of the KV cache");
        match self {
            Pages::F16(pages) => pages.push(Shared::charged(charge, what, len)?),
            Pages::F32(pages) => pages.push(Shared::charged(charge, what, len)?),
        }
        Ok(())
    }

    fn copy(&mut self, from: usize, to: usize) {
        fn pair<T: Plain>(pages: &mut [Shared<T>], from: usize, to: usize) {
            if let Ok([from, to]) = pages.get_disjoint_mut([from, to]) {
                to.copy_from(from);
            }
        }
        match self {
            Pages::F16(pages) => pair(pages, from, to),
            Pages::F32(pages) => pair(pages, from, to),
        }
    }
}
