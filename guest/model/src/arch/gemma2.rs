//! `gemma2`: scaled embeddings, GELU, norms on both sides of each half, soft caps, every other layer a sliding window.

use super::keys::Keys;
use crate::{Error, ModelSpec};
use chord_ops::op::{RopeParams, RopeStyle};

pub(super) fn spec(keys: &Keys<'_>) -> Result<ModelSpec, Error> {
    let mut spec = keys.decoder(RopeStyle::Halves, None)?;
    keys.gemma(&mut spec, 46);
    let window = keys.optional("attention.sliding_window")?.unwrap_or(4096);
    let cap = keys.unless_zero("attn_logit_softcapping", 50.0)?;
    let base = keys.float("rope.freq_base_swa")?.filter(|&base| base > 0.0);
    let windows = keys.windows(spec.layers.len(), 2)?;
    for (layer, windowed) in spec.layers.iter_mut().zip(windows) {
        layer.attention_softcap = cap;
        if windowed {
            layer.window = Some(window).filter(|&n| n > 0);
            layer.rope = layer.rope.map(|rope| RopeParams { base: base.unwrap_or(rope.base), ..rope });
        }
    }
    spec.logit_softcap = keys.unless_zero("final_logit_softcapping", 30.0)?;
    Ok(spec)
}
