//! System calls that fail for a child process: a seccomp filter in classic BPF.
#![expect(unsafe_code, reason = "filters and limits are set between fork and exec")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// A system call that fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Denied {
    pub(crate) call: libc::c_long,
    pub(crate) errno: i32,
    /// Only if for each of these the argument with that index has these bits: `(index, mask, bits)`.
    pub(crate) only_if: &'static [(u32, u32, u32)],
}

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARGS: u32 = 16;

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn load(offset: u32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

/// Goes on if the loaded word is `k`, skips `otherwise` statements if not.
fn equal(k: u32, otherwise: usize) -> libc::sock_filter {
    let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    libc::sock_filter { code, jt: 0, jf: u8::try_from(otherwise).expect("a short program"), k }
}

fn answer(action: u32) -> libc::sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, action)
}

/// Answers one denied call, and falls through for every other one.
fn rule(denied: &Denied) -> Vec<libc::sock_filter> {
    let mut rest = vec![answer(libc::SECCOMP_RET_ERRNO | denied.errno as u32)];
    for &(index, mask, bits) in denied.only_if.iter().rev() {
        let check = [
            load(ARGS + 8 * index),
            statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, mask),
            equal(bits, rest.len()),
        ];
        rest.splice(0..0, check);
    }
    let mut rule = vec![load(NUMBER), equal(denied.call as u32, rest.len())];
    rule.extend(rest);
    rule
}

/// Lets these calls fail in the process that the command starts.
pub(crate) fn deny<'a>(command: &'a mut Command, denied: &[Denied]) -> &'a mut Command {
    // The numbers are those of the architecture that this is built for; tests run nothing else.
    let mut program = Vec::new();
    program.extend(denied.iter().flat_map(rule));
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    let install = move || {
        let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
        // SAFETY: prctl with a filter that lives until it returns; both calls are async-signal-safe.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) == 0
        };
        if done { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: the closure allocates nothing and takes no lock.
    unsafe { command.pre_exec(install) }
}

/// Bounds the address space of the process that the command starts, as `ulimit -v` does.
pub(crate) fn limit_address_space(command: &mut Command, bytes: u64) -> &mut Command {
    let set = move || {
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
        // SAFETY: a pointer to a live local.
        match unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure allocates nothing and takes no lock.
    unsafe { command.pre_exec(set) }
}
