//! What the chain does, as data.

/// A sampler that can stand in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SamplerKind {
    /// Repeat, presence and frequency penalties.
    Penalties,
    /// A penalty on what goes on with a repetition.
    Dry,
    /// Logits within n standard deviations of the best.
    TopNSigma,
    /// The k most likely.
    TopK,
    /// The most typical that make up p.
    Typical,
    /// The most likely that make up p.
    TopP,
    /// At least p times as likely as the likeliest.
    MinP,
    /// Sometimes, all but the least of the likely go.
    Xtc,
    /// Division of the logits, by a number or as the entropy says.
    Temperature,
}

/// Names of the samplers, as llama.cpp's `--samplers` has them, in the default order.
const NAMES: &[(&str, SamplerKind)] = &[
    ("penalties", SamplerKind::Penalties),
    ("dry", SamplerKind::Dry),
    ("top_n_sigma", SamplerKind::TopNSigma),
    ("top_k", SamplerKind::TopK),
    ("typ_p", SamplerKind::Typical),
    ("top_p", SamplerKind::TopP),
    ("min_p", SamplerKind::MinP),
    ("xtc", SamplerKind::Xtc),
    ("temperature", SamplerKind::Temperature),
];

/// Other spellings.
const ALIASES: &[(&str, SamplerKind)] = &[
    ("typical_p", SamplerKind::Typical),
    ("typical", SamplerKind::Typical),
    ("temp", SamplerKind::Temperature),
];

impl SamplerKind {
    /// By name; `-` counts as `_`.
    pub fn from_name(name: &str) -> Option<SamplerKind> {
        let name = name.replace('-', "_");
        NAMES.iter().chain(ALIASES).find(|n| n.0 == name).map(|n| n.1)
    }

    /// Every name, in the default order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|n| n.0)
    }
}

/// Mirostat v2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mirostat {
    /// Target surprise, bits per token.
    pub tau: f32,
    /// Learning rate.
    pub eta: f32,
}

impl Default for Mirostat {
    fn default() -> Mirostat {
        Mirostat { tau: 5.0, eta: 0.1 }
    }
}

/// Settings of a [`crate::Chain`]; defaults are llama.cpp's.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplerOptions {
    /// 0 = always the likeliest token.
    pub temperature: f32,
    /// 0 = off.
    pub top_k: u32,
    /// 1 = off.
    pub top_p: f32,
    /// 0 = off.
    pub min_p: f32,
    /// 1 = off.
    pub repeat_penalty: f32,
    /// Tokens that the penalties look back on.
    pub repeat_last_n: u32,
    /// 0 = off.
    pub presence_penalty: f32,
    /// 0 = off.
    pub frequency_penalty: f32,
    /// How far the temperature may move either way; 0 = off.
    pub dynatemp_range: f32,
    /// Exponent of the entropy's share.
    pub dynatemp_exponent: f32,
    /// 1 = off.
    pub typical_p: f32,
    /// Standard deviations; 0 = off.
    pub top_n_sigma: f32,
    /// 0 = off.
    pub xtc_probability: f32,
    /// Above 0.5 = off.
    pub xtc_threshold: f32,
    /// 0 = off.
    pub dry_multiplier: f32,
    /// Growth of the penalty per token.
    pub dry_base: f32,
    /// Repetitions up to this length, tokens, are free.
    pub dry_allowed_length: u32,
    /// Tokens that DRY looks back on; 0 = off.
    pub dry_last_n: u32,
    /// Token sequences that repetitions do not reach over.
    pub dry_breakers: Vec<Vec<u32>>,
    /// Added to the logits of tokens; -infinity bans a token.
    pub logit_bias: Vec<(u32, f32)>,
    /// Instead of the samplers in `order`: temperature, then mirostat.
    pub mirostat: Option<Mirostat>,
    /// Same seed, same draws.
    pub seed: u64,
    /// Which samplers run, in this order.
    pub order: Vec<SamplerKind>,
}

impl Default for SamplerOptions {
    fn default() -> SamplerOptions {
        SamplerOptions {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repeat_penalty: 1.0,
            repeat_last_n: 64,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            dynatemp_range: 0.0,
            dynatemp_exponent: 1.0,
            typical_p: 1.0,
            top_n_sigma: 0.0,
            xtc_probability: 0.0,
            xtc_threshold: 0.1,
            dry_multiplier: 0.0,
            dry_base: 1.75,
            dry_allowed_length: 2,
            dry_last_n: u32::MAX,
            dry_breakers: Vec::new(),
            logit_bias: Vec::new(),
            mirostat: None,
            seed: 0,
            order: NAMES.iter().map(|n| n.1).collect(),
        }
    }
}

/// An option outside its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{option}: expected {expected}, found {found}")]
pub struct Error {
    /// Name of the option.
    pub option: &'static str,
    /// Its range.
    pub expected: &'static str,
    /// Its value.
    pub found: f32,
}

impl SamplerOptions {
    /// Checks every range.
    pub fn validate(&self) -> Result<(), Error> {
        const SHARE: &str = "a number from 0 to 1";
        const NOT_NEGATIVE: &str = "a number from 0 up";
        const POSITIVE: &str = "a number above 0";
        let mirostat = self.mirostat.unwrap_or_default();
        let share = |x: f32| (0.0..=1.0).contains(&x);
        let not_negative = |x: f32| x.is_finite() && x >= 0.0;
        let positive = |x: f32| x.is_finite() && x > 0.0;
        let checks = [
            ("temperature", self.temperature, not_negative(self.temperature), NOT_NEGATIVE),
            ("top_p", self.top_p, share(self.top_p), SHARE),
            ("min_p", self.min_p, share(self.min_p), SHARE),
            ("typical_p", self.typical_p, share(self.typical_p), SHARE),
            ("top_n_sigma", self.top_n_sigma, self.top_n_sigma.is_finite(), "a finite number"),
            ("repeat_penalty", self.repeat_penalty, positive(self.repeat_penalty), POSITIVE),
            ("presence_penalty", self.presence_penalty, self.presence_penalty.is_finite(), "a finite number"),
            (
                "frequency_penalty",
                self.frequency_penalty,
                self.frequency_penalty.is_finite(),
                "a finite number",
            ),
            ("dynatemp_range", self.dynatemp_range, not_negative(self.dynatemp_range), NOT_NEGATIVE),
            ("dynatemp_exponent", self.dynatemp_exponent, not_negative(self.dynatemp_exponent), NOT_NEGATIVE),
            ("xtc_probability", self.xtc_probability, share(self.xtc_probability), SHARE),
            ("xtc_threshold", self.xtc_threshold, share(self.xtc_threshold), SHARE),
            ("dry_multiplier", self.dry_multiplier, not_negative(self.dry_multiplier), NOT_NEGATIVE),
            (
                "dry_base",
                self.dry_base,
                self.dry_base.is_finite() && self.dry_base >= 1.0,
                "a number from 1 up",
            ),
            ("mirostat tau", mirostat.tau, not_negative(mirostat.tau), NOT_NEGATIVE),
            ("mirostat eta", mirostat.eta, not_negative(mirostat.eta), NOT_NEGATIVE),
        ];
        let bias = self
            .logit_bias
            .iter()
            .map(|&(_, b)| ("logit_bias", b, b < f32::INFINITY, "a finite number or -infinity"));
        match checks.into_iter().chain(bias).find(|check| !check.2) {
            None => Ok(()),
            Some((option, found, _, expected)) => Err(Error { option, expected, found }),
        }
    }

    /// Whether the penalties change anything.
    pub(crate) fn penalises(&self) -> bool {
        let any = self.repeat_penalty != 1.0 || self.presence_penalty != 0.0 || self.frequency_penalty != 0.0;
        any && self.repeat_last_n > 0
    }

    /// Whether DRY changes anything.
    pub(crate) fn dry(&self) -> bool {
        self.dry_multiplier != 0.0 && self.dry_last_n > 0
    }

    /// Whether XTC changes anything.
    pub(crate) fn xtc(&self) -> bool {
        self.xtc_probability > 0.0 && self.xtc_threshold <= 0.5
    }

    /// Whether a sampler needs the text so far.
    pub(crate) fn looks_back(&self) -> bool {
        self.penalises() || self.dry()
    }

    /// Whether a sampler of the chain changes nothing with these settings.
    pub(crate) fn is_off(&self, kind: SamplerKind) -> bool {
        match kind {
            SamplerKind::Penalties => !self.penalises(),
            SamplerKind::Dry => !self.dry(),
            SamplerKind::TopNSigma => self.top_n_sigma <= 0.0,
            SamplerKind::TopK => self.top_k == 0,
            SamplerKind::Typical => self.typical_p >= 1.0,
            SamplerKind::TopP => self.top_p >= 1.0,
            SamplerKind::MinP => self.min_p <= 0.0,
            SamplerKind::Xtc => !self.xtc(),
            SamplerKind::Temperature => false,
        }
    }
}
