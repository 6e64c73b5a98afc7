//! A trie over byte strings: every token that a text begins with, in one walk.
//!
//! A double array (Aoe 1989): the child of a node by a byte is at `base ^ byte`, if the unit there says so.

/// Unit 0 is the root. The length is a multiple of 256, and so `base ^ byte` is within it.
#[derive(Debug)]
pub(crate) struct Trie {
    units: Vec<Unit>,
}

#[derive(Clone, Copy, Debug)]
struct Unit {
    /// Where children are looked for.
    base: u32,
    /// The unit that this one is a child of; `NONE` of the root and of those that are free.
    parent: u32,
    /// Of the string that ends here, or `NONE`.
    value: u32,
}

const NONE: u32 = u32::MAX;

impl Trie {
    /// A trie of these strings; of equal ones the last counts. Empty strings are left out.
    pub(crate) fn new<'a>(strings: impl Iterator<Item = (&'a [u8], u32)>) -> Trie {
        let mut strings: Vec<(&[u8], u32)> = strings.filter(|(s, _)| !s.is_empty()).collect();
        strings.sort_by_key(|&(s, _)| s);
        let mut builder = Builder::new();
        // Nodes whose children are not placed yet: unit, length of its string, strings that begin with it.
        let mut open = vec![(0, 0, &strings[..])];
        while let Some((node, depth, strings)) = open.pop() {
            let longer = strings.partition_point(|(s, _)| s.len() == depth);
            if let Some(&(_, value)) = strings[..longer].last() {
                builder.units[node as usize].value = value;
            }
            let groups = strings[longer..].chunk_by(|(a, _), (b, _)| a[depth] == b[depth]);
            let groups: Vec<(u8, _)> = groups.map(|g| (g[0].0[depth], g)).collect();
            if !groups.is_empty() {
                let base = builder.place(node, groups.iter().map(|&(byte, _)| byte));
                open.extend(groups.iter().map(|&(byte, g)| (base ^ u32::from(byte), depth + 1, g)));
            }
        }
        Trie { units: builder.units }
    }

    /// Length and value of every string that `text` begins with, the shortest first.
    #[inline]
    pub(crate) fn prefixes<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = (usize, u32)> + 't {
        let mut node = 0;
        let walk = text.iter().map_while(move |&byte| {
            let child = self.units[node as usize].base ^ u32::from(byte);
            let unit = self.units[child as usize];
            let found = (unit.parent == node).then_some(unit.value);
            node = child;
            found
        });
        walk.enumerate().filter(|&(_, value)| value != NONE).map(|(i, value)| (i + 1, value))
    }

    /// Whether some string begins with this byte.
    pub(crate) fn begins(&self, byte: u8) -> bool {
        self.units[(self.units[0].base ^ u32::from(byte)) as usize].parent == 0
    }
}

/// So many free units are tried before there are new ones: placing a node costs no more than that.
const TRIES: usize = 64;

/// Parent of the root: it is nobody's child, and not free.
const NOBODY: u32 = NONE - 1;

/// Free units are linked: `base` is the next one, `value` the one before.
struct Builder {
    units: Vec<Unit>,
    /// The first free unit, or `NONE`.
    first: u32,
}

impl Builder {
    fn new() -> Builder {
        let mut builder = Builder { units: Vec::new(), first: NONE };
        builder.grow();
        builder.take(0, NOBODY);
        builder
    }

    /// Puts the children of a node into free units; their base.
    fn place(&mut self, node: u32, bytes: impl Iterator<Item = u8> + Clone) -> u32 {
        let base = self.base(bytes.clone()).unwrap_or_else(|| self.grow());
        bytes.for_each(|byte| self.take(base ^ u32::from(byte), node));
        self.units[node as usize].base = base;
        base
    }

    /// A base at which the units of all these bytes are free.
    fn base(&self, bytes: impl Iterator<Item = u8> + Clone) -> Option<u32> {
        let lowest = u32::from(bytes.clone().next()?);
        let is_free = |unit: u32| self.units[unit as usize].parent == NONE;
        let next = |&unit: &u32| Some(self.units[unit as usize].base).filter(|&next| next != NONE);
        let free = std::iter::successors(Some(self.first).filter(|&unit| unit != NONE), next);
        let mut bases = free.take(TRIES).map(|unit| unit ^ lowest);
        bases.find(|base| bytes.clone().all(|byte| is_free(base ^ u32::from(byte))))
    }

    fn take(&mut self, unit: u32, parent: u32) {
        let Unit { base: next, value: before, .. } = self.units[unit as usize];
        match before {
            NONE => self.first = next,
            _ => self.units[before as usize].base = next,
        }
        if next != NONE {
            self.units[next as usize].value = before;
        }
        self.units[unit as usize] = Unit { base: 0, parent, value: NONE };
    }

    /// Adds 256 free units, which come first from now on; the first of them.
    fn grow(&mut self) -> u32 {
        let start = self.units.len() as u32;
        let end = start + 256;
        let unit = |i: u32| Unit {
            base: if i + 1 < end { i + 1 } else { self.first },
            parent: NONE,
            value: if i > start { i - 1 } else { NONE },
        };
        let new: Vec<Unit> = (start..end).map(unit).collect();
        if self.first != NONE {
            self.units[self.first as usize].value = end - 1;
        }
        self.units.extend(new);
        self.first = start;
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prefixes_are_found_in_order() {
        let strings: [(&[u8], u32); 5] = [(b"a", 1), (b"abc", 5), (b"b", 3), (b"", 4), (b"abc", 2)];
        let trie = Trie::new(strings.into_iter());
        let found = |text: &[u8]| trie.prefixes(text).collect::<Vec<_>>();
        assert_eq!(found(b"abcd"), [(1, 1), (3, 2)]);
        assert_eq!(found(b"abx"), [(1, 1)]);
        assert_eq!(found(b"bx"), [(1, 3)]);
        assert_eq!((found(b"x"), found(b""), found(b"\0")), (vec![], vec![], vec![]));
        assert!(trie.begins(b'a') && !trie.begins(b'c') && !trie.begins(0));
    }

    proptest! {
        #[test]
        fn it_finds_what_comparing_finds(
            strings in prop::collection::vec("[a-d\u{0}\u{ff}]{0,5}|.{0,3}", 0..300),
            text in "[a-d\u{0}\u{ff}]{0,8}|.{0,4}",
        ) {
            let numbered = || strings.iter().enumerate().map(|(i, s)| (s.as_bytes(), i as u32));
            let trie = Trie::new(numbered());
            for text in strings.iter().chain([&text]).map(|s| s.as_bytes()) {
                let last = |end: usize| numbered().rfind(|&(s, _)| *s == text[..end]);
                let expected: Vec<_> = (1..=text.len()).filter_map(|n| Some((n, last(n)?.1))).collect();
                prop_assert_eq!(trie.prefixes(text).collect::<Vec<_>>(), expected);
            }
        }
    }
}
