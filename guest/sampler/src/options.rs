//! What the chain does, as data.

/// A sampler that can stand in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SamplerKind {
    /// Repeat, presence and frequency penalties.
    Penalties,
    /// The k most likely.
    TopK,
    /// The most likely that make up p.
    TopP,
    /// At least p times as likely as the likeliest.
    MinP,
    /// Division of the logits.
    Temperature,
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
    /// Same seed, same draws.
    pub seed: u64,
    /// Which samplers run, in this order.
    pub order: Vec<SamplerKind>,
}

impl Default for SamplerOptions {
    fn default() -> SamplerOptions {
        use SamplerKind as S;
        SamplerOptions {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repeat_penalty: 1.0,
            repeat_last_n: 64,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            seed: 0,
            order: vec![S::Penalties, S::TopK, S::TopP, S::MinP, S::Temperature],
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
        let within = |option, found: f32, ok: bool, expected| match ok {
            true => Ok(()),
            false => Err(Error { option, expected, found }),
        };
        let (t, p, m) = (self.temperature, self.top_p, self.min_p);
        within("temperature", t, t.is_finite() && t >= 0.0, "a number from 0 up")?;
        within("top_p", p, (0.0..=1.0).contains(&p), "a number from 0 to 1")?;
        within("min_p", m, (0.0..=1.0).contains(&m), "a number from 0 to 1")?;
        let r = self.repeat_penalty;
        within("repeat_penalty", r, r.is_finite() && r > 0.0, "a number above 0")?;
        for (option, x) in
            [("presence_penalty", self.presence_penalty), ("frequency_penalty", self.frequency_penalty)]
        {
            within(option, x, x.is_finite(), "a finite number")?;
        }
        Ok(())
    }

    /// Whether the penalties change anything.
    pub(crate) fn penalises(&self) -> bool {
        let any = self.repeat_penalty != 1.0 || self.presence_penalty != 0.0 || self.frequency_penalty != 0.0;
        any && self.repeat_last_n > 0
    }
}
