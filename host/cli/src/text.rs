//! Texts from files and from stdin.

use anyhow::{Context, Result, bail};
use std::io::Read;
use std::path::Path;

/// The text of a file. `what` names it in messages: `prompt`.
pub(crate) fn from_file(path: &Path, what: &str) -> Result<String> {
    let name = format!("{what} `{}`", path.display());
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
    decode(bytes, &name)
}

/// All of stdin.
pub(crate) fn from_stdin() -> Result<String> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).context("cannot read stdin")?;
    decode(bytes, "stdin")
}

/// As editors end a file and llama.cpp's `-f` reads it: one last newline is not part of the text.
pub(crate) fn without_last_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

/// UTF-8. A byte-order mark at its start is no text.
fn decode(bytes: Vec<u8>, name: &str) -> Result<String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        bail!("{name}: expected UTF-8, found the byte-order mark of UTF-16; convert it");
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        anyhow::anyhow!("{name}: expected UTF-8, found another byte at offset {at}")
    })?;
    Ok(text.strip_prefix('\u{feff}').map(Into::into).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_text() {
        let text = |bytes: &[u8]| decode(bytes.into(), "stdin").map_err(|e| e.to_string());
        assert_eq!(text(b"\xef\xbb\xbfOne"), Ok("One".into()));
        assert_eq!(text(b"\xef\xbb\xbf\xef\xbb\xbfOne"), Ok("\u{feff}One".into()), "one, at the start");
        assert_eq!(text("One\u{feff}".as_bytes()), Ok("One\u{feff}".into()));
        assert_eq!(text(b"\xef\xbb\xbf"), Ok(String::new()));
        let offset = "stdin: expected UTF-8, found another byte at offset 4";
        assert_eq!(text(b"\xef\xbb\xbfO\xff"), Err(offset.into()), "offsets count it");
        assert!(text(b"\xff\xfeO\0").unwrap_err().contains("UTF-16"));
    }

    #[test]
    fn one_newline_goes() {
        let text = |text: &str| without_last_newline(text.into());
        assert_eq!([text("a\n"), text("a\n\n"), text("a"), text("\n"), text("")], ["a", "a\n", "a", "", ""]);
    }
}
