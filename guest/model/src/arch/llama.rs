//! `llama`: Llama 1 to 3.x, Mistral, Mixtral, and the many models converted under that name.

use super::keys::Keys;
use crate::{Error, ModelSpec};
use chord_ops::op::RopeStyle;

pub(super) fn spec(keys: &Keys<'_>) -> Result<ModelSpec, Error> {
    let mut spec = keys.decoder(RopeStyle::Interleaved, Some("feed_forward_length"))?;
    spec.plain_feed_forward = false;
    if let Some(scale) = keys.float("attention.scale")?.filter(|&s| s != 0.0) {
        spec.layers.iter_mut().for_each(|l| l.attention_scale = scale);
    }
    Ok(spec)
}
