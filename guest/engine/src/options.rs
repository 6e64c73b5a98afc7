//! Requests as data.

use crate::Error;
use chord_sampler::SamplerOptions;
use chord_tokenizer::Tokenizer;

/// How to load a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadOptions {
    /// Context size of one session, tokens; 0 = the model's. Default: the model's, at most 4096.
    pub context_size: Option<u32>,
    /// Sessions that can be full at once. Default 1.
    pub sessions: Option<u32>,
    /// Most tokens of one step. Default 512.
    pub step_tokens: Option<u32>,
    /// Device name. Default: the host's choice.
    pub device: Option<String>,
    /// Tokenizer only.
    pub vocab_only: bool,
}

impl LoadOptions {
    /// Context size in use, given what the model was trained for. A larger one is allowed on request.
    pub(crate) fn context(&self, trained: u32) -> Result<u32, Error> {
        let size = self.context_size.unwrap_or(trained.min(4096));
        positive("context-size", if size == 0 { trained } else { size })
    }

    pub(crate) fn sessions(&self) -> Result<u32, Error> {
        positive("sessions", self.sessions.unwrap_or(1))
    }

    pub(crate) fn step_tokens(&self, context: u32) -> Result<u32, Error> {
        Ok(positive("step-tokens", self.step_tokens.unwrap_or(512))?.min(context))
    }
}

fn positive(name: &str, n: u32) -> Result<u32, Error> {
    const MAX: u32 = 1 << 24;
    if (1..=MAX).contains(&n) {
        return Ok(n);
    }
    Err(Error::InvalidArgument(format!("{name}: expected 1 to {MAX}, found {n}")))
}

/// What to continue.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// Text; beginning-of-sequence is added at the start of a session as the model says.
    Text(String),
    /// Token ids as they are.
    Tokens(Vec<u32>),
}

/// Sampling and stopping.
#[derive(Clone, Debug)]
pub struct GenerateOptions {
    /// Most tokens to generate; `None` = until the context is full.
    pub max_tokens: Option<u32>,
    /// Samplers.
    pub sampler: SamplerOptions,
    /// Texts that end the generation.
    pub stop: Vec<String>,
    /// Go on after an end-of-generation token.
    pub ignore_eos: bool,
    /// Do not recognise special tokens written in the prompt.
    pub literal_prompt: bool,
    /// Report the log-probability of each token.
    pub logprobs: bool,
    /// Texts that repetitions do not reach over, for DRY. They take the place of the sampler's token sequences.
    pub dry_breakers: Vec<String>,
}

impl Default for GenerateOptions {
    fn default() -> GenerateOptions {
        GenerateOptions {
            max_tokens: None,
            sampler: SamplerOptions::default(),
            stop: Vec::new(),
            ignore_eos: false,
            literal_prompt: false,
            logprobs: false,
            dry_breakers: ["\n", ":", "\"", "*"].map(String::from).to_vec(),
        }
    }
}

impl GenerateOptions {
    /// The sampler's settings, with DRY's breakers as token sequences: each token that has a breaker in it, and the
    /// tokens of a breaker that takes several.
    pub(crate) fn sampler_for(&self, tokenizer: &Tokenizer) -> SamplerOptions {
        let mut options = self.sampler.clone();
        if options.dry_multiplier == 0.0 {
            return options;
        }
        let texts: Vec<&str> =
            self.dry_breakers.iter().map(String::as_str).filter(|t| !t.is_empty()).collect();
        let has_one = |&id: &u32| {
            let piece = String::from_utf8_lossy(&tokenizer.decode(&[id], true)).into_owned();
            texts.iter().any(|t| piece.contains(t))
        };
        let single = (0..tokenizer.vocab_size() as u32).filter(has_one).map(|id| vec![id]);
        let several = texts.iter().map(|t| tokenizer.encode(t, false, true)).filter(|ids| ids.len() > 1);
        options.dry_breakers = single.chain(several).collect();
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_is_the_models_unless_it_is_said() {
        let context = |size| LoadOptions { context_size: size, ..LoadOptions::default() }.context(131_072);
        assert_eq!([None, Some(0), Some(7), Some(1 << 20)].map(context), [4096, 131_072, 7, 1 << 20].map(Ok));
        let short = LoadOptions::default().context(512);
        assert_eq!(short, Ok(512));
    }

    #[test]
    fn breakers_become_tokens_and_sequences_of_tokens() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/models/demo-stories-3.7M-q8_0.gguf");
        let gguf = chord_gguf::Gguf::parse(&std::fs::read(path).unwrap(), "m.gguf").unwrap();
        let tokenizer = Tokenizer::from_gguf(&gguf.metadata).unwrap();
        let breakers = |multiplier| {
            let sampler = SamplerOptions {
                dry_multiplier: multiplier,
                dry_breakers: vec![vec![7]],
                ..SamplerOptions::default()
            };
            let dry_breakers = ["", "e", "qzxj"].map(String::from).to_vec();
            GenerateOptions { sampler, dry_breakers, ..GenerateOptions::default() }
                .sampler_for(&tokenizer)
                .dry_breakers
        };
        assert_eq!(breakers(0.0), [[7]], "DRY is off");
        let [one, several] = ["e", "qzxj"].map(|text| tokenizer.encode(text, false, true));
        assert!(one.len() == 1 && several.len() > 1, "{one:?} {several:?}");
        let found = breakers(0.8);
        let (last, single) = found.split_last().unwrap();
        assert_eq!(*last, several);
        let text = |id| String::from_utf8_lossy(&tokenizer.decode(&[id], true)).into_owned();
        let with = |id: &u32| text(*id).contains("e") || text(*id).contains("qzxj");
        let expected: Vec<_> = (0..tokenizer.vocab_size() as u32).filter(with).map(|id| vec![id]).collect();
        assert!(single == expected && expected.len() > 1);
    }
}
