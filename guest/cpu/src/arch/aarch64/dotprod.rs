//! NEON with the dot product instructions of ARMv8.2 (feature `dotprod`; CPUs since 2018 have them).
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "instruction set")]

use super::pairs::{Dot, Pairs};
use core::arch::aarch64::{int8x16_t, int32x4_t};
use core::arch::asm;

/// `sdot`, written out: its intrinsic is not stable.
#[derive(Clone, Copy)]
pub(super) struct Sdot;

impl Dot for Sdot {
    #[inline(always)]
    unsafe fn dot(mut sum: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
        asm!(
            "sdot {sum:v}.4s, {w:v}.16b, {x:v}.16b",
            sum = inout(vreg) sum, w = in(vreg) w, x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags)
        );
        sum
    }
}

type NeonDotprod = Pairs<Sdot>;

crate::arch::shells!(NeonDotprod, "neon-dotprod", "neon,dotprod");
