//! Splitting by a regular expression, in linear time.

use super::classes::pinned;
use super::{Spaces, white_space};
use regex_automata::Input;
use regex_automata::meta::Regex;
use std::fmt;

/// A compiled expression; for the look-ahead that it would need at white space there is code.
pub(crate) struct Expression {
    regex: Regex,
    spaces: Spaces,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.spaces)
    }
}

impl Expression {
    pub(crate) fn new(pattern: &str, spaces: Spaces) -> Expression {
        let pattern = pinned(pattern);
        // The expressions are ours: that each of them compiles is tested.
        let regex = match spaces {
            Spaces::Part => Regex::new(&pattern),
            Spaces::LeaveLast | Spaces::Powers => Regex::new_many(&[&pattern, r"\s+"]),
        };
        Expression { regex: regex.expect("an expression of the table"), spaces }
    }

    /// Calls `f` with every match and with what is between them.
    pub(crate) fn split<'t>(&self, text: &'t str, f: &mut dyn FnMut(&'t str)) {
        let mut at = 0;
        while let Some(found) = self.regex.search(&Input::new(text).range(at..)) {
            let (start, mut end) = (found.start(), found.end());
            if start > at {
                f(&text[at..start]);
            }
            if found.pattern().as_usize() == 1 {
                end = start + self.spaces(&text[start..end], end == text.len());
            }
            f(&text[start..end]);
            at = end;
        }
        if at < text.len() {
            f(&text[at..]);
        }
    }

    /// How much of a run of white space is one word. `last`: no word follows.
    fn spaces(&self, run: &str, last: bool) -> usize {
        match self.spaces {
            _ if last && self.spaces != Spaces::Powers => run.len(),
            Spaces::Powers => powers(run, last),
            // Followed by anything but white space: what stands there does not matter.
            _ => white_space(run, false),
        }
    }
}

/// `\s{512}(?!\S)|\s{256}(?!\S)|…|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}`.
fn powers(run: &str, last: bool) -> usize {
    let n = run.chars().count();
    let fits = |&k: &usize| n > k || (n == k && last);
    let take = [512, 256, 128, 64, 32, 16, 8, 4, 2].into_iter().find(fits).unwrap_or(1);
    run.chars().take(take).map(char::len_utf8).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two() {
        let all = |n: usize, last: bool| {
            let (mut run, mut taken) = (" ".repeat(n), Vec::new());
            while !run.is_empty() {
                let k = powers(&run, last);
                taken.push(k);
                run.truncate(run.len() - k);
            }
            taken
        };
        assert_eq!(all(1, false), [1]);
        assert_eq!(all(2, false), [1, 1]);
        assert_eq!(all(3, false), [2, 1]);
        assert_eq!(all(2, true), [2]);
        assert_eq!(all(7, true), [4, 2, 1]);
        assert_eq!(all(1200, true), [512, 512, 128, 32, 16]);
    }
}
