//! The functions of an instruction set: the shared algorithms, compiled with its features.

/// `shells!(type, name, features)`: implements the algorithms' traits for a [`super::simd::Simd`] type, and makes
/// `isa(usable)`, its line in the table. `usable` must say yes only on CPUs with the features.
macro_rules! shells {
    ($S:ident, $name:literal, $features:literal) => {
        impl $crate::arch::panel::PanelIsa for $S {
            unsafe fn unpack<Q: $crate::arch::panel::Quant>(u: &$crate::arch::panel::Unpack) {
                #[target_feature(enable = $features)]
                unsafe fn shell<Q: $crate::arch::panel::Quant>(
                    u: &$crate::arch::panel::Unpack,
                ) {
                    Q::unpack::<$S>(u);
                }
                shell::<Q>(u);
            }

            unsafe fn direct<Q: $crate::arch::direct::Direct, const T: usize>(
                job: &$crate::arch::direct::Job,
            ) {
                #[target_feature(enable = $features)]
                unsafe fn shell<Q: $crate::arch::direct::Direct, const T: usize>(
                    job: &$crate::arch::direct::Job,
                ) {
                    $crate::arch::direct::run::<$S, Q, T>(job);
                }
                shell::<Q, T>(job);
            }

            unsafe fn micro<Q: $crate::arch::panel::Quant, const T: usize>(m: &$crate::arch::panel::Micro) {
                #[target_feature(enable = $features)]
                unsafe fn shell<Q: $crate::arch::panel::Quant, const T: usize>(m: &$crate::arch::panel::Micro) {
                    $crate::arch::panel::micro::<$S, Q, T>(m);
                }
                shell::<Q, T>(m);
            }

            unsafe fn correct<Q: $crate::arch::panel::Quant>(sums: *const i16, blocks: usize, to: *mut u32) {
                #[target_feature(enable = $features)]
                unsafe fn shell<Q: $crate::arch::panel::Quant>(sums: *const i16, blocks: usize, to: *mut u32) {
                    $crate::arch::panel::correct::<$S, Q>(sums, blocks, to);
                }
                shell::<Q>(sums, blocks, to);
            }
        }

        impl $crate::arch::float::FloatIsa for $S {
            unsafe fn decode<Src: $crate::arch::float::Source>(from: *const u8, n: usize, to: *mut f32) -> *const f32 {
                #[target_feature(enable = $features)]
                unsafe fn shell<Src: $crate::arch::float::Source>(
                    from: *const u8,
                    n: usize,
                    to: *mut f32,
                ) -> *const f32 {
                    Src::decode::<$S>(from, n, to)
                }
                shell::<Src>(from, n, to)
            }

            unsafe fn tile<E: $crate::arch::float::Element, const R: usize, const T: usize>(
                tile: &$crate::arch::float::Tile,
            ) {
                #[target_feature(enable = $features)]
                unsafe fn shell<E: $crate::arch::float::Element, const R: usize, const T: usize>(
                    tile: &$crate::arch::float::Tile,
                ) {
                    $crate::arch::float::tile::<$S, E, R, T>(tile);
                }
                shell::<E, R, T>(tile);
            }
        }

        /// The line in the table.
        pub(super) const fn isa(usable: fn() -> bool) -> $crate::arch::Isa {
            use $crate::act::ActFormat;
            use $crate::arch::unpack::{
                IQ4_NL, IQ4_XS, MXFP4, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0,
            };
            use $crate::arch::{attention, direct, float, panel, vector};
            use $crate::kernels::{MatKernel, MulFn, VecKernels};
            use chord_quant::DType;

            const fn ints<Q: $crate::arch::panel::Quant>() -> MatKernel {
                MatKernel {
                    dtype: Q::DTYPE,
                    isa: $name,
                    act: Q::ACT,
                    rows: <$S as $crate::arch::simd::Simd>::L,
                    mul: panel::mul::<$S, Q>,
                }
            }
            const fn direct<Q: $crate::arch::direct::Direct>() -> MatKernel {
                MatKernel { mul: direct::mul::<$S, Q>, ..ints::<Q>() }
            }
            const fn floats(dtype: DType, mul: MulFn) -> MatKernel {
                MatKernel { dtype, isa: $name, act: ActFormat::F32, rows: 4, mul }
            }
            fn dequantised<const ID: u32>(
                weights: $crate::kernels::Part<'_>,
                next: $crate::kernels::Part<'_>,
                acts: &$crate::act::ActView<'_>,
                tokens: core::ops::Range<usize>,
                out: &mut [f32],
            ) {
                float::mul_decoded::<$S, float::Dequantised<ID>>(weights, next, acts, tokens, out);
            }
            $crate::arch::shells! { @ $S, $features, attention,
                fn scores_f16(q: &[f32], keys: &[u16], next: &[u16], scores: &mut [f32]);
                fn scores_f32(q: &[f32], keys: &[f32], next: &[f32], scores: &mut [f32]);
                fn weigh_f16(
                    w: &[f32], values: &[u16], next: &[u16], slots: core::ops::Range<usize>, acc: &mut [f32]
                );
                fn weigh_f32(
                    w: &[f32], values: &[f32], next: &[f32], slots: core::ops::Range<usize>, acc: &mut [f32]
                );
            }
            $crate::arch::shells! { @ $S, $features, vector,
                fn softmax(
                    scores: &mut [f32], slots: core::ops::Range<usize>, maxima: &mut [f32], sums: &mut [f32], acc: &mut [f32]
                );
                fn scale(s: f32, y: &mut [f32]);
                fn to_f16(x: &[f32], y: &mut [u16]);
                fn sum_squares(x: &[f32]) -> f32;
                fn silu_mul(gate: &[f32], up: &[f32], y: &mut [f32]);
                fn gelu_mul(gate: &[f32], up: &[f32], y: &mut [f32]);
                fn quantise_q8x32(x: &[f32], q: &mut [i8], scales: &mut [f32], sums: &mut [i16]);
                fn quantise_q8x256(x: &[f32], q: &mut [i8], scales: &mut [f32], sums: &mut [i16]);
            }
            const MATS: &[MatKernel] = &[
                floats(DType::F32, float::mul::<$S, float::F32>),
                floats(DType::F16, float::mul::<$S, float::F16>),
                floats(DType::BF16, float::mul::<$S, float::BF16>),
                direct::<Q8_0>(),
                direct::<Q4_0>(),
                ints::<Q5_0>(),
                ints::<Q4_1>(),
                ints::<Q5_1>(),
                ints::<IQ4_NL>(),
                ints::<MXFP4>(),
                ints::<Q2_K>(),
                ints::<Q3_K>(),
                ints::<IQ4_XS>(),
                direct::<Q4_K>(),
                direct::<Q5_K>(),
                direct::<Q6_K>(),
            ];
            const FALLBACKS: &[MatKernel] = $crate::arch::fallbacks!($name, 4, dequantised);
            $crate::arch::Isa {
                name: $name,
                usable,
                mats: MATS,
                fallbacks: FALLBACKS,
                vecs: VecKernels {
                    isa: $name,
                    scores_f16,
                    scores_f32,
                    weigh_f16,
                    weigh_f32,
                    softmax,
                    scale,
                    to_f16,
                    sum_squares,
                    silu_mul,
                    gelu_mul,
                    quantise_q8x32,
                    quantise_q8x256,
                },
            }
        }
    };
    (@ $S:ident, $features:literal, $from:ident,
        $(fn $name:ident($($arg:ident: $ty:ty),*) $(-> $result:ty)?;)*) => {
        $(fn $name($($arg: $ty),*) $(-> $result)? {
            #[target_feature(enable = $features)]
            unsafe fn shell($($arg: $ty),*) $(-> $result)? {
                $from::$name::<$S>($($arg),*)
            }
            // SAFETY: entered in a table whose `usable` has found the features; slices are checked inside.
            unsafe { shell($($arg),*) }
        })*
    };
}
pub(crate) use shells;
