//! Systems that refuse something: each system call that a start makes, denied by seccomp, and address space by `ulimit`.
//! The outcome is the right text, or one line that says what was refused; never a panic.
#![cfg_attr(
    all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")),
    expect(unsafe_code, reason = "filters and limits are set between fork and exec")
)]

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod calls;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod filter;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod starts;

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[test]
#[ignore = "seccomp filters are written here for Linux on x86-64 and aarch64 only"]
fn refused_system_calls() {}
