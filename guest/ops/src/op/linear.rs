//! Matrix product: `out = x · weightᵀ + bias`.

use crate::plan::{TensorId, ValueId};

/// In `(r, n_in)`, out `(r, n_out)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// Input `(r, n_in)`.
    pub x: ValueId,
    /// `(rows = n_out, cols = n_in)`, any readable type.
    pub weight: TensorId,
    /// f32 vector of `n_out` elements.
    pub bias: Option<TensorId>,
}
