//! Sampling and stopping as flags.

use chord_runtime::{GenerateOptions, Mirostat};
use clap::Args;
use std::hash::{BuildHasher, RandomState};

/// Sampling and stopping; names and defaults as in llama.cpp.
#[derive(Args, Debug)]
pub(crate) struct Sampling {
    /// Most tokens to generate; -1 or -2 = until the text ends or the context is full, which is never shifted
    #[arg(short = 'n', long = "predict", visible_alias = "n-predict", value_name = "N", env = "CHORD_PREDICT", default_value_t = -1, value_parser = clap::value_parser!(i64).range(-2..=i64::from(u32::MAX)))]
    predict: i64,
    /// Temperature; 0 or less = always the most likely token
    #[arg(long, visible_alias = "temperature", value_name = "T", env = "CHORD_TEMP", default_value_t = 0.8)]
    temp: f32,
    /// Keep the K most likely tokens; 0 or less = all
    #[arg(long, value_name = "K", env = "CHORD_TOP_K", default_value_t = 40)]
    top_k: i32,
    /// Keep the most likely tokens that make up P; 1 = all
    #[arg(long, value_name = "P", env = "CHORD_TOP_P", default_value_t = 0.95)]
    top_p: f32,
    /// Keep tokens at least P times as likely as the likeliest; 0 = all
    #[arg(long, value_name = "P", env = "CHORD_MIN_P", default_value_t = 0.05)]
    min_p: f32,
    /// Penalty on tokens that occurred; 1 = none
    #[arg(long, value_name = "X", env = "CHORD_REPEAT_PENALTY", default_value_t = 1.0)]
    repeat_penalty: f32,
    /// Tokens that penalties look back on; 0 = none, -1 = all
    #[arg(long, value_name = "N", env = "CHORD_REPEAT_LAST_N", default_value_t = 64, value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    repeat_last_n: i64,
    /// Penalty on tokens that occurred at all; 0 = none
    #[arg(long, value_name = "X", env = "CHORD_PRESENCE_PENALTY", default_value_t = 0.0)]
    presence_penalty: f32,
    /// Penalty per occurrence of a token; 0 = none
    #[arg(long, value_name = "X", env = "CHORD_FREQUENCY_PENALTY", default_value_t = 0.0)]
    frequency_penalty: f32,
    /// Dynamic temperature: how far it may move either way; 0 = off
    #[arg(long, value_name = "T", env = "CHORD_DYNATEMP_RANGE", default_value_t = 0.0)]
    dynatemp_range: f32,
    /// Dynamic temperature: exponent of the entropy's share
    #[arg(long, value_name = "X", env = "CHORD_DYNATEMP_EXP", default_value_t = 1.0)]
    dynatemp_exp: f32,
    /// Keep the most typical tokens that make up P; 1 = all
    #[arg(long, visible_alias = "typical-p", value_name = "P", env = "CHORD_TYPICAL", default_value_t = 1.0)]
    typical: f32,
    /// Keep logits within N standard deviations of the best; 0 = all
    #[arg(
        long = "top-nsigma",
        visible_alias = "top-n-sigma",
        value_name = "N",
        env = "CHORD_TOP_NSIGMA",
        default_value_t = 0.0
    )]
    top_n_sigma: f32,
    /// XTC: how often the likeliest tokens go; 0 = never
    #[arg(long, value_name = "P", env = "CHORD_XTC_PROBABILITY", default_value_t = 0.0)]
    xtc_probability: f32,
    /// XTC: from which probability on a token is one of those
    #[arg(long, value_name = "P", env = "CHORD_XTC_THRESHOLD", default_value_t = 0.1)]
    xtc_threshold: f32,
    /// DRY: penalty on what goes on with a repetition; 0 = off
    #[arg(long, value_name = "X", env = "CHORD_DRY_MULTIPLIER", default_value_t = 0.0)]
    dry_multiplier: f32,
    /// DRY: growth of the penalty per token
    #[arg(long, value_name = "X", env = "CHORD_DRY_BASE", default_value_t = 1.75)]
    dry_base: f32,
    /// DRY: repetitions of at most N tokens are free
    #[arg(long, value_name = "N", env = "CHORD_DRY_ALLOWED_LENGTH", default_value_t = 2)]
    dry_allowed_length: u32,
    /// DRY: tokens to look back on; -1 = all
    #[arg(long, value_name = "N", env = "CHORD_DRY_PENALTY_LAST_N", default_value_t = -1, value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    dry_penalty_last_n: i64,
    /// DRY: text that repetitions do not reach over (can be given several times; "none" = no such text) [default: newline, colon, double quote, asterisk]
    #[arg(long, value_name = "TEXT")]
    dry_sequence_breaker: Vec<String>,
    /// Added to the logit of a token, as ID+BIAS or ID-BIAS; ID-inf bans it (can be given several times)
    #[arg(short, long, value_name = "ID+BIAS", value_parser = bias)]
    logit_bias: Vec<(u32, f32)>,
    /// 2 = mirostat v2 in place of all samplers but temperature; 0 = off
    #[arg(long, value_name = "N", env = "CHORD_MIROSTAT", default_value = "0", value_parser = ["0", "2"])]
    mirostat: String,
    /// Mirostat: target surprise, bits per token
    #[arg(long, value_name = "TAU", env = "CHORD_MIROSTAT_ENT", default_value_t = 5.0)]
    mirostat_ent: f32,
    /// Mirostat: learning rate
    #[arg(long, value_name = "ETA", env = "CHORD_MIROSTAT_LR", default_value_t = 0.1)]
    mirostat_lr: f32,
    /// Which samplers run, in this order [default: penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature]
    #[arg(long, value_name = "A;B", env = "CHORD_SAMPLERS", value_delimiter = ';')]
    samplers: Option<Vec<String>>,
    /// Seed; the same one gives the same text; -1 = random
    #[arg(short, long, value_name = "N", env = "CHORD_SEED", default_value = "-1", value_parser = seed)]
    seed: Seed,
    /// Text that ends the generation (can be given several times)
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Go on after an end-of-generation token
    #[arg(long, env = "CHORD_IGNORE_EOS")]
    ignore_eos: bool,
}

impl Sampling {
    /// The contract's options. The seed is random unless one was given.
    pub(crate) fn options(&self) -> GenerateOptions {
        let seed = match self.seed {
            Seed::Fixed(seed) => seed,
            Seed::Random => RandomState::new().hash_one(0),
        };
        // All that there are.
        let last = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
        let breakers = &self.dry_sequence_breaker;
        let dry_sequence_breakers = match breakers.iter().any(|b| b == "none") {
            true => Some(Vec::new()),
            false => (!breakers.is_empty()).then(|| breakers.clone()),
        };
        GenerateOptions {
            max_tokens: u32::try_from(self.predict).ok(),
            temperature: Some(if self.temp < 0.0 { 0.0 } else { self.temp }),
            top_k: Some(u32::try_from(self.top_k).unwrap_or(0)),
            top_p: Some(self.top_p),
            min_p: Some(self.min_p),
            repeat_penalty: Some(self.repeat_penalty),
            repeat_last_n: Some(last(self.repeat_last_n)),
            presence_penalty: Some(self.presence_penalty),
            frequency_penalty: Some(self.frequency_penalty),
            dynatemp_range: Some(self.dynatemp_range),
            dynatemp_exponent: Some(self.dynatemp_exp),
            typical_p: Some(self.typical),
            top_n_sigma: Some(self.top_n_sigma),
            xtc_probability: Some(self.xtc_probability),
            xtc_threshold: Some(self.xtc_threshold),
            dry_multiplier: Some(self.dry_multiplier),
            dry_base: Some(self.dry_base),
            dry_allowed_length: Some(self.dry_allowed_length),
            dry_penalty_last_n: Some(last(self.dry_penalty_last_n)),
            dry_sequence_breakers,
            logit_bias: self.logit_bias.clone(),
            mirostat: (self.mirostat == "2")
                .then_some(Mirostat { tau: self.mirostat_ent, eta: self.mirostat_lr }),
            samplers: self.samplers.clone(),
            seed: Some(seed),
            stop: self.stop.clone(),
            ignore_eos: Some(self.ignore_eos),
            ..GenerateOptions::default()
        }
    }
}

/// Where chance begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seed {
    Random,
    Fixed(u64),
}

fn seed(text: &str) -> Result<Seed, String> {
    match text {
        "-1" => Ok(Seed::Random),
        text => text
            .parse()
            .map(Seed::Fixed)
            .map_err(|_| format!("expected 0 to {}, or -1 for a random one", u64::MAX)),
    }
}

/// `ID+BIAS` or `ID-BIAS`.
fn bias(text: &str) -> Result<(u32, f32), String> {
    let wrong =
        || format!("expected a token id, a sign and a number, such as 42+1.5 or 7-inf; found `{text}`");
    let sign = text.find(['+', '-']).ok_or_else(wrong)?;
    let (id, bias) = text.split_at(sign);
    Ok((id.parse().map_err(|_| wrong())?, bias.parse().map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        sampling: Sampling,
    }

    fn options(words: &[&str]) -> GenerateOptions {
        let command = crate::args::with_negative_numbers(<Flags as clap::CommandFactory>::command());
        let found = command.try_get_matches_from([&["host"], words].concat()).expect("they are flags");
        <Flags as clap::FromArgMatches>::from_arg_matches(&found).expect("they are flags").sampling.options()
    }

    /// What the numbers below 0 mean in llama.cpp.
    #[test]
    fn numbers_below_0_have_meanings() {
        let numbers = |n: &str| options(&["-n", n, "--repeat-last-n", "-1", "--top-k", n, "--temp", n]);
        for n in ["-1", "-2"] {
            let found = numbers(n);
            assert_eq!((found.max_tokens, found.top_k, found.temperature), (None, Some(0), Some(0.0)));
            assert_eq!(found.repeat_last_n, Some(u32::MAX));
        }
        assert_eq!(options(&["-n", "0"]).max_tokens, Some(0));
        assert_eq!(options(&["--dry-penalty-last-n", "-1"]).dry_penalty_last_n, Some(u32::MAX));
        assert!(options(&["--temp", "NaN"]).temperature.unwrap().is_nan(), "the engine refuses it");
    }

    #[test]
    fn seeds_are_fixed_or_random() {
        let seed = |words: &[&str]| options(words).seed.expect("one is always given");
        assert_eq!(seed(&["-s", "7"]), 7);
        assert_eq!(seed(&["--seed", "18446744073709551615"]), u64::MAX);
        assert_ne!(seed(&["--seed", "-1"]), seed(&["--seed", "-1"]));
        assert_ne!(seed(&[]), seed(&[]));
        assert_eq!(super::seed("-2"), super::seed("x"));
    }
}
