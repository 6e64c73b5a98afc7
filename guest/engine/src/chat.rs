//! From messages to a prompt, with the model's chat template.

use crate::{Error, Host, Model};
use chord_chat::{Template, Variables};
use std::collections::BTreeMap;

pub use chord_chat::Message;

/// How to make a prompt of messages.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatOptions {
    /// Jinja, in place of the model's own template.
    pub template: Option<String>,
    /// End with the opening of an answer.
    pub add_generation_prompt: bool,
    /// Seconds since 1970, for templates that write the date.
    pub now: i64,
}

impl Default for ChatOptions {
    fn default() -> ChatOptions {
        ChatOptions { template: None, add_generation_prompt: true, now: 0 }
    }
}

impl<H: Host> Model<H> {
    /// The prompt for `messages`, to be tokenized with special tokens recognised and beginning-of-sequence added: where
    /// the tokenizer adds that, the template's own is taken off.
    pub fn chat_prompt(&self, messages: &[Message], options: &ChatOptions) -> Result<String, Error> {
        self.tokenizer().check_text()?;
        let own = self.shared.template.as_deref();
        let source = options.template.as_deref().or(own).ok_or_else(|| {
            Error::InvalidArgument(
                "the model has no chat template (tokenizer.chat_template): give one".into(),
            )
        })?;
        let template = Template::parse(source).map_err(|e| match options.template {
            Some(_) => Error::InvalidArgument(e.to_string()),
            None => Error::InvalidModel(e.to_string()),
        })?;
        let tokenizer = self.tokenizer();
        let text =
            |id: Option<u32>| id.and_then(|id| tokenizer.token_text(id)).unwrap_or_default().to_string();
        let variables = Variables {
            add_generation_prompt: options.add_generation_prompt,
            bos_token: text(tokenizer.bos()),
            eos_token: text(tokenizer.eos()),
            now: options.now,
            extra: BTreeMap::new(),
        };
        let prompt =
            template.render(messages, &variables).map_err(|e| Error::InvalidArgument(e.to_string()))?;
        let bos = variables.bos_token.as_str();
        match prompt.strip_prefix(bos).filter(|_| tokenizer.adds_bos()) {
            Some(rest) => Ok(rest.into()),
            None => Ok(prompt),
        }
    }
}
