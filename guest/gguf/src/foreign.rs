//! What files are that people take for GGUF: told by their first bytes.

/// Bytes of the beginning that are looked at.
pub(crate) const LOOKED_AT: u64 = 512;

/// Beginnings of files and what they are.
const KNOWN: &[(&[u8], &str)] = &[
    (b"FUGG", "the bytes are swapped"),
    (b"ggml", OLD),
    (b"ggmf", OLD),
    (b"ggjt", OLD),
    (b"lmgg", OLD),
    (b"fmgg", OLD),
    (b"tjgg", OLD),
    (b"ggla", "it is a LoRA adapter in an older format; convert it to GGUF and merge it into its model"),
    (b"algg", "it is a LoRA adapter in an older format; convert it to GGUF and merge it into its model"),
    (b"PK\x03\x04", "it is a zip archive, perhaps a PyTorch model; convert it to GGUF"),
    (b"\x80\x02", "it is a Python pickle, perhaps an old PyTorch model; convert it to GGUF"),
    (b"\x1f\x8b", "it is compressed with gzip; unpack it"),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd; unpack it"),
    (b"\xfd7zXZ\0", "it is compressed with xz; unpack it"),
    (b"BZh", "it is compressed with bzip2; unpack it"),
    (b"version https://git-lfs.github.com/spec/", LFS),
    (b"\x7fELF", "it is a program"),
    (b"MZ", "it is a program, perhaps a llamafile; give the GGUF file that is in it"),
];

const OLD: &str = "it is an older GGML format; convert it to GGUF";
const LFS: &str =
    "it is a Git LFS pointer, which stands for the real file; fetch that with `git lfs pull`, or download it";
const PAGE: &str = "it is a web page, perhaps an error page or one to log in; download the file itself again";

/// What a file of `size` bytes is that begins with `start` and is not GGUF.
pub(crate) fn name(start: &[u8], size: u64) -> String {
    match size {
        0 => return "the file is empty".into(),
        1..4 => return "it has fewer than 4 bytes".into(),
        _ => {}
    }
    if let Some((_, what)) = KNOWN.iter().find(|(magic, _)| start.starts_with(magic)) {
        return (*what).into();
    }
    if is_safetensors(start, size) {
        return "it is a safetensors file; convert it to GGUF".into();
    }
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    match text {
        _ if is_page(text) => PAGE.into(),
        [b'{' | b'[', ..] => "it is JSON, perhaps an error message or a model's configuration".into(),
        _ => format!("it begins with {:02x?}, expected the magic `GGUF`", &start[..start.len().min(4)]),
    }
}

/// Length of a JSON header in 8 bytes, then that header.
fn is_safetensors(start: &[u8], size: u64) -> bool {
    let Some((length, header)) = start.split_first_chunk::<8>() else { return false };
    let length = u64::from_le_bytes(*length);
    header.starts_with(b"{") && length.checked_add(8).is_some_and(|end| end <= size)
}

/// HTML, or XML as object stores answer.
fn is_page(text: &[u8]) -> bool {
    let begins = |with: &[u8]| text.get(..with.len()).is_some_and(|t| t.eq_ignore_ascii_case(with));
    [&b"<!doctype"[..], b"<html", b"<head", b"<?xml", b"<!--"].iter().any(|with| begins(with))
}
