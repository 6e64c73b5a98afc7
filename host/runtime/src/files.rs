//! Where the files of a model are: the one that the user names, and the parts beside it if it is split.

use std::ffi::OsString;
use std::fs::{File, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// The files of one model. Each is known by a name in UTF-8; where the real name is not UTF-8, U+FFFD stands for what is
/// not. Of a name that somebody asks for, only the number of the part is used.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    name: String,
    file_name: OsString,
    folder: PathBuf,
}

/// `base-00001-of-00003.gguf`.
#[derive(Debug, PartialEq, Eq)]
struct Part<'a> {
    base: &'a str,
    number: u32,
    count: u32,
}

impl ModelFiles {
    /// The model file at `path` and its parts, which are looked for in its folder.
    pub fn at(path: &Path) -> io::Result<ModelFiles> {
        let file_name = path.file_name().ok_or_else(|| refused("expected the name of a file"))?.to_owned();
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = file_name.to_string_lossy().into_owned();
        Ok(ModelFiles { name, file_name, folder: parent.canonicalize()? })
    }

    /// Name of the model file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Path of the file `name`; `None` unless that is the model or one of its parts.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        if name == self.name {
            return Some(self.folder.join(&self.file_name));
        }
        let (model, part) = (Part::of(&self.name)?, Part::of(name)?);
        if (part.base, part.count) != (model.base, model.count) {
            return None;
        }
        let ending = part.ending();
        let real = self.file_name.as_encoded_bytes();
        let base = &real[..real.len() - ending.len()];
        os_name([base, ending.as_bytes()].concat()).map(|file| self.folder.join(file))
    }

    /// Opens the file `name` for reading. Links lead where the user of this process may go; what they lead to is a
    /// regular file or is not opened.
    pub fn open(&self, name: &str) -> io::Result<File> {
        let path = self.path(name).ok_or_else(|| refused("not the model, nor a part of it"))?;
        open_regular(&path)
    }
}

impl Part<'_> {
    fn of(name: &str) -> Option<Part<'_>> {
        let stem = name.strip_suffix(".gguf")?;
        let (rest, count) = stem.rsplit_once("-of-")?;
        let (base, number) = rest.rsplit_once('-')?;
        let (number, count) = (five_digits(number)?, five_digits(count)?);
        (1..=count).contains(&number).then_some(Part { base, number, count })
    }

    fn ending(&self) -> String {
        format!("-{:05}-of-{:05}.gguf", self.number, self.count)
    }
}

fn five_digits(text: &str) -> Option<u32> {
    let digits = text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(unix)]
fn os_name(bytes: Vec<u8>) -> Option<OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

/// Only names in Unicode can be put together here.
#[cfg(not(unix))]
fn os_name(bytes: Vec<u8>) -> Option<OsString> {
    String::from_utf8(bytes).ok().map(OsString::from)
}

/// Opens a regular file, and nothing else: to open a pipe would wait for its writer, to open a device may do anything.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    expect_regular(&std::fs::metadata(path)?)?;
    let file = open_at_once(path)?;
    // The path may lead elsewhere since it was looked at.
    expect_regular(&file.metadata()?)?;
    Ok(file)
}

/// Opens what is at `path` without waiting for anything.
fn open_at_once(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOCTTY);
    options.read(true).open(path)
}

fn expect_regular(found: &Metadata) -> io::Result<()> {
    match found.is_file() {
        true => Ok(()),
        false => Err(refused(&format!("expected a regular file, found {}", file_kind(found.file_type())))),
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// What something in a folder is, in words.
pub fn file_kind(of: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let special = [
            (of.is_fifo(), "a named pipe"),
            (of.is_socket(), "a socket"),
            (of.is_char_device() || of.is_block_device(), "a device"),
        ];
        if let Some((_, kind)) = special.into_iter().find(|(is, _)| *is) {
            return kind;
        }
    }
    match (of.is_file(), of.is_dir(), of.is_symlink()) {
        (true, ..) => "a regular file",
        (_, true, _) => "a directory",
        (_, _, true) => "a symbolic link",
        _ => "another kind of file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(name: impl AsRef<std::ffi::OsStr>) -> ModelFiles {
        let name = name.as_ref().to_owned();
        ModelFiles { name: name.to_string_lossy().into_owned(), file_name: name, folder: "/models".into() }
    }

    #[test]
    fn only_parts_of_the_same_model_have_paths() {
        let model = files("a-00001-of-00003.gguf");
        let path = |name| model.path(name);
        assert_eq!(path("a-00001-of-00003.gguf"), Some("/models/a-00001-of-00003.gguf".into()));
        assert_eq!(path("a-00003-of-00003.gguf"), Some("/models/a-00003-of-00003.gguf".into()));
        for name in [
            "b-00002-of-00003.gguf",
            "a-00002-of-00004.gguf",
            "a-00000-of-00003.gguf",
            "a-00004-of-00003.gguf",
            "../a-00002-of-00003.gguf",
            "a-2-of-00003.gguf",
            "a-+0002-of-00003.gguf",
            "a-0000x-of-00003.gguf",
            "a-00002-of-00003.gguf\0",
            "/etc/passwd",
            "..",
            "",
        ] {
            assert_eq!(path(name), None, "{name}");
        }
        assert_eq!(
            files("a.gguf").path("a-00002-of-00003.gguf"),
            None,
            "a model that is not split has no parts"
        );
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_utf_8_have_parts() {
        use std::os::unix::ffi::OsStrExt;
        let name = |bytes| std::ffi::OsStr::from_bytes(bytes);
        let model = files(name(b"caf\xe9-00001-of-00002.gguf"));
        assert_eq!(model.name(), "caf\u{fffd}-00001-of-00002.gguf");
        let real = Path::new("/models").join(name(b"caf\xe9-00002-of-00002.gguf"));
        assert_eq!(model.path("caf\u{fffd}-00002-of-00002.gguf"), Some(real));
        assert_eq!(model.path("cafe-00002-of-00002.gguf"), None);
    }

    /// A pipe without a writer makes an ordinary open wait without end.
    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("/dev/null", at("device")).unwrap();
        std::os::unix::fs::symlink("circle", at("circle")).unwrap();
        std::fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        let refused = |name| open_regular(&at(name)).unwrap_err().to_string();
        assert_eq!(refused("pipe"), "expected a regular file, found a named pipe");
        assert_eq!(refused("socket"), "expected a regular file, found a socket");
        assert_eq!(refused("device"), "expected a regular file, found a device");
        assert_eq!(refused(""), "expected a regular file, found a directory");
        assert!(open_regular(&at("circle")).is_err());
        assert_eq!(std::io::read_to_string(open_regular(&at("link")).unwrap()).unwrap(), "text");
        // A pipe that took a file's place after the first look: it is opened at once and refused then.
        let pipe = open_at_once(&at("pipe")).unwrap();
        assert!(expect_regular(&pipe.metadata().unwrap()).is_err());
    }
}
