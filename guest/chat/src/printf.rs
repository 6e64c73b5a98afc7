//! Python's `%`: the rest of a division, and formatting as `printf` does.

use crate::arguments::{width, wrong};
use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Error, State, functions};

const WHAT: &str = "% formatting";

/// `left % right`. Sources are rewritten so that the operator calls this (`rewrite.rs`).
pub(crate) fn operator(state: &State, left: &Value, right: &Value) -> Result<Value, Error> {
    if let Some(text) = left.as_str() {
        let values = if right.is_tuple() { right.try_iter()?.collect() } else { vec![right.clone()] };
        return formatted(state, text, &values).map(Value::from);
    }
    remainder(left, right)
}

/// `text | format(values)`, in order or by name.
pub(crate) fn filter(state: &State, text: &str, values: Rest<Value>, named: Kwargs) -> Result<String, Error> {
    if named.args().next().is_none() {
        return formatted(state, text, &values);
    }
    if !values.is_empty() {
        return Err(wrong("format", "expected values in order or by name, found both"));
    }
    formatted(state, text, &[functions::dict(None, named)?])
}

fn remainder(left: &Value, right: &Value) -> Result<Value, Error> {
    let whole = |v: &Value| match v.kind() {
        ValueKind::Bool => Some(i128::from(v.is_true())),
        _ if v.is_integer() => i128::try_from(v.clone()).ok(),
        _ => None,
    };
    let float = |v: &Value| whole(v).map(|n| n as f64).or_else(|| f64::try_from(v.clone()).ok());
    let kinds = format!("{} and {}", left.kind(), right.kind());
    match (whole(left), whole(right)) {
        (_, Some(0)) if float(left).is_some() => Err(wrong("%", "division by zero")),
        (Some(a), Some(b)) => Ok(((a % b + b) % b).into()),
        _ => match (float(left), float(right)) {
            (Some(_), Some(0.0)) => Err(wrong("%", "division by zero")),
            (Some(a), Some(b)) => {
                let rest = a % b;
                Ok(if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }.into())
            }
            _ => Err(wrong("%", &format!("tried on unsupported types {kinds}"))),
        },
    }
}

/// Formats values, or the values of one dict by their names.
fn formatted(state: &State, text: &str, values: &[Value]) -> Result<String, Error> {
    let mut call = Call { values, next: 0, template: String::new(), given: Vec::new() };
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        call.template += &rest[..at];
        rest = call.conversion(state, &rest[at + 1..])?;
    }
    call.template += rest;
    let dict = matches!(values, [one] if one.kind() == ValueKind::Map);
    if call.next < values.len() && !dict {
        return Err(wrong(WHAT, "not all arguments converted"));
    }
    format(FormatStyle::Printf, &call.template, &call.given)
}

/// A format on its way to one that `minijinja` has: values in order, no `*`, `%r` or `%u`.
struct Call<'a> {
    values: &'a [Value],
    next: usize,
    template: String,
    given: Vec<Value>,
}

impl Call<'_> {
    /// One conversion, without its `%`. Returns what follows.
    fn conversion<'t>(&mut self, state: &State, text: &'t str) -> Result<&'t str, Error> {
        let (name, text) = match text.strip_prefix('(').and_then(|t| t.split_once(')')) {
            Some((name, rest)) => (Some(name), rest),
            None => (None, text),
        };
        self.template.push('%');
        let flags = text.len() - text.trim_start_matches(['-', '+', ' ', '#', '0']).len();
        self.template += &text[..flags];
        let mut text = self.size(state, &text[flags..])?;
        if let Some(precision) = text.strip_prefix('.') {
            self.template.push('.');
            text = self.size(state, precision)?;
        }
        text = text.trim_start_matches(['h', 'l', 'L']);
        let kind = text.chars().next().ok_or_else(|| wrong(WHAT, "incomplete format"))?;
        match kind {
            '%' => self.template.push('%'),
            'i' | 'u' => self.value(name, 'd')?,
            kind => self.value(name, kind)?,
        }
        Ok(&text[kind.len_utf8()..])
    }

    /// A width or precision: digits, or `*` for the next value.
    fn size<'t>(&mut self, state: &State, text: &'t str) -> Result<&'t str, Error> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (size, rest) = match text.strip_prefix('*') {
            Some(rest) => (self.take()?.to_string(), rest),
            None => (text[..digits].into(), &text[digits..]),
        };
        if !size.is_empty() {
            let n =
                size.parse().map_err(|_| wrong(WHAT, &format!("width: expected a number, found {size}")))?;
            state.consume_fuel(width(WHAT, n)? as u64 / 8)?;
        }
        self.template += &size;
        Ok(rest)
    }

    fn value(&mut self, name: Option<&str>, kind: char) -> Result<(), Error> {
        let value = match name {
            Some(name) => self.named(name)?,
            None => self.take()?,
        };
        let truncated = || f64::try_from(value.clone()).map(|f| Value::from(f.trunc() as i128));
        let (kind, value) = match kind {
            'r' => ('s', repr(&value).into()),
            'd' if value.kind() == ValueKind::Number && !value.is_integer() => ('d', truncated()?),
            'd' | 'x' | 'X' | 'o' if value.kind() == ValueKind::Bool => {
                (kind, Value::from(u8::from(value.is_true())))
            }
            kind => (kind, value),
        };
        self.template.push(kind);
        self.given.push(value);
        Ok(())
    }

    fn take(&mut self) -> Result<Value, Error> {
        let value = self.values.get(self.next).ok_or_else(|| wrong(WHAT, "not enough arguments"))?;
        self.next += 1;
        Ok(value.clone())
    }

    fn named(&self, name: &str) -> Result<Value, Error> {
        let [dict] = self.values else { return Err(wrong(WHAT, "a name needs a dict")) };
        let value = dict.get_attr(name)?;
        if value.is_undefined() {
            return Err(wrong(WHAT, &format!("the dict has no `{name}`")));
        }
        Ok(value)
    }
}

/// As a list shows its items.
pub(crate) fn repr(value: &Value) -> String {
    let list = Value::from(vec![value.clone()]).to_string();
    list[1..list.len() - 1].into()
}
