//! HTML and addresses.

use crate::arguments::{bind_given, wrong};
use crate::methods::is_space;
use minijinja::Error;
use minijinja::value::{Kwargs, Rest, Value, ValueKind};

/// As MarkupSafe writes text into HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Unless it is escaped already.
pub(super) fn escape(value: &Value) -> Value {
    if value.is_safe() { value.clone() } else { force_escape(value) }
}

pub(super) fn force_escape(value: &Value) -> Value {
    Value::from_safe_string(escaped(&value.to_string()))
}

/// Without tags and comments, runs of white space as one space.
pub(super) fn strip_tags(value: &Value) -> String {
    let text = value.to_string();
    let text = without(&without(&text, "<!--", "-->"), "<", ">");
    let words: Vec<&str> = text.split(is_space).filter(|w| !w.is_empty()).collect();
    let mut text = words.join(" ");
    for (entity, c) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&amp;", "&")]
    {
        text = text.replace(entity, c);
    }
    text
}

fn without(text: &str, open: &str, close: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(open) {
        let Some(end) = rest[start..].find(close) else { break };
        out.push_str(&rest[..start]);
        rest = &rest[start + end + close.len()..];
    }
    out + rest
}

/// A text as part of a path, or pairs as a query.
pub(super) fn url_encode(value: &Value) -> Result<String, Error> {
    let pair = |key: &Value, value: &Value| format!("{}={}", quoted(key, true), quoted(value, true));
    let mut pairs = Vec::new();
    match value.kind() {
        ValueKind::Map => {
            for key in value.try_iter()? {
                pairs.push(pair(&key, &value.get_item(&key)?));
            }
        }
        ValueKind::Seq => {
            for item in value.try_iter()? {
                pairs.push(pair(&item.get_item_by_index(0)?, &item.get_item_by_index(1)?));
            }
        }
        _ => return Ok(quoted(value, false)),
    }
    Ok(pairs.join("&"))
}

fn quoted(value: &Value, query: bool) -> String {
    let mut out = String::new();
    for byte in value.to_string().bytes() {
        match byte {
            b' ' if query => out.push('+'),
            b'/' if !query => out.push('/'),
            b if b.is_ascii_alphanumeric() || b"_.-~".contains(&b) => out.push(b.into()),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

/// Attributes of a tag, without those that are none.
pub(super) fn attributes(value: &Value, args: Rest<Value>, given: Kwargs) -> Result<Value, Error> {
    let [space] = bind_given("xmlattr", ["autospace"], &args, &given)?;
    let mut items = Vec::new();
    for key in value.try_iter()? {
        let (value, key) = (value.get_item(&key)?, key.to_string());
        if key.contains(|c: char| is_space(c) || "/>=".contains(c)) {
            return Err(wrong("xmlattr", &format!("invalid character in attribute name {key:?}")));
        }
        if !value.is_none() && !value.is_undefined() {
            items.push(format!("{}=\"{}\"", escaped(&key), escaped(&value.to_string())));
        }
    }
    let space = !items.is_empty() && space.is_none_or(|s| s.is_true());
    Ok(Value::from_safe_string(if space { " " } else { "" }.to_string() + &items.join(" ")))
}
