//! What may reach a terminal, and what a terminal can do.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};

/// `text` without control characters: a model must not move the cursor, set titles or clear the screen.
/// Newlines and tabs stay; everything else below U+0020, U+007F to U+009F and bidirectional controls become U+FFFD.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let bad = |c: char| c != '\n' && c != '\t' && steers(c);
    if !text.contains(bad) {
        return text.into();
    }
    text.chars().map(|c| if bad(c) { char::REPLACEMENT_CHARACTER } else { c }).collect::<String>().into()
}

/// `text` as a part of one line. For names and messages from outside, which must not look like lines of ours: line ends
/// and control characters become escapes, `\n` or `\u{1b}`.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    let bad = |c: char| steers(c) || ends_line(c);
    if !text.contains(bad) {
        return text.into();
    }
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match bad(c) {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line.into()
}

/// JSON as text, `{:#}` or `{}`. What is left of control characters in its strings is escaped, which changes no value.
pub(crate) fn json(value: &serde_json::Value, pretty: bool) -> String {
    let text = if pretty { format!("{value:#}") } else { value.to_string() };
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c != '\n' && (steers(c) || ends_line(c)) {
            true => safe += &format!("\\u{:04x}", u32::from(c)),
            false => safe.push(c),
        }
    }
    safe
}

/// Control characters, and those that change the direction of text. All are below U+10000.
fn steers(c: char) -> bool {
    let direction =
        matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}');
    c.is_control() || direction
}

/// What Unicode calls a line or paragraph separator and does not count among control characters.
fn ends_line(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Where log lines go: stderr, one line for each record whatever is in it. Where records are coloured their escape
/// sequences stay; the logger has escaped those in fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    pub(crate) coloured: bool,
}

impl Write for Log {
    /// `record` is a whole one, with its line end. It is never refused: the logger would say so on stderr, too.
    fn write(&mut self, record: &[u8]) -> std::io::Result<usize> {
        to_stderr(format_args!("{}", one_line(&String::from_utf8_lossy(record), self.coloured)));
        Ok(record.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn one_line(record: &str, coloured: bool) -> String {
    let parts = record.trim_end_matches('\n').split('\u{1b}').map(line);
    parts.collect::<Vec<_>>().join(if coloured { "\u{1b}" } else { r"\u{1b}" }) + "\n"
}

/// Writes to stderr. Where that is full or closed nobody is told, and the work goes on: `eprint!` would panic.
pub(crate) fn to_stderr(text: std::fmt::Arguments<'_>) {
    let _ = std::io::stderr().write_fmt(text);
}

/// A line on stderr, by [`to_stderr`].
macro_rules! tell {
    ($($text:tt)*) => { $crate::term::to_stderr(format_args!("{}\n", format_args!($($text)*))) };
}
pub(crate) use tell;

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
        assert!(matches!(line("línea 🦀"), Cow::Borrowed("línea 🦀")));
    }

    #[test]
    fn names_do_not_make_lines() {
        assert_eq!(line("a\nerror: b\r\tc"), "a\\nerror: b\\r\\tc");
        assert_eq!(line("\u{1b}[2J\u{85}\u{2028}\u{202e}"), r"\u{1b}[2J\u{85}\u{2028}\u{202e}");
        assert_eq!(line(r"back\slash"), r"back\slash");
    }

    #[test]
    fn json_keeps_its_values() {
        let value = serde_json::json!({ "a\nb": ["\u{9b}31m\u{7f}\u{1b}", "\u{202e}\u{2029}é🦀", 1] });
        for pretty in [false, true] {
            let text = json(&value, pretty);
            assert!(!text.contains(|c| c != '\n' && (steers(c) || ends_line(c))), "{text:?}");
            assert_eq!(text.lines().count(), if pretty { 7 } else { 1 }, "{text}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        }
    }

    #[test]
    fn a_log_record_is_one_line() {
        let record = "\u{1b}[33m WARN\u{1b}[0m a\n ERROR b\n";
        assert_eq!(one_line(record, true), "\u{1b}[33m WARN\u{1b}[0m a\\n ERROR b\n");
        assert_eq!(one_line(record, false), "\\u{1b}[33m WARN\\u{1b}[0m a\\n ERROR b\n");
    }

    #[test]
    fn bytes_are_readable() {
        assert_eq!(bytes(17), "17 B");
        assert_eq!(bytes(3_962_400), "3.8 MiB");
    }
}
