//! Options that leave everything to the engine.

use crate::inference::{ChatOptions, GenerateOptions, LoadOptions};

#[expect(clippy::derivable_impls, reason = "the type is generated")]
impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions {
            context_size: None,
            sessions: None,
            step_tokens: None,
            device: None,
            vocab_only: None,
            extra: Vec::new(),
        }
    }
}

#[expect(clippy::derivable_impls, reason = "the type is generated")]
impl Default for GenerateOptions {
    fn default() -> GenerateOptions {
        GenerateOptions {
            max_tokens: None,
            temperature: None,
            top_k: None,
            top_p: None,
            min_p: None,
            repeat_penalty: None,
            repeat_last_n: None,
            presence_penalty: None,
            frequency_penalty: None,
            dynatemp_range: None,
            dynatemp_exponent: None,
            typical_p: None,
            top_n_sigma: None,
            xtc_probability: None,
            xtc_threshold: None,
            dry_multiplier: None,
            dry_base: None,
            dry_allowed_length: None,
            dry_penalty_last_n: None,
            dry_sequence_breakers: None,
            logit_bias: Vec::new(),
            mirostat: None,
            samplers: None,
            seed: None,
            stop: Vec::new(),
            ignore_eos: None,
            parse_special: None,
            logprobs: None,
            extra: Vec::new(),
        }
    }
}

#[expect(clippy::derivable_impls, reason = "the type is generated")]
impl Default for ChatOptions {
    fn default() -> ChatOptions {
        ChatOptions { template: None, add_generation_prompt: None, now: None, utc_offset: None }
    }
}
