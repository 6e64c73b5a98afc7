//! Keys and values with typed access.

use crate::{Array, Error, StringArray, Value};
use std::borrow::Cow;
use std::collections::HashMap;

/// Keys and values in file order; keys are unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    pairs: Vec<(String, Value)>,
    index: HashMap<String, usize>,
}

impl Metadata {
    /// Adds a pair. Returns false, and changes nothing, if the key is there already.
    pub fn insert(&mut self, key: &str, value: Value) -> bool {
        if self.index.contains_key(key) {
            return false;
        }
        self.index.insert(key.into(), self.pairs.len());
        self.pairs.push((key.into(), value));
        true
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.index.get(key).map(|&i| &self.pairs[i].1)
    }

    /// All pairs in file order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> + '_ {
        self.pairs.iter().map(|(k, v)| (k.as_str(), v))
    }

    /// A number of any integer type that fits.
    pub fn u32(&self, key: &str) -> Result<Option<u32>, Error> {
        self.typed(key, "an integer from 0 to 4294967295", |v| v.integer()?.try_into().ok())
    }

    /// A number of any integer type that fits.
    pub fn u64(&self, key: &str) -> Result<Option<u64>, Error> {
        self.typed(key, "an integer from 0 to 2^64-1", |v| v.integer()?.try_into().ok())
    }

    /// A float of either width; an integer counts as one.
    pub fn f32(&self, key: &str) -> Result<Option<f32>, Error> {
        self.typed(key, "a number", |v| match v {
            Value::F32(x) => Some(*x),
            Value::F64(x) => Some(*x as f32),
            other => other.integer().map(|x| x as f32),
        })
    }

    /// A boolean.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, Error> {
        self.typed(key, "a boolean", |v| match v {
            Value::Bool(x) => Some(*x),
            _ => None,
        })
    }

    /// Text.
    pub fn str(&self, key: &str) -> Result<Option<&str>, Error> {
        self.typed(key, "a string", |v| match v {
            Value::String(x) => Some(x.as_str()),
            _ => None,
        })
    }

    /// Text that is only shown: U+FFFD stands where it is no UTF-8. `None` also where the key is no text.
    pub fn shown(&self, key: &str) -> Option<Cow<'_, str>> {
        match self.get(key)? {
            Value::String(x) => Some(Cow::Borrowed(x)),
            Value::Bytes(x) => Some(String::from_utf8_lossy(x)),
            _ => None,
        }
    }

    /// An array of text.
    pub fn strings(&self, key: &str) -> Result<Option<&StringArray>, Error> {
        self.typed(key, "an array of strings", |v| match v {
            Value::Array(Array::String(x)) if x.lossy().is_none() => Some(x),
            _ => None,
        })
    }

    /// An array of floats of either width, or of integers.
    pub fn f32s(&self, key: &str) -> Result<Option<Cow<'_, [f32]>>, Error> {
        self.typed(key, "an array of numbers", |v| match v {
            Value::Array(Array::F32(x)) => Some(Cow::Borrowed(x.as_slice())),
            Value::Array(Array::F64(x)) => Some(x.iter().map(|&x| x as f32).collect()),
            Value::Array(other) => other.integers().map(|x: Vec<i64>| x.iter().map(|&x| x as f32).collect()),
            _ => None,
        })
    }

    /// An array of any integer type in which every element fits.
    pub fn i32s(&self, key: &str) -> Result<Option<Cow<'_, [i32]>>, Error> {
        self.typed(key, "an array of integers from -2147483648 to 2147483647", |v| match v {
            Value::Array(Array::I32(x)) => Some(Cow::Borrowed(x.as_slice())),
            Value::Array(other) => other.integers().map(Cow::Owned),
            _ => None,
        })
    }

    /// One number for each of `n` things: an array of any integer type, or one number for all of them.
    pub fn u32_each(&self, key: &str, n: usize) -> Result<Option<Vec<u32>>, Error> {
        let one_or_each = |v: &Value| match v {
            Value::Array(array) => array.integers(),
            one => Some(vec![one.integer()?.try_into().ok()?; n]),
        };
        let expected = "integers from 0 to 4294967295, one for each layer or one for all";
        let Some(list) = self.typed(key, expected, one_or_each)? else { return Ok(None) };
        if list.len() == n {
            return Ok(Some(list));
        }
        Err(Error::Elements { key: key.into(), expected: n, found: list.len() })
    }

    /// An array of bytes (u8 or i8, as bits).
    pub fn bytes(&self, key: &str) -> Result<Option<Cow<'_, [u8]>>, Error> {
        self.typed(key, "an array of bytes", |v| match v {
            Value::Array(Array::U8(x)) => Some(Cow::Borrowed(x.as_slice())),
            Value::Array(Array::I8(x)) => Some(Cow::Owned(x.iter().map(|&b| b as u8).collect())),
            _ => None,
        })
    }

    /// As [`Metadata::u32`]; a missing key is an error.
    pub fn require_u32(&self, key: &str) -> Result<u32, Error> {
        self.u32(key)?.ok_or_else(|| Error::MissingKey { key: key.into() })
    }

    /// As [`Metadata::str`]; a missing key is an error.
    pub fn require_str(&self, key: &str) -> Result<&str, Error> {
        self.str(key)?.ok_or_else(|| Error::MissingKey { key: key.into() })
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &'static str,
        take: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match take(value) {
            Some(x) => Ok(Some(x)),
            None => Err(Error::KeyType { key: key.into(), expected, found: value.describe() }),
        }
    }
}
