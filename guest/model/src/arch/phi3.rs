//! `phi3`: Phi 3, 3.5 and 4 (dense): fused matrices (found by the tensors' names), rope factors for short and for long
//! contexts.

use super::keys::Keys;
use crate::{Error, ModelSpec};
use chord_ops::op::{RopeStyle, Yarn};

pub(super) fn spec(keys: &Keys<'_>) -> Result<ModelSpec, Error> {
    let mut spec = keys.decoder(RopeStyle::Halves)?;
    // `attention.sliding_window` is in some files, but wrong for what they were trained with: llama.cpp ignores it, too.
    let trained = keys.size_or("rope.scaling.original_context_length", spec.context_length, u32::MAX)?;
    spec.short_context = Some(trained);
    let attn_factor = keys.positive("rope.scaling.attn_factor", 1.0)?;
    if attn_factor != 1.0 {
        // No interpolation, only longer vectors.
        let yarn = Yarn { orig_ctx: trained, ext_factor: 0.0, attn_factor, beta_fast: 32.0, beta_slow: 1.0 };
        for rope in spec.layers.iter_mut().filter_map(|l| l.rope.as_mut()) {
            rope.yarn = Some(yarn);
        }
    }
    Ok(spec)
}
