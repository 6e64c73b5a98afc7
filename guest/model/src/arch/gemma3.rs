//! `gemma3`, its text half: as Gemma 2, but with per-head norms instead of soft caps, and with five windowed layers, of
//! their own rotary base, between full ones.

use super::keys::Keys;
use super::rope::unscaled;
use crate::{Error, ModelSpec};
use chord_ops::op::RopeStyle;

pub(super) fn spec(keys: &Keys<'_>) -> Result<ModelSpec, Error> {
    let mut spec = keys.decoder(RopeStyle::Halves, None)?;
    keys.gemma(&mut spec, 62);
    spec.layers.iter_mut().for_each(|l| l.qk_norm = true);
    spec.logit_softcap = keys.unless_zero("final_logit_softcapping", 0.0)?;
    let Some(window) = keys.used("attention.sliding_window", u32::MAX)? else { return Ok(spec) };
    let base = keys.positive("rope.freq_base_swa", 10_000.0)?;
    let windows = keys.windows(spec.layers.len(), 6)?;
    for layer in spec.layers.iter_mut().zip(windows).filter_map(|(l, windowed)| windowed.then_some(l)) {
        layer.window = Some(window);
        // Only full layers are stretched to long contexts.
        layer.rope = layer.rope.map(|rope| unscaled(rope, base));
    }
    Ok(spec)
}
