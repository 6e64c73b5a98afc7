//! The exported `inference` interface.

use crate::Component;
use crate::convert;
use crate::imports::Imports;
use chord_wit::inference as w;
use std::cell::RefCell;

type Result<T> = core::result::Result<T, w::Error>;

/// A loaded model.
pub struct Model(chord_engine::Model<Imports>);
/// A session.
pub struct Session(chord_engine::Session<Imports>);
/// A generation; the contract calls it by shared reference.
pub struct Generation(RefCell<chord_engine::Generation<Imports>>);

impl w::Guest for Component {
    type Model = Model;
    type Session = Session;
    type Generation = Generation;

    fn inspect(name: String) -> Result<w::Report> {
        chord_engine::inspect(&Imports, &name).map(convert::report).map_err(convert::error)
    }
}

impl w::GuestModel for Model {
    fn load(name: String, options: w::LoadOptions) -> Result<w::Model> {
        let options = convert::load_options(options)?;
        let model = chord_engine::Model::load(&Imports, &name, &options).map_err(convert::error)?;
        Ok(w::Model::new(Model(model)))
    }

    fn info(&self) -> w::ModelInfo {
        convert::model_info(self.0.info())
    }

    fn tokenize(&self, text: String, add_special: bool, parse_special: bool) -> Result<Vec<u32>> {
        self.0.tokenize(&text, add_special, parse_special).map_err(convert::error)
    }

    fn detokenize(&self, tokens: Vec<u32>, special: bool) -> Result<Vec<u8>> {
        self.0.detokenize(&tokens, special).map_err(convert::error)
    }

    fn chat_prompt(&self, messages: Vec<w::Message>, options: w::ChatOptions) -> Result<Vec<u32>> {
        let messages: Vec<_> = messages.into_iter().map(convert::message).collect();
        self.0.chat_prompt(&messages, &convert::chat_options(options)).map_err(convert::error)
    }

    fn open(&self) -> Result<w::Session> {
        self.0.open().map(session).map_err(convert::error)
    }
}

fn session(session: chord_engine::Session<Imports>) -> w::Session {
    w::Session::new(Session(session))
}

impl w::GuestSession for Session {
    fn length(&self) -> u32 {
        self.0.len()
    }

    fn append(&self, tokens: Vec<u32>) -> Result<()> {
        self.0.append(&tokens).map_err(convert::error)
    }

    fn evaluate(&self, tokens: Vec<u32>, wanted: Vec<u32>) -> Result<Vec<f32>> {
        self.0.evaluate(&tokens, &wanted).map_err(convert::error)
    }

    fn fork(&self, length: u32) -> Result<w::Session> {
        self.0.fork(length).map(session).map_err(convert::error)
    }

    fn truncate(&self, length: u32) -> Result<()> {
        self.0.truncate(length).map_err(convert::error)
    }

    fn generate(&self, prompt: w::Prompt, options: w::GenerateOptions) -> Result<w::Generation> {
        let options = convert::generate_options(options)?;
        let generation = self.0.generate(&convert::prompt(prompt), &options).map_err(convert::error)?;
        Ok(w::Generation::new(Generation(RefCell::new(generation))))
    }
}

impl w::GuestGeneration for Generation {
    fn next(&self) -> Result<Vec<w::Event>> {
        let events = self.0.borrow_mut().advance().map_err(convert::error)?;
        Ok(events.into_iter().map(convert::event).collect())
    }
}
