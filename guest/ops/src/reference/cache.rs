//! A KV cache as lists of tokens; forks share the tokens themselves.

use crate::device::{DeviceError, SeqId};
use crate::plan::{CacheSpec, LayerKv};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// The cache of the reference device.
#[derive(Clone, Debug)]
pub struct Cache {
    spec: CacheSpec,
    seqs: BTreeMap<SeqId, Vec<Arc<TokenKv>>>,
    next: u32,
}

/// Keys and values of one token, by layer, as the cache gives them back.
#[derive(Clone, Debug)]
pub(super) struct TokenKv {
    /// `(n_kv_heads, k_dim)` each.
    pub(super) k: Vec<Vec<f32>>,
    /// `(n_kv_heads, v_dim)` each.
    pub(super) v: Vec<Vec<f32>>,
}

impl TokenKv {
    pub(super) fn new(layers: &[LayerKv]) -> TokenKv {
        let zeros = |dim: u32, heads: u32| vec![0.0; dim as usize * heads as usize];
        TokenKv {
            k: layers.iter().map(|kv| zeros(kv.k_dim, kv.n_kv_heads)).collect(),
            v: layers.iter().map(|kv| zeros(kv.v_dim, kv.n_kv_heads)).collect(),
        }
    }
}

impl Cache {
    pub(super) fn new(spec: &CacheSpec) -> Cache {
        Cache { spec: spec.clone(), seqs: BTreeMap::new(), next: 0 }
    }

    /// What the cache was made from.
    pub fn spec(&self) -> &CacheSpec {
        &self.spec
    }

    pub(super) fn is_open(&self, seq: SeqId) -> bool {
        self.seqs.contains_key(&seq)
    }

    pub(super) fn tokens(&self, seq: SeqId) -> Result<&Vec<Arc<TokenKv>>, DeviceError> {
        self.seqs.get(&seq).ok_or_else(|| not_open(seq))
    }

    /// Checks that `n` more tokens fit. Tokens shared by forks count once.
    pub(super) fn check_room(&self, n: usize) -> Result<(), DeviceError> {
        let distinct: BTreeSet<_> = self.seqs.values().flatten().map(Arc::as_ptr).collect();
        let (used, max) = (distinct.len(), self.spec.max_tokens);
        if used + n <= max as usize {
            return Ok(());
        }
        Err(DeviceError::CacheFull { used: used as u32, max, wanted: n as u32 })
    }

    pub(super) fn push(&mut self, seq: SeqId, tokens: impl Iterator<Item = TokenKv>) {
        self.seqs.entry(seq).or_default().extend(tokens.map(Arc::new));
    }

    pub(super) fn open(&mut self) -> SeqId {
        self.insert(Vec::new())
    }

    pub(super) fn fork(&mut self, seq: SeqId, len: u32) -> Result<SeqId, DeviceError> {
        self.check_len(seq, len)?;
        let tokens = self.tokens(seq)?[..len as usize].to_vec();
        Ok(self.insert(tokens))
    }

    pub(super) fn truncate(&mut self, seq: SeqId, len: u32) -> Result<(), DeviceError> {
        self.check_len(seq, len)?;
        self.seqs.entry(seq).or_default().truncate(len as usize);
        Ok(())
    }

    pub(super) fn close(&mut self, seq: SeqId) -> Result<(), DeviceError> {
        self.seqs.remove(&seq).map(|_| ()).ok_or_else(|| not_open(seq))
    }

    pub(super) fn len(&self, seq: SeqId) -> Result<u32, DeviceError> {
        Ok(self.tokens(seq)?.len() as u32)
    }

    fn insert(&mut self, tokens: Vec<Arc<TokenKv>>) -> SeqId {
        let seq = SeqId(self.next);
        self.next += 1;
        self.seqs.insert(seq, tokens);
        seq
    }

    fn check_len(&self, seq: SeqId, len: u32) -> Result<(), DeviceError> {
        let held = self.len(seq)?;
        if len <= held {
            return Ok(());
        }
        let seq = seq.0;
        Err(DeviceError::Step(format!("the first {len} tokens of sequence {seq}, which holds {held}")))
    }
}

fn not_open(seq: SeqId) -> DeviceError {
    DeviceError::Step(format!("sequence {} is not open", seq.0))
}
