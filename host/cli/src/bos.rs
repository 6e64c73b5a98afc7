//! A prompt that begins with beginning-of-sequence, which the model adds anyway.

use chord_runtime::{Error, Instance, Model};

/// What is said about it. The prompt is taken as it is, as in llama.cpp.
pub(crate) const WARNING: &str = "warning: the prompt begins with the beginning-of-sequence token, and the model's file asks \
    for one before every prompt: the model reads two. Leave it out of the prompt.";

/// Most of the prompt that is looked at, bytes.
const HEAD: usize = 256;

/// Whether the model reads beginning-of-sequence twice: the tokenizer's own, and one spelled in the prompt.
pub(crate) fn is_typed_again(
    instance: &mut Instance,
    model: &Model,
    prompt: &str,
    parse_special: bool,
) -> Result<bool, Error> {
    let head = &prompt[..prompt.floor_char_boundary(HEAD)];
    let typed = instance.tokenize(model, head, false, parse_special)?;
    let read = instance.tokenize(model, head, true, parse_special)?;
    Ok(read.len() > typed.len()
        && read[1..].starts_with(&typed)
        && typed.first() == read.first()
        && !typed.is_empty())
}
