//! `qwen2`: Qwen 2 and 2.5 dense models: biases on queries, keys and values (taken where the file has them), neox rotation.

use super::keys::Keys;
use crate::{Error, ModelSpec};
use chord_ops::op::RopeStyle;

pub(super) fn spec(keys: &Keys<'_>) -> Result<ModelSpec, Error> {
    keys.decoder(RopeStyle::Halves, None)
}
