//! `phi3`: Phi 3, 3.5 and 4 (dense): fused matrices (found by the tensors' names), rope factors for short and for long
//! contexts.

use super::keys::Keys;
use crate::{Error, ModelSpec};
use chord_ops::op::RopeStyle;

pub(super) fn spec(keys: &Keys<'_>) -> Result<ModelSpec, Error> {
    let mut spec = keys.decoder(RopeStyle::Halves, None)?;
    // `attention.sliding_window` is in some files, but wrong for what they were trained with: llama.cpp ignores it, too.
    spec.short_context = Some(keys.original_context()?);
    Ok(spec)
}
