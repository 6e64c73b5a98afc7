//! `tojson` as `transformers` has it: Python's `json.dumps(value, ensure_ascii=False, indent=…)`.

use crate::arguments::{self, bind_given, flag};
use crate::python;
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Error, State};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The variable that holds stand-ins and what they stand for, in turns: they are escaped as that.
pub(crate) const STAND_INS: &str = "stand-ins of chord-chat";

pub(crate) fn stand_ins(originals: &BTreeMap<char, char>) -> Value {
    originals.iter().flat_map(|(&c, &original)| [c, original]).collect::<String>().into()
}

fn originals(state: &State) -> BTreeMap<char, char> {
    let variable = state.lookup(STAND_INS).unwrap_or_default();
    let chars: Vec<char> = variable.as_str().unwrap_or_default().chars().collect();
    chars.as_chunks().0.iter().map(|&[c, original]| (c, original)).collect()
}

/// `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
pub(crate) fn filter(
    state: &State,
    value: &Value,
    positional: Rest<Value>,
    named: Kwargs,
) -> Result<String, Error> {
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
    let [ascii, indent, separators, sort] = bind_given("tojson", names, &positional, &named)?;
    let indent = indent.map_or(Ok(None), |v| indentation(&v))?;
    let (comma, colon) = pair(separators, indent.is_some())?;
    let (ascii, sort) = (flag(&ascii), flag(&sort));
    let originals = originals(state);
    let mut writer = Writer { out: String::new(), indent, comma, colon, sort, ascii, originals };
    writer.value(value, 0)?;
    Ok(writer.out)
}

fn wrong(what: String) -> Error {
    arguments::wrong("tojson", &what)
}

/// Most that a line is indented by, per level.
const MAX_INDENT: usize = 1000;

/// A number of spaces or a text; `None` is one line.
fn indentation(value: &Value) -> Result<Option<String>, Error> {
    if value.is_none() || value.is_undefined() {
        return Ok(None);
    }
    let text = match value.as_str() {
        Some(text) => text.into(),
        None => " ".repeat(
            usize::try_from(i64::try_from(value.clone())?.max(0)).unwrap_or(usize::MAX).min(MAX_INDENT + 1),
        ),
    };
    if text.len() > MAX_INDENT {
        return Err(wrong(format!("indent: expected at most {MAX_INDENT}")));
    }
    Ok(Some(text))
}

/// What stands between items, and between a key and its value.
fn pair(value: Option<Value>, lines: bool) -> Result<(String, String), Error> {
    let Some(value) = value.filter(|v| !v.is_none() && !v.is_undefined()) else {
        return Ok((if lines { "," } else { ", " }.into(), ": ".into()));
    };
    let texts: Vec<Value> = value.try_iter()?.collect();
    match texts.as_slice() {
        [comma, colon] if comma.as_str().is_some() && colon.as_str().is_some() => {
            Ok((comma.to_string(), colon.to_string()))
        }
        _ => Err(wrong(format!("separators: expected two texts, found {value}"))),
    }
}

struct Writer {
    out: String,
    indent: Option<String>,
    comma: String,
    colon: String,
    sort: bool,
    ascii: bool,
    originals: BTreeMap<char, char>,
}

/// Deepest nesting that is written.
const DEPTH: usize = 100;

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEPTH {
            return Err(wrong("nested too deeply".into()));
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.out.push_str(&number(value)),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Map => self.map(value, depth)?,
            ValueKind::Seq => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.list('[', ']', &items, depth, |w, item| w.value(item, depth + 1))?;
            }
            kind => return Err(wrong(format!("cannot write {kind}"))),
        }
        Ok(())
    }

    fn map(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let mut keys: Vec<Value> = value.try_iter()?.collect();
        if self.sort {
            keys.sort();
        }
        self.list('{', '}', &keys, depth, |w, key| {
            w.key(key)?;
            w.out.push_str(&w.colon.clone());
            w.value(&value.get_item(key)?, depth + 1)
        })
    }

    /// Keys are texts; Python turns the other atoms into them.
    fn key(&mut self, key: &Value) -> Result<(), Error> {
        match key.kind() {
            ValueKind::String => self.string(key.as_str().unwrap_or_default()),
            ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                self.out.push('"');
                self.value(key, 0)?;
                self.out.push('"');
            }
            kind => {
                return Err(wrong(format!("keys must be texts, numbers, booleans or none, found {kind}")));
            }
        }
        Ok(())
    }

    fn list(
        &mut self,
        open: char,
        close: char,
        items: &[Value],
        depth: usize,
        mut write: impl FnMut(&mut Self, &Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push(open);
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.out.push_str(&self.comma);
            }
            self.line(depth + 1);
            write(self, item)?;
        }
        if !items.is_empty() {
            self.line(depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(indent.as_str(), depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            let original = *self.originals.get(&c).unwrap_or(&c);
            match original {
                '"' | '\\' => self.out.extend(['\\', c]),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                o if o < ' ' || (self.ascii && o >= '\u{7f}') => self.escaped(o),
                _ => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn escaped(&mut self, c: char) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(self.out, "\\u{unit:04x}");
        }
    }
}

fn number(value: &Value) -> String {
    match value.is_integer() {
        true => value.to_string(),
        false => match f64::try_from(value.clone()) {
            Ok(f) if f.is_nan() => "NaN".into(),
            Ok(f) if f.is_infinite() => if f > 0.0 { "Infinity" } else { "-Infinity" }.into(),
            Ok(f) => python::float(f),
            Err(_) => value.to_string(),
        },
    }
}
