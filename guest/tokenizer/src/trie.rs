//! A trie over byte strings: every token that a text begins with, in one walk.

use crate::table::Merges;

/// Nodes are numbered in the order of their creation; 0 is the root.
#[derive(Debug)]
pub(crate) struct Trie {
    /// (node, byte) to node.
    edges: Merges,
    /// By byte: the root's children, 0 for none.
    root: Box<[u32; 256]>,
    /// By node: the value of the string that ends there.
    values: Vec<u32>,
}

/// No string ends here.
const NONE: u32 = u32::MAX;

impl Trie {
    /// A trie of these strings; of equal ones the last counts. Empty strings are left out.
    pub(crate) fn new<'a>(strings: impl Iterator<Item = (&'a [u8], u32)> + Clone) -> Trie {
        // One node per byte at most.
        let most = strings.clone().map(|(s, _)| s.len()).sum();
        let mut trie = Trie { edges: Merges::new(most), root: Box::new([0; 256]), values: vec![NONE] };
        for (string, value) in strings {
            let mut node = 0;
            for &byte in string {
                node = trie.step(node, byte).unwrap_or_else(|| trie.add(node, byte));
            }
            if node != 0 {
                trie.values[node as usize] = value;
            }
        }
        trie
    }

    fn add(&mut self, node: u32, byte: u8) -> u32 {
        let new = self.values.len() as u32;
        self.values.push(NONE);
        match node {
            0 => self.root[byte as usize] = new,
            _ => self.edges.insert(node, byte.into(), 0, new),
        }
        new
    }

    fn step(&self, node: u32, byte: u8) -> Option<u32> {
        match node {
            0 => Some(self.root[byte as usize]).filter(|&child| child != 0),
            _ => self.edges.get(node, byte.into()).map(|edge| edge.merged),
        }
    }

    /// Length and value of every string that `text` begins with, the shortest first.
    pub(crate) fn prefixes<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = (usize, u32)> + 't {
        let mut node = 0;
        let walk = text.iter().map_while(move |&byte| {
            node = self.step(node, byte)?;
            Some(node)
        });
        let ends = walk.enumerate().map(|(i, node)| (i + 1, self.values[node as usize]));
        ends.filter(|&(_, value)| value != NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_found_in_order() {
        let strings: [(&[u8], u32); 4] = [(b"a", 1), (b"abc", 2), (b"b", 3), (b"", 4)];
        let trie = Trie::new(strings.into_iter());
        let found = |text: &[u8]| trie.prefixes(text).collect::<Vec<_>>();
        assert_eq!(found(b"abcd"), [(1, 1), (3, 2)]);
        assert_eq!(found(b"abx"), [(1, 1)]);
        assert_eq!(found(b"bx"), [(1, 3)]);
        assert_eq!((found(b"x"), found(b"")), (vec![], vec![]));
    }
}
