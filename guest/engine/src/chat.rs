//! From messages to a prompt, with the model's chat template.

use crate::{Error, Host, Model};
use chord_chat::{Clock, Template, Variables};
use chord_tokenizer::Tokenizer;
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
    /// Seconds by which local time is ahead of UTC.
    pub utc_offset: i32,
}

impl Default for ChatOptions {
    fn default() -> ChatOptions {
        ChatOptions { template: None, add_generation_prompt: true, now: 0, utc_offset: 0 }
    }
}

impl<H: Host> Model<H> {
    /// The prompt for `messages`: beginning-of-sequence as the model says, and control tokens where the template writes
    /// them. Message contents never become control tokens, whoever wrote them.
    pub fn chat_prompt(&self, messages: &[Message], options: &ChatOptions) -> Result<Vec<u32>, Error> {
        self.tokenizer().check_text()?;
        let template = self.template(options)?;
        let tokenizer = self.tokenizer();
        let text =
            |id: Option<u32>| id.and_then(|id| tokenizer.token_text(id)).unwrap_or_default().to_string();
        let variables = Variables {
            add_generation_prompt: options.add_generation_prompt,
            bos_token: text(tokenizer.bos()),
            eos_token: text(tokenizer.eos()),
            clock: Clock { now: options.now, utc_offset: options.utc_offset },
            extra: BTreeMap::new(),
        };
        Renderer { template, tokenizer, messages, variables }.tokens()
    }

    /// The caller's template, or else the model's.
    fn template(&self, options: &ChatOptions) -> Result<Template, Error> {
        const KEY: &str = "tokenizer.chat_template";
        let found = |text: &str, whose: &str| match text.trim() {
            "" => Err(Error::InvalidArgument(format!("{whose} is empty: expected Jinja"))),
            _ => Ok(()),
        };
        if let Some(source) = &options.template {
            found(source, "the chat template")?;
            return Template::parse(source).map_err(|e| Error::InvalidArgument(e.to_string()));
        }
        let Some(source) = &self.shared.template else {
            return Err(Error::InvalidArgument(format!("the model has no chat template ({KEY})")));
        };
        found(source, &format!("the model's chat template ({KEY})"))?;
        Template::parse(source).map_err(|e| Error::InvalidModel(e.to_string()))
    }
}

/// Everything that a prompt is made of.
struct Renderer<'a> {
    template: Template,
    tokenizer: &'a Tokenizer,
    messages: &'a [Message],
    variables: Variables,
}

/// Byte offsets in a message of the characters that are marked.
type Mark<'a> = &'a dyn Fn(&Message) -> Vec<usize>;

impl Renderer<'_> {
    /// Renders with few characters marked, which the template hardly sees, and with all that could be part of a control
    /// token, which is safe whatever the template does. `chord_chat::Prompt`'s module has the reasons.
    fn tokens(&self) -> Result<Vec<u32>, Error> {
        let edges = self.tokenizer.control_edges();
        let all = |m: &Message| {
            let offsets = m.content.char_indices().filter(|(_, c)| edges.contains(c));
            offsets.map(|(at, _)| at).collect()
        };
        // Templates look for control tokens in earlier answers, to leave out what was thought.
        let few = |m: &Message| match m.role.as_str() {
            "assistant" => Vec::new(),
            _ => self.tokenizer.control_starts(&m.content),
        };
        let safe = self.marked(&all)?;
        let close = self.marked(&few)?;
        Ok(if self.controls(&close).eq(self.controls(&safe)) { close } else { safe })
    }

    fn controls<'t>(&'t self, tokens: &'t [u32]) -> impl Iterator<Item = u32> + 't {
        tokens.iter().copied().filter(|&id| self.tokenizer.is_control(id))
    }

    /// The prompt's tokens. Where the tokenizer adds beginning-of-sequence, the template's own is taken off.
    fn marked(&self, mark: Mark<'_>) -> Result<Vec<u32>, Error> {
        let prompt = self.template.render_marked(self.messages, &self.variables, mark);
        let prompt = prompt.map_err(|e| Error::InvalidArgument(e.to_string()))?;
        let bos = self.variables.bos_token.as_str();
        let own = self.tokenizer.adds_bos() && prompt.text.starts_with(bos);
        let own = own && prompt.typed.first().is_none_or(|&at| at >= bos.len());
        let skipped = if own { bos.len() } else { 0 };
        let typed: Vec<usize> = prompt.typed.iter().map(|at| at - skipped).collect();
        Ok(self.tokenizer.encode_prompt(&prompt.text[skipped..], &typed))
    }
}
