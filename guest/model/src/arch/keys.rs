//! Range-checked metadata of one family: keys are given without the family's prefix.
//!
//! What llama.cpp takes as "not used" is not used here: an empty array always; 0 or a negative number where the reader
//! of a key says so. llama.cpp's saver writes every key it knows, most of them so.

use crate::{Error, NormSpec};
use chord_gguf::{Array, Gguf, Metadata, Value};
use chord_ops::op::NormKind;

/// Bounds that no real model reaches; beyond them a file is refused before anything is sized by it.
pub(super) const MAX_WIDTH: u32 = 1 << 20;
pub(super) const MAX_LAYERS: u32 = 512;
pub(super) const MAX_CONTEXT: u32 = 1 << 27;

/// Metadata of one architecture.
pub(crate) struct Keys<'a> {
    pub(super) gguf: &'a Gguf,
    pub(super) arch: &'a str,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(gguf: &'a Gguf, arch: &'a str) -> Keys<'a> {
        Keys { gguf, arch }
    }

    pub(crate) fn metadata(&self) -> &'a Metadata {
        &self.gguf.metadata
    }

    pub(super) fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.arch)
    }

    /// The full name of `key`, unless it is missing or an empty array.
    pub(super) fn present(&self, key: &str) -> Option<String> {
        let key = self.full(key);
        let value = self.metadata().get(&key)?;
        (!matches!(value, Value::Array(list) if list.is_empty())).then_some(key)
    }

    /// `key` in `1..=max`.
    pub(crate) fn size(&self, key: &str, max: u32) -> Result<u32, Error> {
        let key = self.full(key);
        in_range(&key, self.metadata().require_u32(&key)?, max)
    }

    /// `key` in `1..=max`, if present.
    pub(crate) fn size_or(&self, key: &str, default: u32, max: u32) -> Result<u32, Error> {
        in_range(&self.full(key), self.optional(key)?.unwrap_or(default), max)
    }

    /// `key` up to `max`; `None` if it is 0 or not present.
    pub(crate) fn used(&self, key: &str, max: u32) -> Result<Option<u32>, Error> {
        match self.optional(key)?.filter(|&n| n > 0) {
            Some(n) => in_range(&self.full(key), n, max).map(Some),
            None => Ok(None),
        }
    }

    /// An unsigned number, if present.
    pub(crate) fn optional(&self, key: &str) -> Result<Option<u32>, Error> {
        let Some(key) = self.present(key) else { return Ok(None) };
        Ok(self.metadata().u32(&key)?)
    }

    /// One number in `1..=max` for each of `n` layers, if present: an array, or one number for all.
    pub(crate) fn each(&self, key: &str, n: usize, max: u32) -> Result<Option<Vec<u32>>, Error> {
        let Some(key) = self.present(key) else { return Ok(None) };
        let Some(list) = self.metadata().u32_each(&key, n)? else { return Ok(None) };
        list.iter().try_for_each(|&n| in_range(&key, n, max).map(|_| ()))?;
        Ok(Some(list))
    }

    /// The same; a missing key is an error.
    pub(crate) fn require_each(&self, key: &str, n: usize, max: u32) -> Result<Vec<u32>, Error> {
        let missing = || chord_gguf::Error::MissingKey { key: self.full(key) };
        Ok(self.each(key, n, max)?.ok_or_else(missing)?)
    }

    /// A finite float, if present.
    pub(crate) fn float(&self, key: &str) -> Result<Option<f32>, Error> {
        let Some(key) = self.present(key) else { return Ok(None) };
        match self.metadata().f32(&key)? {
            Some(x) if !x.is_finite() => Err(bad(&key, "a finite number", x)),
            x => Ok(x),
        }
    }

    /// A finite float above 0, or `default`.
    pub(crate) fn positive(&self, key: &str, default: f32) -> Result<f32, Error> {
        match self.float(key)? {
            None => Ok(default),
            Some(x) if x > 0.0 => Ok(x),
            Some(x) => Err(bad(&self.full(key), "a number above 0", x)),
        }
    }

    /// A finite float above 0; `None` if it is 0. `default` stands for a missing key.
    pub(crate) fn unless_zero(&self, key: &str, default: f32) -> Result<Option<f32>, Error> {
        match self.float(key)?.unwrap_or(default) {
            0.0 => Ok(None),
            x if x > 0.0 => Ok(Some(x)),
            x => Err(bad(&self.full(key), "a number above 0, or 0 for none", x)),
        }
    }

    /// RMS norm with the family's epsilon.
    pub(crate) fn rms_norm(&self) -> Result<NormSpec, Error> {
        let key = "attention.layer_norm_rms_epsilon";
        match self.float(key)?.unwrap_or(1e-5) {
            eps if eps >= 0.0 => Ok(NormSpec { kind: NormKind::Rms, eps }),
            eps => Err(bad(&self.full(key), "a number that is not negative", eps)),
        }
    }

    /// Which layers see a sliding window: by list, or all but the last of every `pattern`.
    pub(crate) fn windows(&self, n_layers: usize, pattern: u32) -> Result<Vec<bool>, Error> {
        let key = self.full("attention.sliding_window_pattern");
        let by_period = |pattern: u32| {
            let pattern = pattern as usize;
            Ok((0..n_layers).map(|i| pattern == 0 || i % pattern < pattern - 1).collect())
        };
        let list: Option<Vec<bool>> = match self.metadata().get(&key) {
            None => return by_period(pattern),
            // llama.cpp takes no window from an empty list.
            Some(Value::Array(list)) if list.is_empty() => return Ok(vec![false; n_layers]),
            Some(Value::Array(Array::Bool(list))) => Some(list.clone()),
            Some(Value::Array(list)) => {
                list.integers().map(|l: Vec<i64>| l.iter().map(|&n| n != 0).collect())
            }
            Some(_) => {
                return by_period(self.optional("attention.sliding_window_pattern")?.unwrap_or(pattern));
            }
        };
        match list {
            Some(list) if list.len() >= n_layers => Ok(list[..n_layers].to_vec()),
            _ => {
                let expected = format!("{n_layers} booleans or integers, or a number");
                Err(bad(&key, &expected, "another array"))
            }
        }
    }
}

pub(super) fn in_range(key: &str, n: u32, max: u32) -> Result<u32, Error> {
    if (1..=max).contains(&n) { Ok(n) } else { Err(bad(key, &format!("1 to {max}"), n)) }
}

pub(super) fn bad(key: &str, expected: &str, found: impl core::fmt::Display) -> Error {
    Error::Value { key: key.into(), expected: expected.into(), found: found.to_string() }
}
