//! Arguments of Python's functions: by position or by name.

use minijinja::value::{Kwargs, Rest, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind};

/// What a call gives for the parameters `names`, in order. `what` is named in errors.
pub(crate) fn bind<const N: usize>(
    what: &str,
    names: [&str; N],
    args: &[Value],
) -> Result<[Option<Value>; N], Error> {
    let (positional, named): (Rest<Value>, Kwargs) = from_args(args)?;
    bind_given(what, names, &positional, &named)
}

/// The same where the arguments are sorted already.
pub(crate) fn bind_given<const N: usize>(
    what: &str,
    names: [&str; N],
    positional: &[Value],
    named: &Kwargs,
) -> Result<[Option<Value>; N], Error> {
    if positional.len() > N {
        let found = positional.len();
        return Err(wrong(what, &format!("expected at most {N} arguments, found {found}")));
    }
    let mut bound = [const { None }; N];
    for (i, (slot, name)) in bound.iter_mut().zip(names).enumerate() {
        *slot = match positional.get(i) {
            Some(value) => Some(value.clone()),
            None if named.has(name) => Some(named.get::<Value>(name)?),
            None => None,
        };
    }
    named.assert_all_used()?;
    Ok(bound)
}

/// An error of a filter, function or method.
pub(crate) fn wrong(what: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{what}: {why}"))
}

/// A text that must be there.
pub(crate) fn text<'a>(what: &str, name: &str, value: &'a Option<Value>) -> Result<&'a str, Error> {
    let value = value.as_ref().ok_or_else(|| wrong(what, &format!("argument `{name}` is missing")))?;
    value.as_str().ok_or_else(|| wrong(what, &format!("{name}: expected a string, found {}", value.kind())))
}

/// A text, or `None` for none.
pub(crate) fn optional_text<'a>(
    what: &str,
    name: &str,
    value: &'a Option<Value>,
) -> Result<Option<&'a str>, Error> {
    match value {
        Some(given) if !given.is_none() => text(what, name, value).map(Some),
        _ => Ok(None),
    }
}

/// An integer, or `or`.
pub(crate) fn integer(what: &str, name: &str, value: &Option<Value>, or: i64) -> Result<i64, Error> {
    let Some(value) = value.as_ref().filter(|v| !v.is_none()) else { return Ok(or) };
    let expected = |_| wrong(what, &format!("{name}: expected an integer, found {}", value.kind()));
    match value.kind() {
        ValueKind::Bool => Ok(value.is_true().into()),
        _ => i64::try_from(value.clone()).map_err(expected),
    }
}

/// Whether a flag is set.
pub(crate) fn flag(value: &Option<Value>) -> bool {
    value.as_ref().is_some_and(Value::is_true)
}

/// Most characters that a text is filled up to.
pub(crate) const MAX_WIDTH: usize = 1 << 16;

/// A width in characters; negative ones are 0.
pub(crate) fn width(what: &str, value: i64) -> Result<usize, Error> {
    let width = usize::try_from(value.max(0)).unwrap_or(usize::MAX);
    if width > MAX_WIDTH {
        return Err(wrong(what, &format!("expected a width of at most {MAX_WIDTH}, found {width}")));
    }
    Ok(width)
}
