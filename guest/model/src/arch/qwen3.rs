//! `qwen3`: Qwen 3 dense models: per-head norms of queries and keys, neox rotation.

use super::keys::Keys;
use crate::{Error, ModelSpec};
use chord_ops::op::RopeStyle;

pub(super) fn spec(keys: &Keys<'_>) -> Result<ModelSpec, Error> {
    decoder(keys, None)
}

/// `experts`: the key of one expert's width, in mixtures.
pub(super) fn decoder(keys: &Keys<'_>, experts: Option<&str>) -> Result<ModelSpec, Error> {
    let mut spec = keys.decoder(RopeStyle::Halves, experts)?;
    spec.plain_feed_forward = false;
    spec.layers.iter_mut().for_each(|l| l.qk_norm = true);
    Ok(spec)
}
