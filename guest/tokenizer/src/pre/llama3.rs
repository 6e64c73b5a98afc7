//! Llama 3 and, with single digits, Qwen 2: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
//! ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`.

use super::{Class, Scan, contraction, white_space};

/// Bytes of the first word; numbers are split into groups of at most `DIGITS`.
pub(crate) fn first<const DIGITS: usize>(text: &str) -> usize {
    contraction(text, true)
        .or_else(|| letters(text))
        .or_else(|| numbers(text, DIGITS))
        .or_else(|| others(text))
        .or_else(|| lines(text))
        .unwrap_or_else(|| white_space(text, true))
}

/// `[^\r\n\p{L}\p{N}]?\p{L}+`.
fn letters(text: &str) -> Option<usize> {
    let mut scan = Scan::new(text);
    let class = scan.class();
    if !class.is_line_end() && !class.is_letter() && !class.is_number() {
        scan.pass();
    }
    (scan.pass_while(usize::MAX, Class::is_letter) > 0).then(|| scan.at())
}

/// `\p{N}{1,digits}`.
fn numbers(text: &str, digits: usize) -> Option<usize> {
    let mut scan = Scan::new(text);
    (scan.pass_while(digits, Class::is_number) > 0).then(|| scan.at())
}

/// ` ?[^\s\p{L}\p{N}]+[\r\n]*`.
fn others(text: &str) -> Option<usize> {
    let mut scan = Scan::new(text);
    if scan.char() == Some(' ') {
        scan.pass();
    }
    let some = scan.pass_while(usize::MAX, Class::is_other) > 0;
    scan.pass_while(usize::MAX, Class::is_line_end);
    some.then(|| scan.at())
}

/// `\s*[\r\n]+`: white space up to the last line end in it.
fn lines(text: &str) -> Option<usize> {
    let (mut scan, mut end) = (Scan::new(text), 0);
    while scan.class().is_space() {
        let line_end = scan.class().is_line_end();
        scan.pass();
        if line_end {
            end = scan.at();
        }
    }
    (end > 0).then_some(end)
}
