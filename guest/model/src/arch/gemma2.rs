//! `gemma2`: scaled embeddings, GELU, norms on both sides of each half, soft caps, every other layer a sliding window.

use super::keys::Keys;
use crate::{Error, ModelSpec};
use chord_ops::op::RopeStyle;

pub(super) fn spec(keys: &Keys<'_>) -> Result<ModelSpec, Error> {
    let mut spec = keys.decoder(RopeStyle::Halves)?;
    keys.gemma(&mut spec, 46);
    let window = keys.size_or("attention.sliding_window", 4096, u32::MAX)?;
    let cap = keys.positive("attn_logit_softcapping", 50.0)?;
    let windows = keys.windows(spec.layers.len(), 2)?;
    for (layer, windowed) in spec.layers.iter_mut().zip(windows) {
        layer.window = windowed.then_some(window);
        layer.attention_softcap = Some(cap);
    }
    spec.logit_softcap = Some(keys.positive("final_logit_softcapping", 30.0)?);
    Ok(spec)
}
