//! Digits in groups of three, counted from the right.

use super::Class;

/// Bytes of the first piece where numbers are cut into threes from the right (`\d{1,3}(?=(?:\d{3})*\b)`). As in
/// llama.cpp, text before a number stays with the number's first group.
pub(crate) fn threes_from_the_right(text: &str) -> usize {
    let is_number = |c: char| Class::of(c).is_number();
    let Some(start) = text.find(is_number) else { return text.len() };
    let n = text[start..].chars().take_while(|&c| is_number(c)).count();
    let first = if n % 3 == 0 { 3 } else { n % 3 };
    start + text[start..].chars().take(first).map(char::len_utf8).sum::<usize>()
}

/// Bytes of the first piece where text is cut before every group of three ASCII digits, counted from the right of their
/// run (`(?=(\d{3})+(?!\d))`).
pub(crate) fn groups_of_three(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let run = bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        // The first cut of this run that is not at the very beginning of the text.
        let first = at + run % 3;
        let cut = if first == 0 { 3 } else { first };
        if run >= 3 && cut < at + run {
            return cut;
        }
        at += run.max(1);
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(first: fn(&str) -> usize, mut text: &str) -> Vec<&str> {
        let mut pieces = Vec::new();
        while !text.is_empty() {
            let (piece, rest) = text.split_at(first(text));
            pieces.push(piece);
            text = rest;
        }
        pieces
    }

    #[test]
    fn threes() {
        assert_eq!(pieces(threes_from_the_right, "1234567"), ["1", "234", "567"]);
        assert_eq!(pieces(threes_from_the_right, "123456"), ["123", "456"]);
        assert_eq!(pieces(threes_from_the_right, "a12 bc3456x"), ["a12", " bc3", "456", "x"]);
        assert_eq!(pieces(threes_from_the_right, "abc"), ["abc"]);
        assert_eq!(pieces(threes_from_the_right, "²²²²"), ["²", "²²²"]);
    }

    #[test]
    fn groups() {
        assert_eq!(pieces(groups_of_three, "1234567"), ["1", "234", "567"]);
        assert_eq!(pieces(groups_of_three, "123456"), ["123", "456"]);
        assert_eq!(pieces(groups_of_three, "12a1234"), ["12a1", "234"]);
        assert_eq!(pieces(groups_of_three, "a123b"), ["a", "123b"]);
        assert_eq!(pieces(groups_of_three, "12"), ["12"]);
    }
}
