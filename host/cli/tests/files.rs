//! Files as people have them: names in other encodings, parts behind links, byte-order marks, things that are no files.
#![cfg(unix)]

mod common;

use chord_gguf::{Gguf, Value, Writer};
use common::{assert_fails, model, root, run, run_with_stdin, stderr, stdout};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A name that is Latin-1, not UTF-8.
fn latin(name: &str) -> OsString {
    OsStr::from_bytes(&name.chars().map(|c| c as u8).collect::<Vec<_>>()).to_owned()
}

/// Runs with paths among the arguments.
fn run_on(args: &[&str], paths: &[&Path], more: &[&str]) -> Output {
    let words = args.iter().map(OsStr::new).chain(paths.iter().map(|p| p.as_os_str()));
    run(&words.chain(more.iter().map(OsStr::new)).collect::<Vec<_>>())
}

fn succeeds(output: Output) -> String {
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

fn mkfifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo starts").success());
}

/// The bytes of a model's two halves, as `llama-gguf-split` writes them.
fn halves(name: &str) -> [Vec<u8>; 2] {
    let file = std::fs::read(model(name)).unwrap();
    let gguf = Gguf::parse(&file, name).unwrap();
    let (first, second) = gguf.tensors.split_at(gguf.tensors.len() / 2);
    [first, second].map(|tensors| {
        let number = u16::from(tensors.as_ptr() != first.as_ptr());
        let mut writer = Writer::new()
            .metadata("split.no", Value::U16(number))
            .metadata("split.count", Value::U16(2))
            .metadata("split.tensors.count", Value::I32(gguf.tensors.len() as i32));
        for (key, value) in gguf.metadata.iter().filter(|_| number == 0) {
            writer = writer.metadata(key, value.clone());
        }
        for t in tensors {
            let bytes = &file[t.offset as usize..(t.offset + t.bytes) as usize];
            writer = writer.tensor(&t.name, t.dtype, &t.dims, bytes);
        }
        writer.finish()
    })
}

const TELL: [&str; 6] = ["-n", "8", "--temp", "0", "--quiet", "Once upon"];

fn told_by_the_whole() -> String {
    let whole = model("tiny-llama-f32.gguf");
    succeeds(run_on(&["run", "-m"], &[Path::new(&whole)], &TELL))
}

#[test]
fn names_that_are_not_utf_8() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(latin(name));
    let (whole, text, small) = (at("modèle.gguf"), at("texte é.txt"), at("café.gguf"));
    std::fs::copy(model("tiny-llama-f32.gguf"), &whole).unwrap();
    std::fs::write(&text, "Once upon").unwrap();
    assert_eq!(succeeds(run_on(&["run", "-m"], &[&whole], &TELL)), told_by_the_whole());
    let from_file = run_on(&["run", "-m"], &[&whole, Path::new("-f"), &text], &TELL[..5]);
    assert_eq!(succeeds(from_file), told_by_the_whole());
    assert!(succeeds(run_on(&["inspect"], &[&whole], &[])).contains("mod\u{fffd}le.gguf"));
    succeeds(run_on(&["plan"], &[&whole], &[]));
    let made = run_on(&["quantize"], &[&whole, &small], &["Q8_0"]);
    assert!(succeeds(made).starts_with(&format!("{}: ", small.display())));
    succeeds(run_on(&["run", "-m"], &[&small], &TELL));
    let short = run_on(&["perplexity", "-f"], &[&text, Path::new("-m"), &whole], &[]);
    assert_fails(&short, 2, &["expected at least 512 tokens"]);
    assert_fails(&run_on(&["run", "-m"], &[&at("né.gguf")], &TELL), 1, &["n\u{fffd}.gguf", "no such file"]);
    for (half, number) in halves("tiny-llama-f32.gguf").iter().zip(1..) {
        std::fs::write(at(&format!("é-0000{number}-of-00002.gguf")), half).unwrap();
    }
    let first = at("é-00001-of-00002.gguf");
    assert_eq!(succeeds(run_on(&["run", "-m"], &[&first], &TELL)), told_by_the_whole());
    succeeds(run_on(&["quantize", "--force"], &[&first, &small], &["Q8_0"]));
}

/// The cache of a hub: names in one folder, what they link to in another.
#[test]
fn parts_behind_links_are_found() {
    let cache = tempfile::tempdir().unwrap();
    let at = |name: &str| cache.path().join(name);
    std::fs::create_dir_all(at("snapshots/x")).unwrap();
    std::fs::create_dir(at("blobs")).unwrap();
    for (half, number) in halves("tiny-llama-f32.gguf").iter().zip(1..) {
        std::fs::write(at(&format!("blobs/{number}")), half).unwrap();
        symlink(format!("../../blobs/{number}"), at(&format!("snapshots/x/m-0000{number}-of-00002.gguf")))
            .unwrap();
    }
    let first = at("snapshots/x/m-00001-of-00002.gguf");
    assert_eq!(succeeds(run_on(&["run", "-m"], &[&first], &TELL)), told_by_the_whole());
    assert!(succeeds(run_on(&["inspect"], &[&first], &[])).contains("m-00002-of-00002.gguf"));
    succeeds(run_on(&["quantize"], &[&first, &at("small.gguf")], &["Q8_0"]));
    assert_fails(
        &run_on(&["run", "-m"], &[&at("blobs/1")], &TELL),
        1,
        &["file name", "-00001-of-00002.gguf"],
    );
    std::fs::remove_file(at("blobs/2")).unwrap();
    assert_fails(&run_on(&["run", "-m"], &[&first], &TELL), 1, &["m-00002-of-00002.gguf", "no such file"]);
}

/// To open a pipe is to wait for its other end, for ever.
#[test]
fn models_and_parts_that_are_no_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (first, second) = (at("m-00001-of-00002.gguf"), at("m-00002-of-00002.gguf"));
    std::fs::write(&first, &halves("tiny-llama-f32.gguf")[0]).unwrap();
    let refused = |kind: &str| {
        for output in [
            run_on(&["run", "-m"], &[&first], &TELL),
            run_on(&["inspect"], &[&first], &[]),
            run_on(&["quantize"], &[&first, &at("out.gguf")], &["Q8_0"]),
        ] {
            assert_fails(&output, 1, &["m-00002-of-00002.gguf", "expected a regular file, found", kind]);
        }
        let alone = run_on(&["run", "-m"], &[&second], &TELL);
        assert_fails(&alone, 1, &["m-00002-of-00002.gguf", "expected a regular file, found", kind]);
        match second.is_dir() {
            true => std::fs::remove_dir(&second).unwrap(),
            false => std::fs::remove_file(&second).unwrap(),
        }
    };
    mkfifo(&second);
    refused("a named pipe");
    symlink("/dev/zero", &second).unwrap();
    refused("a device");
    std::fs::create_dir(&second).unwrap();
    refused("a directory");
    let _socket = std::os::unix::net::UnixListener::bind(&second).unwrap();
    refused("a socket");
}

#[test]
fn quantize_replaces_regular_files_only() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let source = PathBuf::from(model("tiny-llama-f32.gguf"));
    std::fs::write(at("target"), "kept").unwrap();
    symlink("target", at("link")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    symlink("/dev/null", at("null")).unwrap();
    mkfifo(&at("pipe"));
    std::fs::create_dir(at("folder")).unwrap();
    for (name, kind) in [
        ("link", "a symbolic link"),
        ("dangling", "a symbolic link"),
        ("null", "a symbolic link"),
        ("pipe", "a named pipe"),
        ("folder", "a directory"),
    ] {
        for force in [&["quantize", "--force"][..], &["quantize"]] {
            let output = run_on(force, &[&source, &at(name)], &["Q8_0"]);
            assert_fails(&output, 2, &[name, kind, "only a regular file can be replaced"]);
        }
    }
    let device = run_on(&["quantize", "--force"], &[&source, Path::new("/dev/null")], &["Q8_0"]);
    assert_fails(&device, 2, &["/dev/null", "a device"]);
    assert_eq!(std::fs::read(at("target")).unwrap(), b"kept");
    assert!(at("link").is_symlink() && at("null").is_symlink());
    succeeds(run_on(&["quantize", "--force"], &[&source, &at("target")], &["Q8_0"]));
    assert_ne!(std::fs::read(at("target")).unwrap(), b"kept");
}

#[test]
fn quantize_keeps_every_part_of_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = [1, 2].map(|n| folder.path().join(format!("m-0000{n}-of-00002.gguf")));
    let [half, other] = halves("tiny-llama-f32.gguf");
    std::fs::write(&first, half).unwrap();
    std::fs::write(&second, &other).unwrap();
    let output = run_on(&["quantize", "--force"], &[&first, &second], &["Q8_0"]);
    assert_fails(&output, 2, &["m-00002-of-00002.gguf", "is the file to read"]);
    assert_eq!(std::fs::read(&second).unwrap(), other);
}

#[test]
fn marks_and_last_newlines_are_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text.txt");
    let options = ["-n", "8", "--temp", "0", "--quiet"];
    let expected = stdout(&run(&[&["run"], &options[..], &["One day"]].concat()));
    let two = stdout(&run(&[&["run"], &options[..], &["One day\n"]].concat()));
    for (bytes, expected) in [
        ("One day", &expected),
        ("\u{feff}One day", &expected),
        ("One day\n", &expected),
        ("\u{feff}One day\n", &expected),
        ("One day\n\n", &two),
    ] {
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(&succeeds(run_on(&["run", "-f"], &[&file], &options)), expected, "{bytes:?}");
        let stdin = run_with_stdin(&[&["run"], &options[..]].concat(), bytes.as_bytes());
        assert_eq!(&succeeds(stdin), expected, "{bytes:?} on stdin");
    }
    let ids = |text: &str| succeeds(run_with_stdin(&["tokenize"], text.as_bytes()));
    assert_eq!(ids("\u{feff}One day\n"), ids("One day\n"));
    assert_ne!(ids("One day\n"), ids("One day"), "what is to be tokenized is taken as it is");
    let back = |ids: &str| succeeds(run_with_stdin(&["detokenize"], ids.as_bytes()));
    assert_eq!(back(&format!("\u{feff}{}", ids("One day"))), back(&ids("One day")));
    let stories = std::fs::read_to_string(root().join("tests/golden/stories.txt")).unwrap();
    let measured = |text: String| {
        std::fs::write(&file, text).unwrap();
        let said =
            succeeds(run_on(&["perplexity", "-c", "64", "--chunks", "2", "--json", "-f"], &[&file], &[]));
        serde_json::from_str::<serde_json::Value>(&said).unwrap()["perplexity"].clone()
    };
    assert_eq!(measured(format!("\u{feff}{stories}")), measured(stories));
    std::fs::write(&file, b"\xff\xfeO\0").unwrap();
    assert_fails(&run_on(&["run", "-f"], &[&file], &options), 1, &["UTF-16"]);
}

/// Two lines of one chat template, marked: what comes before the first character of the template would be in the prompt.
#[test]
fn a_marked_chat_template_is_the_same_template() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("template.jinja");
    let template =
        "{{ '<|im_start|>user\n' + messages[-1].content + '<|im_end|>\n<|im_start|>assistant\n' }}";
    let answer = |text: String| {
        std::fs::write(&file, text).unwrap();
        let name = file.display().to_string();
        succeeds(run_with_stdin(&["chat", "--temp", "0", "--chat-template-file", &name], b"Hello!\n"))
    };
    assert_eq!(answer(format!("\u{feff}{template}")), answer(template.into()));
}

/// Names in a file cannot look like lines of the program's own.
#[test]
fn names_forge_no_lines() {
    let forged = "x\nruns           yes\nerror: \u{1b}[2Jy\u{202e}";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forged\nerror: z.gguf");
    let writer = Writer::new()
        .metadata("general.architecture", Value::String(forged.into()))
        .metadata(forged, Value::String(forged.into()))
        .metadata("x", Value::Array(chord_gguf::Array::String([forged].into_iter().collect())))
        .tensor(forged, chord_quant::DType::F32, &[1], &[0; 4]);
    std::fs::write(&path, writer.finish()).unwrap();
    let text = succeeds(run_on(&["inspect"], &[&path], &[]));
    let ours = |line: &str| line.starts_with("runs ") && !line.starts_with("runs           no: ");
    assert!(!text.lines().any(|l| ours(l) || l.starts_with("error:")), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    let json = succeeds(run_on(&["inspect", "--json"], &[&path], &[]));
    assert!(!json.contains(['\u{1b}', '\u{202e}']), "{json}");
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["architecture"], forged);
    for command in [&["run", "-m"][..], &["plan"], &["bench", "-m"], &["perplexity", "-f", "/dev/null", "-m"]]
    {
        let output = run_on(command, &[&path], &[]);
        assert_fails(&output, 1, &["forged error: z.gguf"]);
        assert!(!stderr(&output).contains(['\u{1b}', '\u{202e}']), "{}", stderr(&output));
    }
}
