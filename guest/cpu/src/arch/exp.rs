//! Constants of `exp` and of what is built on it, shared by all instruction sets.
#![expect(clippy::excessive_precision, reason = "as published (Cephes `expf`); the compiler rounds them")]

/// Above, `exp` is infinite.
pub(crate) const MAX: f32 = 89.0;
/// Below, `exp` is zero.
pub(crate) const MIN: f32 = -104.0;
pub(crate) const LOG2_E: f32 = core::f32::consts::LOG2_E;
/// ln 2 in two parts; multiples of the first by small integers are exact.
pub(crate) const LN2_HIGH: f32 = 0.693_359_375;
pub(crate) const LN2_LOW: f32 = -2.121_944_40e-4;
/// `exp(r) = 1 + r + r² * (((((P0 r + P1) r + P2) r + P3) r + P4) r + P5)` on ±ln(2)/2.
pub(crate) const P0: f32 = 1.987_569_150_0e-4;
pub(crate) const P1: f32 = 1.398_199_950_7e-3;
pub(crate) const P2: f32 = 8.333_451_907_3e-3;
pub(crate) const P3: f32 = 4.166_579_589_4e-2;
pub(crate) const P4: f32 = 1.666_666_545_9e-1;
pub(crate) const P5: f32 = 5.000_000_120_1e-1;
/// `gelu_tanh(x) = x * sigmoid(GELU_1 * x + GELU_3 * x³)`: 2 √(2/π) and that times 0.044715.
pub(crate) const GELU_1: f32 = 1.595_769_121_605_730_7;
pub(crate) const GELU_3: f32 = 0.071_354_816_272_600_25;
