//! Filters of text.

use crate::arguments::{bind_given, flag, integer, optional_text, width};
use minijinja::value::{Kwargs, Rest, Value};
use minijinja::{Error, State};

/// `center(width=80)`.
pub(super) fn center(
    state: &mut State,
    value: &Value,
    args: Rest<Value>,
    given: Kwargs,
) -> Result<Value, Error> {
    let [wide] = bind_given("center", ["width"], &args, &given)?;
    let wide = integer("center", "width", &wide, 80)?;
    Value::from(value.to_string()).call_method(state, "center", &[wide.into()])
}

/// `replace(old, new, count=None)`.
pub(super) fn replace(
    state: &mut State,
    value: &Value,
    args: Rest<Value>,
    given: Kwargs,
) -> Result<Value, Error> {
    let bound = bind_given("replace", ["old", "new", "count"], &args, &given)?;
    let given: Vec<Value> = bound.into_iter().flatten().filter(|v| !v.is_none()).collect();
    Value::from(value.to_string()).call_method(state, "replace", &given)
}

/// `indent(width=4, first=False, blank=False)`; the width is a number of spaces or a text.
pub(super) fn indent(
    state: &mut State,
    value: &Value,
    args: Rest<Value>,
    given: Kwargs,
) -> Result<String, Error> {
    let [wide, first, blank] = bind_given("indent", ["width", "first", "blank"], &args, &given)?;
    let by = match wide.as_ref().and_then(Value::as_str) {
        Some(text) => text.into(),
        None => " ".repeat(width("indent", integer("indent", "width", &wide, 4)?)?),
    };
    // A last line end does not begin a line.
    let text = Value::from(value.to_string() + "\n");
    let mut out = String::new();
    for (i, line) in text.call_method(state, "splitlines", &[])?.try_iter()?.enumerate() {
        let line = line.as_str().unwrap_or_default();
        if i > 0 {
            out.push('\n');
        }
        if if i == 0 { flag(&first) } else { flag(&blank) || !line.is_empty() } {
            state.consume_fuel((by.len() / 8) as u64)?;
            out += &by;
        }
        out += line;
    }
    Ok(out)
}

/// `truncate(length=255, killwords=False, end='...', leeway=5)`.
pub(super) fn truncate(value: &Value, args: Rest<Value>, given: Kwargs) -> Result<String, Error> {
    let [length, kill, end, leeway] =
        bind_given("truncate", ["length", "killwords", "end", "leeway"], &args, &given)?;
    let length = usize::try_from(integer("truncate", "length", &length, 255)?).unwrap_or(0);
    let leeway = usize::try_from(integer("truncate", "leeway", &leeway, 5)?).unwrap_or(0);
    let end = optional_text("truncate", "end", &end)?.unwrap_or("...");
    let text = value.to_string();
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let kept: String = text.chars().take(length.saturating_sub(end.chars().count())).collect();
    let kept = match kept.rsplit_once(' ') {
        Some((words, _)) if !flag(&kill) => words,
        _ => &kept,
    };
    Ok(kept.to_string() + end)
}

/// Runs of letters, digits and underscores.
pub(super) fn word_count(value: &Value) -> usize {
    let text = value.to_string();
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).count()
}

/// `filesizeformat(binary=False)`.
pub(super) fn file_size(value: &Value, args: Rest<Value>, given: Kwargs) -> Result<String, Error> {
    let [binary] = bind_given("filesizeformat", ["binary"], &args, &given)?;
    let bytes = match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => f64::try_from(value.clone()).ok(),
    };
    let bytes = bytes.ok_or_else(|| {
        crate::arguments::wrong("filesizeformat", &format!("expected a number, found {value}"))
    })?;
    let (base, names) = match flag(&binary) {
        true => (1024.0, ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]),
        false => (1000.0, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]),
    };
    if bytes == 1.0 {
        return Ok("1 Byte".into());
    }
    if bytes < base {
        return Ok(format!("{} Bytes", bytes.trunc()));
    }
    let mut size = bytes / base;
    let mut names = names.into_iter().peekable();
    let mut name = names.next().unwrap_or_default();
    while size >= base && names.peek().is_some() {
        size /= base;
        name = names.next().unwrap_or_default();
    }
    Ok(format!("{size:.1} {name}"))
}
