//! How fast a core can multiply at all: one instruction on registers, again and again; and how fast it can read. What
//! kernels are measured by.

use alloc::vec::Vec;

/// A measurement of one instruction.
#[derive(Clone, Copy)]
pub struct Probe {
    /// What is multiplied: `int8`, `int8 tiles`, `bf16`, `bf16 tiles`, `f32`.
    pub name: &'static str,
    /// How: `vpdpbusd zmm`.
    pub instruction: &'static str,
    /// Instruction sets whose kernels it is a bound of.
    pub(super) isas: &'static [&'static str],
    /// Whether this CPU runs it, if it runs one of `isas`.
    pub(super) usable: fn() -> bool,
    pub(super) run: fn(u64) -> u64,
}

impl Probe {
    /// Computes for `turns` turns of a loop; returns the number of multiplications and additions, the same for each
    /// turn. A turn is a few dozen instructions that do not wait for each other.
    pub fn run(&self, turns: u64) -> u64 {
        (self.run)(turns)
    }
}

/// Probes for the kernels of an instruction set (`avx2`). None if this CPU does not run it, or nothing bounds it.
pub fn probes(isa: &str) -> Vec<Probe> {
    if !super::ISAS.iter().any(|i| i.name == isa && (i.usable)()) {
        return Vec::new();
    }
    PROBES.iter().filter(|p| p.isas.contains(&isa) && (p.usable)()).copied().collect()
}

/// Reads every byte once, as so many streams (at least one) side by side: stretches of the same length, each prefetched
/// some lines ahead.
pub fn read(bytes: &[u8], streams: usize) {
    let (lines, rest) = bytes.as_chunks::<64>();
    let ahead = if streams == 1 { 4096 } else { 1024 };
    let share = lines.len() / streams;
    let mut sums = [0u64; 8];
    let mut add = |line: &[u8; 64]| {
        prefetch(line.as_ptr().wrapping_add(ahead));
        for (sum, word) in sums.iter_mut().zip(line.as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*word));
        }
    };
    for i in 0..share {
        (0..streams).for_each(|stream| add(&lines[stream * share + i]));
    }
    lines[share * streams..].iter().for_each(&mut add);
    core::hint::black_box((sums, rest.iter().fold(0u8, |sum, byte| sum ^ byte)));
}

/// Hints that the line at `p`, any address, is read soon.
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
#[expect(unsafe_code, reason = "an instruction")]
#[inline(always)]
fn prefetch(p: *const u8) {
    // SAFETY: it reads nothing that the program sees, and does not fault.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{p}]", p = in(reg) p, options(readonly, nostack, preserves_flags));
    }
}

#[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
fn prefetch(_: *const u8) {}

#[cfg(target_arch = "aarch64")]
use super::aarch64::PROBES;
#[cfg(target_arch = "x86_64")]
use super::x86_64::PROBES;
#[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
const PROBES: &[Probe] = &[];

/// `repeat!(fn name, features, registers * products, ones, before lines zero lines each lines)`: the `run` of a probe.
/// A turn is the lines of `each` once for each register, of which `\\i` is the number; `zero` makes each 0 at first, after
/// `before`, which finds `ones` in `eax` or `w10`. All vector registers may be used.
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
macro_rules! repeat {
    (
        fn $name:ident, $features:literal, $registers:tt * $products:literal, $ones:expr,
        before $($before:literal)+ zero $($zero:literal)+ each $($each:literal)+
    ) => {
        fn $name(turns: u64) -> u64 {
            #[target_feature(enable = $features)]
            unsafe fn repeat(turns: u64) {
                $crate::arch::ceiling::repeat!(@ turns, $ones, $registers, [$($before)+] [$($zero)+] [$($each)+])
            }
            if turns > 0 {
                // SAFETY: entered in a table whose `usable` has found the features; no memory is touched.
                unsafe { repeat(turns) };
            }
            turns * $registers * $products * 2
        }
    };
    (@ $turns:ident, $ones:expr, $n:tt, [$($before:literal)+] [$($zero:literal)+] [$($each:literal)+]) => {{
        #[cfg(target_arch = "x86_64")]
        core::arch::asm!(
            $($before,)+
            $crate::arch::ceiling::repeat!(registers $n), $($zero,)+ ".endr",
            "2:", $crate::arch::ceiling::repeat!(registers $n), $($each,)+ ".endr", "dec rcx", "jnz 2b",
            "vzeroupper",
            inout("rcx") $turns => _, inout("eax") $ones => _, clobber_abi("C"), options(nomem, nostack),
        );
        #[cfg(target_arch = "aarch64")]
        core::arch::asm!(
            $($before,)+
            $crate::arch::ceiling::repeat!(registers $n), $($zero,)+ ".endr",
            "2:", $crate::arch::ceiling::repeat!(registers $n), $($each,)+ ".endr", "subs x9, x9, #1", "b.ne 2b",
            inout("x9") $turns => _, inout("w10") $ones => _, clobber_abi("C"), options(nomem, nostack),
        );
    }};
    (registers 12) => { ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11" };
    (registers 24) => { ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23" };
}
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
pub(super) use repeat;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kernels;

    #[test]
    fn every_probe_runs_and_counts_its_turns() {
        for isa in Kernels::isas() {
            for probe in probes(isa) {
                let (one, many) = (probe.run(1), probe.run(1000));
                assert!(one > 0 && many == 1000 * one, "{isa}: {}: {one}, {many}", probe.instruction);
            }
        }
    }

    #[test]
    fn instruction_sets_with_kernels_have_a_bound() {
        for isa in Kernels::isas().filter(|&isa| isa != "portable") {
            let probes = probes(isa);
            for name in ["int8", "f32"] {
                assert_eq!(probes.iter().filter(|p| p.name == name).count(), 1, "{isa}: {name}");
            }
        }
        assert!(probes("portable").is_empty() && probes("no such").is_empty());
    }
}
