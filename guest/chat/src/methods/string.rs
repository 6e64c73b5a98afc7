//! Methods of strings, by name.

use super::{classes, search};
use crate::arguments::{bind, flag, integer, optional_text, text, width, wrong};
use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, State};

/// `None` if `minijinja-contrib` has the method, or nobody.
pub(super) fn call(state: &State, all: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let value: Value = match method {
        "find" | "rfind" | "index" | "rindex" => search::find(method, all, args)?,
        "count" => search::count(all, args)?,
        "startswith" | "endswith" => search::edge(method, all, args)?,
        "split" | "rsplit" => search::split(method, all, args)?,
        "partition" | "rpartition" => search::partition(method, all, args)?,
        "strip" | "lstrip" | "rstrip" => strip(method, all, args)?.into(),
        "removeprefix" | "removesuffix" => remove(method, all, args)?.into(),
        "center" | "ljust" | "rjust" => justify(state, method, all, args)?.into(),
        "zfill" => zfill(state, all, args)?.into(),
        "expandtabs" => expand_tabs(state, all, args)?.into(),
        "splitlines" => {
            let [keep] = bind(method, ["keepends"], args)?;
            classes::lines(all, flag(&keep)).into_iter().map(Value::from).collect()
        }
        "join" => join(state, all, args)?.into(),
        "format_map" => format_map(all, args)?.into(),
        "title" | "swapcase" | "casefold" => {
            let [] = bind(method, [], args)?;
            cased(method, all).into()
        }
        _ => match class(method, all) {
            Some(is) => {
                let [] = bind(method, [], args)?;
                is.into()
            }
            None => return Ok(None),
        },
    };
    Ok(Some(value))
}

fn class(method: &str, all: &str) -> Option<bool> {
    let every = |is: &dyn Fn(char) -> bool| Some(!all.is_empty() && all.chars().all(is));
    match method {
        "isdecimal" => every(&classes::is_decimal),
        "isdigit" => every(&classes::is_digit),
        "isspace" => every(&classes::is_space),
        "isprintable" => Some(all.chars().all(classes::is_printable)),
        "isidentifier" => Some(classes::is_identifier(all)),
        "istitle" => Some(classes::is_title(all)),
        _ => None,
    }
}

fn cased(method: &str, all: &str) -> String {
    match method {
        "swapcase" => all.chars().flat_map(swapped).collect(),
        // Upper case first: it spells out what has no other lower case, such as ß.
        "casefold" => all.chars().flat_map(|c| if c == 'ı' { vec![c] } else { upper_lower(c) }).collect(),
        _ => {
            let mut inside = false;
            let titled = all.chars().flat_map(|c| {
                let cased: Vec<char> =
                    if inside { c.to_lowercase().collect() } else { c.to_uppercase().collect() };
                inside = c.is_alphabetic();
                cased
            });
            titled.collect()
        }
    }
}

fn upper_lower(c: char) -> Vec<char> {
    c.to_uppercase().flat_map(char::to_lowercase).collect()
}

fn swapped(c: char) -> Vec<char> {
    if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
}

fn strip<'a>(method: &str, all: &'a str, args: &[Value]) -> Result<&'a str, Error> {
    let [chars] = bind(method, ["chars"], args)?;
    let chars = optional_text(method, "chars", &chars)?;
    let off = |c: char| chars.map_or_else(|| classes::is_space(c), |chars| chars.contains(c));
    Ok(match method {
        "lstrip" => all.trim_start_matches(off),
        "rstrip" => all.trim_end_matches(off),
        _ => all.trim_matches(off),
    })
}

fn remove<'a>(method: &str, all: &'a str, args: &[Value]) -> Result<&'a str, Error> {
    let [affix] = bind(method, ["affix"], args)?;
    let affix = text(method, "affix", &affix)?;
    let rest = if method == "removeprefix" { all.strip_prefix(affix) } else { all.strip_suffix(affix) };
    Ok(rest.unwrap_or(all))
}

/// Fill characters that cost as much as an instruction.
const FILL: usize = 8;

/// Fill characters before and behind, paid for.
fn filled(state: &State, all: &str, before: usize, behind: usize, fill: char) -> Result<String, Error> {
    state.consume_fuel(((before + behind) / FILL) as u64)?;
    let side = |n| std::iter::repeat_n(fill, n);
    Ok(side(before).chain(all.chars()).chain(side(behind)).collect())
}

fn justify(state: &State, method: &str, all: &str, args: &[Value]) -> Result<String, Error> {
    let [wide, fill] = bind(method, ["width", "fillchar"], args)?;
    let wide = width(method, integer(method, "width", &wide, 0)?)?;
    let mut fill = optional_text(method, "fillchar", &fill)?.unwrap_or(" ").chars();
    let (Some(fill), None) = (fill.next(), fill.next()) else {
        return Err(wrong(method, "fillchar: expected one character"));
    };
    let missing = wide.saturating_sub(all.chars().count());
    let before = match method {
        "ljust" => 0,
        "rjust" => missing,
        // As CPython: the odd one goes to the left if the width is odd.
        _ => missing / 2 + (missing & wide & 1),
    };
    filled(state, all, before, missing - before, fill)
}

fn zfill(state: &State, all: &str, args: &[Value]) -> Result<String, Error> {
    let [wide] = bind("zfill", ["width"], args)?;
    let missing = width("zfill", integer("zfill", "width", &wide, 0)?)?.saturating_sub(all.chars().count());
    let digits = all.trim_start_matches(['+', '-']);
    let sign = &all[..(all.len() - digits.len()).min(1)];
    Ok(sign.to_string() + &filled(state, &all[sign.len()..], missing, 0, '0')?)
}

fn expand_tabs(state: &State, all: &str, args: &[Value]) -> Result<String, Error> {
    let [size] = bind("expandtabs", ["tabsize"], args)?;
    let size = width("expandtabs", integer("expandtabs", "tabsize", &size, 8)?)?;
    let mut out = String::new();
    let mut column = 0;
    for c in all.chars() {
        match c {
            '\t' if size == 0 => {}
            '\t' => {
                let n = size - column % size;
                out += &filled(state, "", n, 0, ' ')?;
                column += n;
            }
            c => {
                out.push(c);
                column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
            }
        }
    }
    Ok(out)
}

fn join(state: &State, all: &str, args: &[Value]) -> Result<String, Error> {
    let [items] = bind("join", ["iterable"], args)?;
    let mut out = String::new();
    for (i, item) in items.unwrap_or_default().try_iter()?.enumerate() {
        if i > 0 {
            state.consume_fuel((all.len() / 64) as u64)?;
            out += all;
        }
        let found = item.kind();
        out += item
            .as_str()
            .ok_or_else(|| wrong("join", &format!("item {i}: expected a string, found {found}")))?;
    }
    Ok(out)
}

fn format_map(all: &str, args: &[Value]) -> Result<String, Error> {
    let [mapping] = bind("format_map", ["mapping"], args)?;
    let mapping = mapping.filter(|m| m.kind() == ValueKind::Map);
    let mapping = mapping.ok_or_else(|| wrong("format_map", "expected a dict"))?;
    let mut named = Vec::new();
    for key in mapping.try_iter()? {
        named.push((key.to_string(), mapping.get_item(&key)?));
    }
    format(FormatStyle::StrFormat, all, &[named.into_iter().collect::<Kwargs>().into()])
}
