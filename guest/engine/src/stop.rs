//! Stop texts: found across token borders, never emitted.

/// Watches generated text for stop texts and holds back what might be the beginning of one.
#[derive(Debug)]
pub(crate) struct StopMatcher {
    stops: Vec<String>,
    held: String,
}

/// What to do with text that was pushed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Matched {
    /// Text that is certainly not part of a stop text.
    pub(crate) emit: String,
    /// A stop text is complete.
    pub(crate) stopped: bool,
}

impl StopMatcher {
    /// Empty stop texts are ignored.
    pub(crate) fn new(stops: &[String]) -> StopMatcher {
        let stops = stops.iter().filter(|s| !s.is_empty()).cloned().collect();
        StopMatcher { stops, held: String::new() }
    }

    pub(crate) fn push(&mut self, text: &str) -> Matched {
        self.held.push_str(text);
        if let Some(at) = self.stops.iter().filter_map(|s| self.held.find(s.as_str())).min() {
            let emit = self.held[..at].to_owned();
            self.held.clear();
            return Matched { emit, stopped: true };
        }
        let keep = self.held.len() - self.longest_beginning();
        let emit = self.held[..keep].to_owned();
        self.held.drain(..keep);
        Matched { emit, stopped: false }
    }

    /// What is still held back; the stream has ended.
    pub(crate) fn finish(&mut self) -> String {
        core::mem::take(&mut self.held)
    }

    /// Bytes at the end of the held text that are the beginning of a stop text.
    fn longest_beginning(&self) -> usize {
        let beginning = |stop: &String| {
            let longest = stop.len().min(self.held.len());
            (1..=longest)
                .rev()
                .filter(|&n| stop.is_char_boundary(n))
                .find(|&n| self.held.as_bytes().ends_with(&stop.as_bytes()[..n]))
                .unwrap_or(0)
        };
        self.stops.iter().map(beginning).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let stops: Vec<String> = stops.iter().map(|s| s.to_string()).collect();
        let mut m = StopMatcher::new(&stops);
        let mut out = String::new();
        for p in pieces {
            let r = m.push(p);
            out += &r.emit;
            if r.stopped {
                return (out, true);
            }
        }
        (out + &m.finish(), false)
    }

    #[test]
    fn a_stop_text_is_found_across_pieces_and_not_emitted() {
        assert_eq!(run(&["END"], &["one E", "N", "D two"]), ("one ".into(), true));
    }

    #[test]
    fn a_false_beginning_is_emitted_later() {
        assert_eq!(run(&["END"], &["one E", "N", "d two EN"]), ("one ENd two EN".into(), false));
    }

    #[test]
    fn the_first_of_several_wins() {
        assert_eq!(run(&["zz", "b"], &["aab zz"]), ("aa".into(), true));
    }

    #[test]
    fn held_text_never_splits_a_character() {
        assert_eq!(run(&["é!"], &["caf", "é", "?"]), ("café?".into(), false));
        assert_eq!(run(&["é!"], &["caf", "é", "!"]), ("caf".into(), true));
    }

    #[test]
    fn an_empty_stop_text_is_no_stop() {
        assert_eq!(run(&[""], &["abc"]), ("abc".into(), false));
    }
}
