//! What x86-64 cores multiply at most. Sums stand in as many registers as hide the latency on every port.
#![expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "instruction set")]

use super::amx;
use crate::arch::ceiling::{Probe, repeat};
use core::arch::asm;
use core::arch::x86_64::__cpuid_count;

const AVX512: &[&str] = &["avx512-amx", "avx512-vnni"];
const TILES: &[&str] = &["avx512-amx"];
const AVX2: &[&str] = &["avx2"];

/// Every probe.
pub(crate) const PROBES: &[Probe] = &[
    Probe { name: "int8", instruction: "vpdpbusd zmm", isas: AVX512, usable: || true, run: dpbusd },
    Probe { name: "int8 tiles", instruction: "tdpbssd", isas: TILES, usable: || true, run: tiles_int8 },
    Probe { name: "bf16", instruction: "vdpbf16ps zmm", isas: AVX512, usable: has_bf16, run: dpbf16 },
    Probe {
        name: "bf16 tiles",
        instruction: "tdpbf16ps",
        isas: TILES,
        usable: has_bf16_tiles,
        run: tiles_bf16,
    },
    Probe { name: "f32", instruction: "vfmadd231ps zmm", isas: AVX512, usable: || true, run: fma512 },
    Probe {
        name: "int8",
        instruction: "vpmaddubsw + vpmaddwd + vpaddd ymm",
        isas: AVX2,
        usable: || true,
        run: maddubs,
    },
    Probe { name: "f32", instruction: "vfmadd231ps ymm", isas: AVX2, usable: || true, run: fma256 },
];

/// Bytes, bf16 and f32 of 1.
const ONES_I8: u32 = 0x0101_0101;
const ONES_BF16: u32 = 0x3f80_3f80;
const ONES_F32: u32 = 0x3f80_0000;

fn has_bf16() -> bool {
    crate::arch::cpu_has!("avx512bf16")
}

fn has_bf16_tiles() -> bool {
    __cpuid_count(7, 0).edx & 1 << 22 != 0
}

/// 24 sums of 16 lanes; `products` of one instruction.
macro_rules! zmm {
    (fn $name:ident, $features:literal, $products:literal, $ones:expr, $each:literal) => {
        repeat! {
            fn $name, $features, 24 * $products, $ones,
            before "vpbroadcastd zmm30, eax" "vpbroadcastd zmm31, eax"
            zero "vpxord zmm\\i, zmm\\i, zmm\\i"
            each $each
        }
    };
}

zmm! { fn dpbusd, "avx512f,avx512vnni", 64, ONES_I8, "vpdpbusd zmm\\i, zmm30, zmm31" }
zmm! { fn dpbf16, "avx512f,avx512bf16", 32, ONES_BF16, "vdpbf16ps zmm\\i, zmm30, zmm31" }
zmm! { fn fma512, "avx512f", 16, ONES_F32, "vfmadd231ps zmm\\i, zmm30, zmm31" }

repeat! {
    fn maddubs, "avx2", 12 * 32, ONES_I8,
    before "vmovd xmm14, eax" "vpbroadcastd ymm14, xmm14" "vmovdqa ymm15, ymm14" "vpmovzxbw ymm13, xmm14"
    zero "vpxor ymm\\i, ymm\\i, ymm\\i"
    // The products of all sums share a register, which is renamed.
    each "vpmaddubsw ymm12, ymm14, ymm15" "vpmaddwd ymm12, ymm12, ymm13" "vpaddd ymm\\i, ymm\\i, ymm12"
}

repeat! {
    fn fma256, "avx2,fma", 12 * 8, ONES_F32,
    before "vmovd xmm14, eax" "vpbroadcastd ymm14, xmm14" "vmovaps ymm15, ymm14"
    zero "vpxor ymm\\i, ymm\\i, ymm\\i"
    each "vfmadd231ps ymm\\i, ymm14, ymm15"
}

/// 6 tiles of 16 times 16 sums of 64 products.
fn tiles_int8(turns: u64) -> u64 {
    let tile = Tile([ONES_I8; 256]);
    // SAFETY: entered in a table whose `usable` has found tiles and may use them.
    unsafe {
        start(&tile);
        for _ in 0..turns {
            asm!(
                ".irp i, 0,1,2,3,4,5",
                "tdpbssd tmm\\i, tmm6, tmm7",
                ".endr",
                options(nomem, nostack, preserves_flags)
            );
        }
        asm!("tilerelease", options(nomem, nostack));
    }
    turns * 6 * 16 * 16 * 64 * 2
}

/// 6 tiles of 16 times 16 sums of 32 products.
fn tiles_bf16(turns: u64) -> u64 {
    let tile = Tile([ONES_BF16; 256]);
    // SAFETY: as above; `usable` has found the instruction.
    unsafe {
        start(&tile);
        for _ in 0..turns {
            asm!(
                ".irp i, 0,1,2,3,4,5",
                "tdpbf16ps tmm\\i, tmm6, tmm7",
                ".endr",
                options(nomem, nostack, preserves_flags)
            );
        }
        asm!("tilerelease", options(nomem, nostack));
    }
    turns * 6 * 16 * 16 * 32 * 2
}

/// 16 rows of 64 bytes.
#[repr(align(64))]
struct Tile([u32; 256]);

/// Tiles of full size: 6 of zero sums, and twice `ones`.
///
/// # Safety
/// The CPU has tiles and this process may use them.
unsafe fn start(ones: &Tile) {
    amx::configure(16, 16, 64);
    asm!(
        ".irp i, 0,1,2,3,4,5", "tilezero tmm\\i", ".endr",
        "tileloadd tmm6, [{ones} + {line}*1]", "tileloadd tmm7, [{ones} + {line}*1]",
        ones = in(reg) &raw const ones.0, line = in(reg) 64usize,
        options(nostack, readonly, preserves_flags)
    );
}
