//! `qwen3moe`: Qwen 3 mixtures of experts: `qwen3` with experts of a width of their own.

use super::keys::Keys;
use crate::{Error, ModelSpec};

pub(super) fn spec(keys: &Keys<'_>) -> Result<ModelSpec, Error> {
    super::qwen3::decoder(keys, Some("expert_feed_forward_length"))
}
