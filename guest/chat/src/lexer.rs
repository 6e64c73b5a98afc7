//! Tokens of Jinja's expressions.

/// The token that a text begins with; a run of white space is one.
pub(crate) fn token(text: &str) -> &str {
    let start = text.len() - text.trim_start().len();
    if start > 0 {
        return &text[..start];
    }
    let mut chars = text.char_indices();
    let Some((_, first)) = chars.next() else { return text };
    if matches!(first, '"' | '\'') {
        return string(text, first);
    }
    let word = |c: char| c.is_alphanumeric() || c == '_';
    if word(first) {
        return &text[..text.find(|c| !word(c)).unwrap_or(text.len())];
    }
    let double = ["==", "!=", "<=", ">=", "**", "//"].into_iter().find(|d| text.starts_with(d));
    &text[..double.map_or(first.len_utf8(), str::len)]
}

fn string(text: &str, quote: char) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return &text[..at + 1],
            _ => {}
        }
    }
    text
}

/// `\U0001F600` as its character.
pub(crate) fn long_escapes(string: &str) -> String {
    let mut out = String::new();
    let mut rest = string;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out += before;
        let hex = escape.strip_prefix("\\U").and_then(|digits| digits.get(..8));
        let c = hex.and_then(|hex| char::from_u32(u32::from_str_radix(hex, 16).ok()?));
        let length = match c {
            Some(_) => 10,
            None => 1 + escape[1..].chars().next().map_or(0, char::len_utf8),
        };
        match c {
            Some(c) => out.push(c),
            None => out += &escape[..length],
        }
        rest = &escape[length..];
    }
    out + rest
}
