//! `host chat`: a conversation, line by line.

use crate::args::EngineArgs;
use crate::sampling::Sampling;
use crate::{engine, interrupt, model, term};
use anyhow::{Context, Result};
use chord_runtime::{
    ChatOptions, EngineError, Error, Event, Finish, FinishReason, GenerateOptions, Instance, LoadOptions,
    Message, Model, Prompt, Session, TokenEvent,
};
use clap::Args;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// Options of `host chat`.
#[derive(Args, Debug)]
pub(crate) struct Chat {
    /// Model file (GGUF) [default: the built-in story model]
    #[arg(short, long, value_name = "MODEL.GGUF", env = "CHORD_MODEL")]
    model: Option<PathBuf>,
    /// What the model is told before the conversation
    #[arg(long, visible_alias = "system-prompt", value_name = "TEXT", env = "CHORD_SYSTEM")]
    system: Option<String>,
    /// Jinja in place of the model's chat template
    #[arg(long, value_name = "JINJA", env = "CHORD_CHAT_TEMPLATE")]
    chat_template: Option<String>,
    /// The same, from a file
    #[arg(long, value_name = "FILE", conflicts_with = "chat_template", env = "CHORD_CHAT_TEMPLATE_FILE")]
    chat_template_file: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Context size, tokens; 0 = the model's own [default: the model's, at most 4096]
    #[arg(short, long, value_name = "N", env = "CHORD_CTX_SIZE")]
    ctx_size: Option<u32>,
    #[command(flatten)]
    sampling: Sampling,
}

const TEMPLATE_FAILS: &str =
    "no prompt from the chat template (--chat-template or --chat-template-file gives another one)";

const HELP: &str = "/clear starts a new conversation, /exit leaves, /help shows this. \
    A \\ at the end of a line goes on with the next one. Ctrl-C ends an answer.";

impl Chat {
    pub(crate) fn run(&self) -> Result<()> {
        let template = match &self.chat_template_file {
            Some(path) => Some(crate::text::from_file(path, "chat template")?),
            None => self.chat_template.clone(),
        };
        if self.model.is_none() {
            term::tell!("{}", model::DEFAULT_IS);
        }
        let builder = engine::builder(&self.engine);
        let mut instance = engine::instance(builder, &self.engine, self.model.as_deref())?;
        let load = LoadOptions { context_size: self.ctx_size, ..LoadOptions::default() };
        let named = || format!("model `{}`", model::display_name(self.model.as_ref()));
        let model = crate::model::load(&mut instance, &load).with_context(named)?;
        let session = instance.open(&model)?;
        let mut conversation = Conversation {
            template,
            options: self.sampling.options(),
            system: self.system.clone(),
            messages: Vec::new(),
            read: Vec::new(),
            instance,
            model,
            session,
        };
        conversation.clear();
        // A template that does not work should not wait for the first line.
        conversation.prompt_of("Hello").context(TEMPLATE_FAILS).with_context(named)?;
        conversation.talk()
    }
}

/// Messages so far, and what the session has read of them.
struct Conversation {
    template: Option<String>,
    options: GenerateOptions,
    system: Option<String>,
    messages: Vec<Message>,
    read: Vec<u32>,
    instance: Instance,
    model: Model,
    session: Session,
}

impl Conversation {
    fn talk(&mut self) -> Result<()> {
        let terminal = std::io::stdin().is_terminal();
        if terminal {
            term::tell!("{HELP}");
        }
        loop {
            interrupt::asking();
            let Some(line) = read_turn(terminal)? else { return Ok(()) };
            match line.trim() {
                "" => {}
                "/exit" | "/quit" | "/bye" => return Ok(()),
                "/help" | "/?" => term::tell!("{HELP}"),
                "/clear" => self.clear(),
                command if command.starts_with('/') && !command.contains(char::is_whitespace) => {
                    term::tell!("no command `{}`; {HELP}", term::printable(command));
                }
                _ => self.turn(line.trim_end())?,
            }
        }
    }

    fn clear(&mut self) {
        self.messages.clear();
        if let Some(system) = &self.system {
            self.messages.push(message("system", system.clone()));
        }
    }

    /// One question and its answer. What concerns this question only is said and the conversation goes on.
    fn turn(&mut self, question: &str) -> Result<()> {
        interrupt::answering();
        match self.answer(question) {
            Ok(answer) => {
                self.messages.push(message("user", question.into()));
                self.messages.push(message("assistant", answer));
                Ok(())
            }
            Err(e) => match e.downcast_ref() {
                Some(Error::Engine(EngineError::ContextExceeded((needed, context)))) => {
                    term::tell!(
                        "the conversation needs {needed} tokens, the context has {context}: /clear starts a new one"
                    );
                    Ok(())
                }
                _ => Err(e),
            },
        }
    }

    /// The prompt for the conversation with one more question.
    fn prompt_of(&mut self, question: &str) -> Result<Vec<u32>, Error> {
        let mut messages = self.messages.clone();
        messages.push(message("user", question.into()));
        let now = chrono::Local::now();
        let options = ChatOptions {
            template: self.template.clone(),
            now: Some(now.timestamp()),
            utc_offset: Some(now.offset().local_minus_utc()),
            ..ChatOptions::default()
        };
        self.instance.chat_prompt(&self.model, &messages, &options)
    }

    /// Generates the answer; of the prompt, only what the session has not read yet is evaluated.
    fn answer(&mut self, question: &str) -> Result<String> {
        let tokens = self.prompt_of(question)?;
        // At least one token has to be read for the first logits.
        let equal = tokens.iter().zip(&self.read).take_while(|(a, b)| a == b).count();
        let equal = equal.min(tokens.len().saturating_sub(1));
        self.instance.truncate(&self.session, equal as u32)?;
        self.read.truncate(equal);
        let rest = Prompt::Tokens(tokens[equal..].to_vec());
        let generation = self.instance.generate(&self.session, &rest, &self.options)?;
        self.read = tokens;
        let mut answer = Answer::default();
        while !interrupt::wants_end() {
            let events = self.instance.next(&generation)?;
            if events.is_empty() {
                break;
            }
            for event in events {
                if let Event::Token(TokenEvent { id, .. }) = &event {
                    self.read.push(*id);
                }
                answer.event(&event)?;
            }
        }
        self.instance.close_generation(generation)?;
        answer.end()?;
        Ok(answer.text)
    }
}

/// An answer on its way to stdout.
#[derive(Default)]
struct Answer {
    text: String,
    note: Option<&'static str>,
}

impl Answer {
    fn event(&mut self, event: &Event) -> Result<()> {
        let (Event::Token(TokenEvent { text, .. }) | Event::Finish(Finish { text, .. })) = event else {
            return Ok(());
        };
        self.text.push_str(text);
        write(text)?;
        if let Event::Finish(Finish { reason, .. }) = event {
            self.note = match reason {
                FinishReason::End | FinishReason::Stop => None,
                FinishReason::Length => Some("(cut at the number of tokens asked for)"),
                FinishReason::ContextFull => Some("(the context is full: /clear starts a new conversation)"),
                FinishReason::InvalidLogits => {
                    let what = "the model computed NaN or infinity; the file may be damaged";
                    return Err(Error::Host(what.into()).into());
                }
            };
        }
        Ok(())
    }

    fn end(&self) -> Result<()> {
        if !self.text.ends_with('\n') {
            write("\n")?;
        }
        if let Some(note) = self.note {
            term::tell!("{note}");
        }
        Ok(())
    }
}

fn write(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    let shown = if out.is_terminal() { term::printable(text) } else { text.into() };
    out.write_all(shown.as_bytes())?;
    out.flush()
}

fn message(role: &str, content: String) -> Message {
    Message { role: role.into(), content }
}

/// The next turn of the user, without the last line's end; `None` at the end of input.
fn read_turn(terminal: bool) -> Result<Option<String>> {
    let mut turn = String::new();
    loop {
        if terminal {
            term::to_stderr(format_args!("{}", if turn.is_empty() { "> " } else { ". " }));
        }
        let mut line = String::new();
        let count = std::io::stdin().lock().read_line(&mut line).context("cannot read from stdin")?;
        if count == 0 {
            if terminal {
                term::tell!("");
            }
            return Ok((!turn.is_empty()).then_some(turn));
        }
        let line = line.trim_end_matches(['\n', '\r']);
        match line.strip_suffix('\\') {
            Some(more) => {
                turn.push_str(more);
                turn.push('\n');
            }
            None => {
                turn.push_str(line);
                return Ok(Some(turn));
            }
        }
    }
}
