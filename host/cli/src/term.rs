//! What may reach a terminal, and what a terminal can do.

use std::borrow::Cow;
use std::io::IsTerminal;

/// `text` without control characters: a model must not move the cursor, set titles or clear the screen.
/// Newlines and tabs stay; everything else below U+0020, U+007F to U+009F and bidirectional overrides become U+FFFD.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let bad = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    if !text.contains(bad) {
        return text.into();
    }
    text.chars().map(|c| if bad(c) { char::REPLACEMENT_CHARACTER } else { c }).collect::<String>().into()
}

/// Whether log lines may be coloured.
pub(crate) fn colour_stderr() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// A count of bytes for people.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Peak resident memory of this process in bytes, where the system tells.
pub(crate) fn peak_memory() -> Option<u64> {
    status("VmHWM:")
}

/// Resident memory of this process that no file backs, in bytes, where the system tells.
pub(crate) fn private_memory() -> Option<u64> {
    status("RssAnon:")
}

/// A size that Linux tells of this process.
fn status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{7}\u{9b}31m"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}31m");
        assert_eq!(printable("\u{202e}evil"), "\u{fffd}evil");
    }

    #[test]
    fn ordinary_text_is_untouched() {
        let text = "línea\n\tтабуляция 🦀";
        assert!(matches!(printable(text), Cow::Borrowed(t) if t == text));
    }

    #[test]
    fn bytes_are_readable() {
        assert_eq!(bytes(17), "17 B");
        assert_eq!(bytes(3_962_400), "3.8 MiB");
    }
}
