//! What AArch64 cores multiply at most. Sums stand in as many registers as hide the latency on every pipe.
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "instruction set")]

use crate::arch::ceiling::{Probe, repeat};

const NEON: &[&str] = &["neon", "neon-dotprod"];

/// Every probe.
pub(crate) const PROBES: &[Probe] = &[
    Probe { name: "int8", instruction: "sdot", isas: &["neon-dotprod"], usable: || true, run: sdot },
    Probe {
        name: "int8",
        instruction: "smull + addp + sadalp",
        isas: &["neon"],
        usable: || true,
        run: smull,
    },
    Probe {
        name: "bf16",
        instruction: "bfdot",
        isas: NEON,
        usable: || crate::arch::cpu_has!("bf16"),
        run: bfdot,
    },
    Probe { name: "f32", instruction: "fmla", isas: NEON, usable: || true, run: fmla },
];

/// Bytes, bf16 and f32 of 1.
const ONES_I8: u32 = 0x0101_0101;
const ONES_BF16: u32 = 0x3f80_3f80;
const ONES_F32: u32 = 0x3f80_0000;

/// 24 sums of 4 lanes; `products` of one sum.
macro_rules! neon {
    (fn $name:ident, $features:literal, $products:literal, $ones:expr, $($each:literal)+) => {
        repeat! {
            fn $name, $features, 24 * $products, $ones,
            before "dup v30.4s, w10" "dup v31.4s, w10"
            zero "movi v\\i\\().4s, #0"
            each $($each)+
        }
    };
}

neon! { fn sdot, "neon,dotprod", 16, ONES_I8, "sdot v\\i\\().4s, v30.16b, v31.16b" }
neon! {
    // The products of all sums share registers, which are renamed.
    fn smull, "neon", 16, ONES_I8,
    "smull v28.8h, v30.8b, v31.8b" "smull2 v29.8h, v30.16b, v31.16b" "addp v28.8h, v28.8h, v29.8h"
    "sadalp v\\i\\().4s, v28.8h"
}
neon! { fn bfdot, "neon,bf16", 8, ONES_BF16, "bfdot v\\i\\().4s, v30.8h, v31.8h" }
neon! { fn fmla, "neon", 4, ONES_F32, "fmla v\\i\\().4s, v30.4s, v31.4s" }
