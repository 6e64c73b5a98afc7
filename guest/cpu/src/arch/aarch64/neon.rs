//! NEON as every ARMv8 CPU has it: bytes are multiplied to 16 bits, which are added in pairs twice.
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "instruction set")]

use super::pairs::{Dot, Pairs};
use core::arch::aarch64::*;

/// Widening multiplications.
#[derive(Clone, Copy)]
pub(super) struct Widening;

impl Dot for Widening {
    #[inline(always)]
    unsafe fn dot(sum: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
        // Pairs fit in i16: at most 2 * 128 * 127.
        let (low, high) = (vmull_s8(vget_low_s8(w), vget_low_s8(x)), vmull_high_s8(w, x));
        vpadalq_s16(sum, vpaddq_s16(low, high))
    }
}

type Neon = Pairs<Widening>;

crate::arch::shells!(Neon, "neon", "neon");
