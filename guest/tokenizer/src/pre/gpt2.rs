//! GPT-2: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.

use super::{Class, Scan, contraction, white_space};

/// Bytes of the first word.
pub(crate) fn first(text: &str) -> usize {
    if let Some(n) = contraction(text, false) {
        return n;
    }
    let mut scan = Scan::new(text);
    if scan.char() == Some(' ') {
        scan.pass();
    }
    let class = scan.class();
    for is in [Class::is_letter, Class::is_number, Class::is_other] {
        if is(class) {
            scan.pass_while(usize::MAX, is);
            return scan.at();
        }
    }
    white_space(text, true)
}
