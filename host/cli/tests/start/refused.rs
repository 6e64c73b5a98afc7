//! Systems that refuse something: each system call that a start makes, denied by seccomp, and address space by `ulimit`.
//! The outcome is the right text, or one line that says what was refused; never a panic.

use crate::calls::CALLS;
use crate::filter::{Denied, deny, limit_address_space};
use crate::program::{Engine, STORY, command, output, stderr, story, text};
use std::path::Path;
use std::process::Output;

/// What a system says that refuses a call.
const REFUSALS: &[i32] = &[libc::EPERM, libc::ENOSYS];

fn denied(call: libc::c_long, errno: i32) -> Denied {
    Denied { call, errno, only_if: &[] }
}

/// What is wrong with how a start under such a system ended, if anything is.
fn fault(output: &Output, text: &[u8]) -> Option<String> {
    let said = stderr(output);
    let errors = said.lines().filter(|l| l.starts_with("error: ")).count();
    let fine = match output.status.code() {
        Some(0) => output.stdout == text,
        Some(1) => errors == 1,
        _ => false,
    };
    (!fine || said.contains("panicked")).then(|| format!("{}: {said}", output.status))
}

/// Denies one call after the other. What `host --version` needs is the loader's and Rust's business.
fn try_all(engine: Engine) {
    let (text, program) = (text(), engine.program());
    let mut faults = Vec::new();
    for &(name, call) in CALLS {
        for &errno in REFUSALS {
            let rules = [denied(call, errno)];
            // A program that cannot even be started gives an error here.
            let version = deny(&mut command(&program, &["--version"]), &rules).output();
            if !version.is_ok_and(|o| o.status.success() && !o.stdout.is_empty()) {
                continue;
            }
            let output = output(deny(&mut command(&program, STORY), &rules));
            faults.extend(fault(&output, &text).map(|f| format!("{name} denied with {errno}: {f}")));
        }
    }
    assert!(faults.is_empty(), "{engine:?}:\n{}", faults.join("\n"));
}

#[test]
fn each_call_of_a_start_with_a_carried_engine() {
    try_all(Engine::Carried);
}

#[test]
fn each_call_of_a_start_with_a_cached_engine() {
    try_all(Engine::Cached);
}

#[test]
fn without_threads_one_does_the_work() {
    let text = text();
    // Without threads there is no cache either: the second engine is compiled once more.
    let cases =
        [(Engine::Carried, libc::EPERM), (Engine::Carried, libc::EAGAIN), (Engine::Cached, libc::ENOSYS)];
    for (engine, errno) in cases {
        let rules = [denied(libc::SYS_clone3, errno), denied(libc::SYS_clone, errno)];
        let output = output(deny(&mut story(engine), &rules));
        assert!(output.status.success(), "{engine:?}: {}", stderr(&output));
        assert_eq!(output.stdout, text);
        assert!(stderr(&output).contains("no thread"), "{}", stderr(&output));
    }
}

#[test]
fn without_threads_and_timers_nothing_runs_unwatched() {
    let calls = [libc::SYS_clone3, libc::SYS_clone, libc::SYS_setitimer];
    let output = output(deny(&mut story(Engine::Carried), &calls.map(|c| denied(c, libc::EPERM))));
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.starts_with("error: the system refuses") && said.lines().count() == 1, "{said}");
}

/// `mprotect` may not make anything executable: systemd's `MemoryDenyWriteExecute`, SELinux without `execmem`.
const NO_PUBLISHING: Denied = Denied {
    call: libc::SYS_mprotect,
    errno: libc::EACCES,
    only_if: &[(2, libc::PROT_EXEC as u32, libc::PROT_EXEC as u32)],
};

/// Neither may `mmap`, where the mapping is not that of a library's beginning.
const NO_MAPPING: &[Denied] = &[
    NO_PUBLISHING,
    Denied {
        call: libc::SYS_mmap,
        errno: libc::EACCES,
        only_if: &[
            (2, libc::PROT_EXEC as u32, libc::PROT_EXEC as u32),
            (3, libc::MAP_SHARED as u32, libc::MAP_SHARED as u32),
        ],
    },
];

#[test]
fn a_carried_engine_runs_where_written_memory_cannot_be_executed() {
    let output = output(deny(&mut story(Engine::Carried), &[NO_PUBLISHING]));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(output.stdout, text());
    assert!(!stderr(&output).contains("interpreted"), "{}", stderr(&output));
}

#[test]
fn where_nothing_can_be_made_executable_the_engine_is_interpreted() {
    let text = text();
    for engine in [Engine::Carried, Engine::Cached] {
        let output = output(deny(&mut story(engine), NO_MAPPING));
        assert!(output.status.success(), "{engine:?}: {}", stderr(&output));
        assert_eq!(output.stdout, text);
        assert!(stderr(&output).contains("interpreted"), "{engine:?}: {}", stderr(&output));
    }
}

/// A file system that cannot map files for others to see, as `memmap2` does.
const UNMAPPABLE: Denied = Denied {
    call: libc::SYS_mmap,
    errno: libc::ENODEV,
    only_if: &[(2, 7, libc::PROT_READ as u32), (3, libc::MAP_SHARED as u32, libc::MAP_SHARED as u32)],
};

#[test]
fn a_model_that_cannot_be_mapped_is_read() {
    let model =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/models/demo-stories-3.7M-f32.gguf");
    let with_model = || {
        let mut command = story(Engine::Carried);
        command.arg("-m").arg(&model);
        command
    };
    let (mapped, read) = (output(&mut with_model()), output(deny(&mut with_model(), &[UNMAPPABLE])));
    assert!(mapped.status.success() && !stderr(&mapped).contains("read into memory"), "{}", stderr(&mapped));
    assert!(read.status.success() && stderr(&read).contains("read into memory"), "{}", stderr(&read));
    assert_eq!(read.stdout, mapped.stdout);
}

#[test]
fn a_gibibyte_of_address_space_is_enough() {
    let text = text();
    for engine in [Engine::Carried, Engine::Cached] {
        let output = output(limit_address_space(&mut story(engine), 1 << 30));
        assert!(output.status.success(), "{engine:?}: {}", stderr(&output));
        assert_eq!(output.stdout, text);
    }
}

#[test]
fn less_address_space_is_enough_or_one_line_says_why_not() {
    let text = text();
    for mebibytes in [60, 80, 100, 130, 160, 200, 250, 300, 400, 500, 700] {
        for engine in [Engine::Carried, Engine::Cached] {
            let version =
                output(limit_address_space(&mut command(&engine.program(), &["--version"]), mebibytes << 20));
            if !version.status.success() {
                continue;
            }
            let output = output(limit_address_space(&mut story(engine), mebibytes << 20));
            let fault = fault(&output, &text);
            assert_eq!(fault, None, "{engine:?} in {mebibytes} MiB");
        }
    }
}
