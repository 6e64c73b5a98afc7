//! Gated linear units (Shazeer 2020): `act(gate) * up`.

use crate::plan::ValueId;

/// Activation functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// The tanh approximation of GELU (Hendrycks & Gimpel 2016), as GGML computes it.
    Gelu,
    /// `max(x, 0)`.
    Relu,
}

/// Inputs and output `(r, c)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Glu {
    /// The gated half.
    pub gate: ValueId,
    /// The linear half.
    pub up: ValueId,
    /// Activation on the gate.
    pub act: Activation,
}
