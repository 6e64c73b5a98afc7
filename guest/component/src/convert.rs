//! Between the contract's request and event types and the engine's.

use chord_engine as e;
use chord_wit::inference as w;

/// One line without control characters: names and texts of hostile files are part of messages.
fn line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let escaped = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

pub(crate) fn error(error: e::Error) -> w::Error {
    use e::Error as E;
    match error {
        E::InvalidArgument(m) => w::Error::InvalidArgument(line(m)),
        E::NotFound(m) => w::Error::NotFound(line(m)),
        E::InvalidModel(m) => w::Error::InvalidModel(line(m)),
        E::Unsupported(m) => w::Error::Unsupported(line(m)),
        E::ContextExceeded { n_prompt_tokens, n_ctx } => w::Error::ContextExceeded((n_prompt_tokens, n_ctx)),
        E::Cancelled => w::Error::Cancelled,
        E::Limit(m) => w::Error::Limit(line(m)),
        E::Device(m) => w::Error::Device(line(m)),
        other => w::Error::Other(line(other.to_string())),
    }
}

/// No `extra` option exists in contract 0.1.
fn no_extra(extra: &[(String, String)]) -> Result<(), w::Error> {
    match extra.first() {
        None => Ok(()),
        Some((key, _)) => {
            Err(w::Error::InvalidArgument(format!("extra option `{key}` is not known to this engine")))
        }
    }
}

pub(crate) fn load_options(v: w::LoadOptions) -> Result<e::LoadOptions, w::Error> {
    no_extra(&v.extra)?;
    Ok(e::LoadOptions {
        context_size: v.context_size,
        sessions: v.sessions,
        step_tokens: v.step_tokens,
        device: v.device,
        vocab_only: v.vocab_only.unwrap_or(false),
    })
}

pub(crate) fn generate_options(v: w::GenerateOptions) -> Result<e::GenerateOptions, w::Error> {
    no_extra(&v.extra)?;
    let mut options = e::GenerateOptions {
        max_tokens: v.max_tokens,
        stop: v.stop,
        ignore_eos: v.ignore_eos.unwrap_or(false),
        literal_prompt: !v.parse_special.unwrap_or(true),
        logprobs: v.logprobs.unwrap_or(false),
        ..Default::default()
    };
    let s = &mut options.sampler;
    fn set<T>(to: &mut T, from: Option<T>) {
        if let Some(value) = from {
            *to = value;
        }
    }
    set(&mut s.temperature, v.temperature);
    set(&mut s.top_k, v.top_k);
    set(&mut s.top_p, v.top_p);
    set(&mut s.min_p, v.min_p);
    set(&mut s.repeat_penalty, v.repeat_penalty);
    set(&mut s.repeat_last_n, v.repeat_last_n);
    set(&mut s.presence_penalty, v.presence_penalty);
    set(&mut s.frequency_penalty, v.frequency_penalty);
    set(&mut s.dynatemp_range, v.dynatemp_range);
    set(&mut s.dynatemp_exponent, v.dynatemp_exponent);
    set(&mut s.typical_p, v.typical_p);
    set(&mut s.top_n_sigma, v.top_n_sigma);
    set(&mut s.xtc_probability, v.xtc_probability);
    set(&mut s.xtc_threshold, v.xtc_threshold);
    set(&mut s.dry_multiplier, v.dry_multiplier);
    set(&mut s.dry_base, v.dry_base);
    set(&mut s.dry_allowed_length, v.dry_allowed_length);
    set(&mut s.dry_last_n, v.dry_penalty_last_n);
    set(&mut s.seed, v.seed);
    s.logit_bias = v.logit_bias;
    s.mirostat = v.mirostat.map(|m| e::Mirostat { tau: m.tau, eta: m.eta });
    if let Some(names) = v.samplers {
        s.order = names.iter().map(|name| sampler(name)).collect::<Result<_, _>>()?;
    }
    set(&mut options.dry_breakers, v.dry_sequence_breakers);
    Ok(options)
}

pub(crate) fn message(v: w::Message) -> e::Message {
    e::Message { role: v.role, content: v.content }
}

pub(crate) fn chat_options(v: w::ChatOptions) -> e::ChatOptions {
    let default = e::ChatOptions::default();
    e::ChatOptions {
        template: v.template,
        add_generation_prompt: v.add_generation_prompt.unwrap_or(default.add_generation_prompt),
        now: v.now.unwrap_or(default.now),
        utc_offset: v.utc_offset.unwrap_or(default.utc_offset),
    }
}

fn sampler(name: &str) -> Result<e::SamplerKind, w::Error> {
    e::SamplerKind::from_name(name).ok_or_else(|| {
        let known = e::SamplerKind::names().collect::<Vec<_>>().join(", ");
        w::Error::InvalidArgument(format!("sampler `{name}` is not known; known: {known}"))
    })
}

pub(crate) fn prompt(v: w::Prompt) -> e::Prompt {
    match v {
        w::Prompt::Text(text) => e::Prompt::Text(text),
        w::Prompt::Tokens(tokens) => e::Prompt::Tokens(tokens),
    }
}

pub(crate) fn model_info(v: &e::ModelInfo) -> w::ModelInfo {
    w::ModelInfo {
        architecture: v.architecture.clone(),
        name: v.name.clone(),
        parameters: v.parameters,
        tensor_bytes: v.tensor_bytes,
        trained_context: v.trained_context,
        context_size: v.context_size,
        layers: v.layers,
        embedding_length: v.embedding_length,
        vocabulary: v.vocabulary,
        device: v.device.clone(),
        warnings: v.warnings.clone(),
    }
}

fn usage(v: e::Usage) -> w::Usage {
    w::Usage {
        prompt_tokens: v.prompt_tokens,
        cached_tokens: v.cached_tokens,
        completion_tokens: v.completion_tokens,
    }
}

pub(crate) fn event(v: e::Event) -> w::Event {
    match v {
        e::Event::PromptDone(u) => w::Event::PromptDone(usage(u)),
        e::Event::Token(t) => w::Event::Token(w::TokenEvent { id: t.id, text: t.text, logprob: t.logprob }),
        e::Event::Finish(f) => {
            w::Event::Finish(w::Finish { reason: reason(f.reason), usage: usage(f.usage), text: f.text })
        }
    }
}

fn reason(v: e::FinishReason) -> w::FinishReason {
    match v {
        e::FinishReason::End => w::FinishReason::End,
        e::FinishReason::Stop => w::FinishReason::Stop,
        e::FinishReason::Length => w::FinishReason::Length,
        e::FinishReason::ContextFull => w::FinishReason::ContextFull,
        e::FinishReason::InvalidLogits => w::FinishReason::InvalidLogits,
    }
}

pub(crate) fn report(v: e::Report) -> w::Report {
    let metadata = |m: e::MetadataEntry| w::MetadataEntry { key: m.key, kind: m.kind, value: m.value };
    let tensor = |t: e::TensorEntry| w::TensorEntry {
        name: t.name,
        dtype: t.dtype.into(),
        shape: t.shape,
        bytes: t.bytes,
        file: t.file,
        offset: t.offset,
    };
    w::Report {
        version: v.version,
        files: v.files,
        metadata: v.metadata.into_iter().map(metadata).collect(),
        tensors: v.tensors.into_iter().map(tensor).collect(),
        architecture: v.architecture,
        runnable: v.runnable,
        tokenizable: v.tokenizable,
        warnings: v.warnings,
    }
}
