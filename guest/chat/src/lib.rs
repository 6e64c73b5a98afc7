//! Chat templates: messages to a prompt, as a model file says.
//!
//! Templates are Jinja as `transformers` renders it: `trim_blocks`, `lstrip_blocks`, loop controls, Python's methods of
//! strings, lists and dicts, `tojson` as `json.dumps` writes, `raise_exception`, `strftime_now`. They come with model
//! files and are not trusted: their work and depth are limited. What they cannot use is listed with the reasons in
//! `tests/golden/jinja_table.py`.
//!
//! | file | what is there |
//! |---|---|
//! | `typed.rs` | message text is text: marks in it |
//! | `rewrite.rs`, `lexer.rs` | Jinja2's syntax that `minijinja` lacks |
//! | `filters`, `methods`, `globals.rs` | Jinja2's filters and tests, Python's methods, `cycler` and the like |
//! | `json.rs`, `printf.rs`, `python.rs`, `clock.rs` | values, formats and times as Python writes them |
//! | `arguments.rs` | arguments by position or name |

mod arguments;
mod clock;
mod filters;
mod globals;
mod json;
mod lexer;
mod methods;
mod printf;
mod python;
mod rewrite;
mod typed;

pub use clock::Clock;
pub use typed::Prompt;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, ErrorKind, context};
use std::collections::BTreeMap;
use typed::{StandIns, check_role};

/// Instructions that one rendering may take. The longest of the templates tested takes some ten thousand.
const FUEL: u64 = 20_000_000;

/// Why a template gives no prompt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not Jinja.
    #[error("chat template: {0}")]
    Syntax(String),
    /// The template itself refuses the messages, by `raise_exception`.
    #[error("chat template refuses the messages: {0}")]
    Refused(String),
    /// It fails while it runs.
    #[error("chat template: {0}")]
    Failed(String),
    /// A message's role is no word.
    #[error("role: expected letters, digits, spaces, `_`, `-` or `.`, found {0:?}")]
    Role(String),
}

/// One turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Text.
    pub content: String,
}

/// What a template can see beside the messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Variables {
    /// End with the opening of an answer.
    pub add_generation_prompt: bool,
    /// Text of the beginning-of-sequence token.
    pub bos_token: String,
    /// Text of the end-of-sequence token.
    pub eos_token: String,
    /// The time, for templates that write the date.
    pub clock: Clock,
    /// Other variables by name, such as `enable_thinking`.
    pub extra: BTreeMap<String, Value>,
}

/// A template that parsed.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    source: String,
}

const NAME: &str = "chat";

impl Template {
    /// Parses Jinja.
    pub fn parse(source: &str) -> Result<Template, Error> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|e| Error::Syntax(e.to_string()))?);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(methods::call);
        environment.set_formatter(python::write);
        filters::add(&mut environment);
        globals::add(&mut environment);
        environment.add_function("raise_exception", raise_exception);
        environment
            .add_template_owned(NAME, rewrite::rewrite(source)?)
            .map_err(|e| Error::Syntax(e.to_string()))?;
        Ok(Template { environment, source: source.into() })
    }

    /// The prompt for these messages.
    pub fn render(&self, messages: &[Message], variables: &Variables) -> Result<String, Error> {
        Ok(self.render_marked(messages, variables, &|_| Vec::new())?.text)
    }

    /// The prompt for these messages, with the places of marked characters. `mark` gives the byte offsets in a message's
    /// content, sorted, of the characters to mark. How much the template sees of this: see [`Prompt`]'s module.
    pub fn render_marked(
        &self,
        messages: &[Message],
        variables: &Variables,
        mark: &dyn Fn(&Message) -> Vec<usize>,
    ) -> Result<Prompt, Error> {
        let mut stand_ins = StandIns::new(&self.source, messages);
        let mut marked = Vec::with_capacity(messages.len());
        for message in messages {
            check_role(&message.role)?;
            let content = stand_ins.mark(&message.content, &mark(message))?;
            marked.push(context! { role => message.role.as_str(), content => content });
        }
        let mut context = self.context(variables);
        context.insert("messages".into(), marked.into());
        context.insert(json::STAND_INS.into(), json::stand_ins(stand_ins.originals()));
        let template = self.environment.get_template(NAME).map_err(|e| Error::Syntax(e.to_string()))?;
        let text = template.render(Value::from(context)).map_err(|e| failure(&e))?;
        Ok(stand_ins.unmark(&text))
    }

    /// What the template sees beside the messages.
    fn context(&self, variables: &Variables) -> BTreeMap<String, Value> {
        let clock = variables.clock;
        let mut context: BTreeMap<String, Value> = variables.extra.clone();
        let mut set = |name: &str, value: Value| drop(context.insert(name.into(), value));
        set("add_generation_prompt", variables.add_generation_prompt.into());
        set("bos_token", variables.bos_token.as_str().into());
        set("eos_token", variables.eos_token.as_str().into());
        set("tools", ().into());
        set("documents", ().into());
        set("strftime_now", Value::from_function(move |format: &str| clock.write(format)));
        context
    }
}

fn failure(error: &minijinja::Error) -> Error {
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => Error::Failed(format!("still running after {FUEL} instructions")),
        (ErrorKind::InvalidOperation, Some(text)) if text.starts_with(REFUSAL) => {
            Error::Refused(text[REFUSAL.len()..].into())
        }
        _ => Error::Failed(error.to_string()),
    }
}

/// Marks what `raise_exception` raised.
const REFUSAL: &str = "\u{1}refused\u{1}";

fn raise_exception(text: &str) -> Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, format!("{REFUSAL}{text}")))
}
