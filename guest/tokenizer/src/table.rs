//! Hash tables over what is stored elsewhere: a few bytes per entry, no allocation per entry.

/// A multiplicative hash of bytes (FxHash's mixing). Keys come from one file; who crafts collisions slows down only
/// their own model.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state =
        words.iter().fold(bytes.len() as u64, |state, word| mix(state, u64::from_le_bytes(*word)));
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        state = mix(state, u64::from_le_bytes(last));
    }
    finish(state)
}

fn mix(state: u64, word: u64) -> u64 {
    (state.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95)
}

fn finish(state: u64) -> u64 {
    let state = (state ^ (state >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state ^ (state >> 29)
}

/// Ids of tokens by their bytes. `EMPTY` marks free slots.
#[derive(Debug)]
pub(crate) struct Ids {
    slots: Vec<u32>,
}

const EMPTY: u32 = u32::MAX;

impl Ids {
    /// A table for `n` ids.
    pub(crate) fn new(n: usize) -> Ids {
        Ids { slots: vec![EMPTY; (n * 2).next_power_of_two().max(8)] }
    }

    /// Adds an id; one with the same key is replaced.
    pub(crate) fn insert<'a>(&mut self, id: u32, key_of: impl Fn(u32) -> &'a [u8]) {
        let slot = self.slot(key_of(id), &key_of);
        self.slots[slot] = id;
    }

    /// The id with this key.
    pub(crate) fn get<'a>(&self, key: &[u8], key_of: impl Fn(u32) -> &'a [u8]) -> Option<u32> {
        Some(self.slots[self.slot(key, &key_of)]).filter(|&id| id != EMPTY)
    }

    /// The slot of a key, or where it would be.
    fn slot<'a>(&self, key: &[u8], key_of: &impl Fn(u32) -> &'a [u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash(key) as usize & mask;
        while self.slots[at] != EMPTY && key_of(self.slots[at]) != key {
            at = (at + 1) & mask;
        }
        at
    }
}

/// Merges by the pair that they merge.
#[derive(Debug)]
pub(crate) struct Merges {
    slots: Vec<Merge>,
}

/// What a pair of tokens becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Merge {
    left: u32,
    right: u32,
    /// Merges of lower rank go first.
    pub(crate) rank: u32,
    pub(crate) merged: u32,
}

impl Merges {
    /// A table for `n` merges.
    pub(crate) fn new(n: usize) -> Merges {
        let empty = Merge { left: EMPTY, right: EMPTY, rank: 0, merged: 0 };
        // At most two thirds full: a vocabulary of 128k tokens has 280k merges of 16 bytes.
        Merges { slots: vec![empty; (n + n / 2).next_power_of_two().max(8)] }
    }

    /// Adds a merge, unless the pair has one of lower rank already.
    pub(crate) fn insert(&mut self, left: u32, right: u32, rank: u32, merged: u32) {
        let slot = self.slot(left, right);
        if self.slots[slot].left == EMPTY {
            self.slots[slot] = Merge { left, right, rank, merged };
        }
    }

    /// The merge of a pair.
    #[inline]
    pub(crate) fn get(&self, left: u32, right: u32) -> Option<Merge> {
        Some(self.slots[self.slot(left, right)]).filter(|m| m.left != EMPTY)
    }

    #[inline]
    fn slot(&self, left: u32, right: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = finish(u64::from(left) << 32 | u64::from(right)) as usize & mask;
        while self.slots[at].left != EMPTY && (self.slots[at].left, self.slots[at].right) != (left, right) {
            at = (at + 1) & mask;
        }
        at
    }
}
