//! `int` and `float`: a default in place of an error.

use crate::arguments::{bind_given, integer};
use minijinja::Error;
use minijinja::value::{Kwargs, Rest, Value, ValueKind};

/// `float(default=0.0)`.
pub(super) fn float(value: &Value, args: Rest<Value>, given: Kwargs) -> Result<Value, Error> {
    let [default] = bind_given("float", ["default"], &args, &given)?;
    Ok(match number(value) {
        Some(number) => number.into(),
        None => default.unwrap_or_else(|| 0.0.into()),
    })
}

/// `int(default=0, base=10)`.
pub(super) fn int(value: &Value, args: Rest<Value>, given: Kwargs) -> Result<Value, Error> {
    let [default, base] = bind_given("int", ["default", "base"], &args, &given)?;
    let base = integer("int", "base", &base, 10)?;
    let whole = match value.as_str() {
        Some(text) => parse(text.trim(), base),
        None if value.is_integer() => return Ok(value.clone()),
        None => None,
    };
    let truncated = || number(value).filter(|f| f.is_finite()).map(|f| f.trunc() as i128);
    Ok(match whole.or_else(truncated) {
        Some(whole) => whole.into(),
        None => default.unwrap_or_else(|| 0.into()),
    })
}

fn number(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some(text) => text.trim().replace('_', "").parse().ok(),
        None if value.kind() == ValueKind::Bool => Some(if value.is_true() { 1.0 } else { 0.0 }),
        None => f64::try_from(value.clone()).ok(),
    }
}

/// Python's `int(text, base)`.
fn parse(text: &str, base: i64) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let prefixes = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    let prefix = prefixes.into_iter().find(|&(p, b)| digits.starts_with(p) && (base == b || base == 0));
    let (digits, base) = match prefix {
        Some((_, base)) => (&digits[2..], base),
        None => (digits, if base == 0 { 10 } else { base }),
    };
    let base = u32::try_from(base).ok().filter(|b| (2..=36).contains(b))?;
    let whole = i128::from_str_radix(&digits.replace('_', ""), base).ok()?;
    Some(if negative { -whole } else { whole })
}
