//! The engine in its sandbox.

use crate::{Result, Side};
use chord_runtime::{Event, Instance, LoadOptions, Model, Prompt, Runtime, Weights};
use chord_tests::greedy;

/// An instance with a loaded model.
pub struct Wasm {
    instance: Instance,
    model: Model,
}

impl Wasm {
    pub fn load(runtime: &Runtime, weights: &Weights, context: u32) -> Result<Wasm> {
        let mut instance = runtime.component(chord_guests::ENGINE)?.instantiate(weights.clone())?;
        let model = instance.load(&LoadOptions { context_size: Some(context), ..LoadOptions::default() })?;
        Ok(Wasm { instance, model })
    }
}

impl Side for Wasm {
    fn name(&self) -> &'static str {
        "wasm"
    }

    fn vocabulary(&mut self) -> Result<u32> {
        Ok(self.instance.info(&self.model)?.vocabulary)
    }

    fn prefill(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let Some(last) = tokens.len().checked_sub(1) else { return Ok(Vec::new()) };
        let session = self.instance.open(&self.model)?;
        let logits = self.instance.evaluate(&session, tokens, &[last as u32])?;
        self.instance.close_session(session)?;
        Ok(logits)
    }

    fn decode(&mut self, first: u32, n: u32) -> Result<Vec<u32>> {
        let session = self.instance.open(&self.model)?;
        let generation = self.instance.generate(&session, &Prompt::Tokens(vec![first]), &greedy(n))?;
        let mut tokens = Vec::new();
        loop {
            let events = self.instance.next(&generation)?;
            if events.is_empty() {
                break;
            }
            tokens.extend(events.iter().filter_map(|event| match event {
                Event::Token(token) => Some(token.id),
                _ => None,
            }));
        }
        self.instance.close_generation(generation)?;
        self.instance.close_session(session)?;
        Ok(tokens)
    }
}
