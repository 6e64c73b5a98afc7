//! Gated linear units (Shazeer 2020): `act(gate) * up`.

use crate::context::Context;
use crate::error::NodeError;
use crate::plan::{Shape, ValueId};
use alloc::vec::Vec;

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

impl Activation {
    /// Scalar reference.
    pub fn reference(self, x: f32) -> f32 {
        let x = f64::from(x);
        let y = match self {
            Activation::Silu => x / (1.0 + libm::exp(-x)),
            Activation::Gelu => {
                let root_2_over_pi = libm::sqrt(2.0 / core::f64::consts::PI);
                0.5 * x * (1.0 + libm::tanh(root_2_over_pi * x * (1.0 + 0.044715 * x * x)))
            }
            Activation::Relu if x > 0.0 || x.is_nan() => x,
            Activation::Relu => 0.0,
        };
        y as f32
    }
}

impl Glu {
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<Shape, NodeError> {
        cx.same(self.gate, self.up)
    }

    /// Scalar reference, element by element.
    pub fn reference(act: Activation, gate: &[f32], up: &[f32]) -> Vec<f32> {
        gate.iter().zip(up).map(|(&gate, up)| act.reference(gate) * up).collect()
    }
}
