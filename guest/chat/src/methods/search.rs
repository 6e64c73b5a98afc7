//! Finding, splitting and partitioning of strings. Places are counted in characters.

use super::classes::is_space;
use crate::arguments::{bind, integer, text, wrong};
use minijinja::Error;
use minijinja::value::{Tuple, Value};

/// Part of a text, and its first place.
type Part<'a> = (&'a str, usize);

/// A text between two places, as Python's slices take them, and its first place; `None` if it begins behind its end.
fn between(all: &str, start: i64, end: Option<i64>) -> Option<Part<'_>> {
    let n = all.chars().count() as i64;
    let place = |at: i64| if at < 0 { (at + n).max(0) } else { at };
    let (start, end) = (place(start), end.map_or(n, |e| place(e).min(n)));
    if start > end {
        return None;
    }
    let offset = |at: i64| all.char_indices().nth(at as usize).map_or(all.len(), |(i, _)| i);
    Some((&all[offset(start)..offset(end)], start as usize))
}

/// The first argument and the part of `all` that the others leave.
fn part<'a>(what: &str, all: &'a str, args: &[Value]) -> Result<(Option<Value>, Option<Part<'a>>), Error> {
    let [wanted, start, end] = bind(what, ["sub", "start", "end"], args)?;
    let from = integer(what, "start", &start, 0)?;
    let to = match &end {
        Some(value) if !value.is_none() => Some(integer(what, "end", &end, 0)?),
        _ => None,
    };
    Ok((wanted, between(all, from, to)))
}

/// `find`, `rfind`, `index`, `rindex`.
pub(super) fn find(what: &str, all: &str, args: &[Value]) -> Result<Value, Error> {
    let (wanted, part) = part(what, all, args)?;
    let wanted = text(what, "sub", &wanted)?;
    let found = part.and_then(|(part, first)| {
        let at = if what.starts_with('r') { part.rfind(wanted) } else { part.find(wanted) };
        Some(first + part[..at?].chars().count())
    });
    match found {
        Some(at) => Ok(at.into()),
        None if what.ends_with("find") => Ok((-1).into()),
        None => Err(wrong(what, "substring not found")),
    }
}

/// `count`.
pub(super) fn count(all: &str, args: &[Value]) -> Result<Value, Error> {
    let (wanted, part) = part("count", all, args)?;
    let wanted = text("count", "sub", &wanted)?;
    Ok(part.map_or(0, |(part, _)| part.matches(wanted).count()).into())
}

/// `startswith`, `endswith`: one text or a tuple of them.
pub(super) fn edge(what: &str, all: &str, args: &[Value]) -> Result<Value, Error> {
    let (wanted, part) = part(what, all, args)?;
    let has = |wanted: &str| {
        part.is_some_and(
            |(p, _)| if what == "startswith" { p.starts_with(wanted) } else { p.ends_with(wanted) },
        )
    };
    match &wanted {
        Some(several) if several.as_str().is_none() && several.try_iter().is_ok() => {
            for one in several.try_iter()? {
                if has(text(what, "sub", &Some(one))?) {
                    return Ok(true.into());
                }
            }
            Ok(false.into())
        }
        wanted => Ok(has(text(what, "sub", wanted)?).into()),
    }
}

/// `split`, `rsplit`.
pub(super) fn split(what: &str, all: &str, args: &[Value]) -> Result<Value, Error> {
    let [separator, most] = bind(what, ["sep", "maxsplit"], args)?;
    let most = usize::try_from(integer(what, "maxsplit", &most, -1)?).unwrap_or(usize::MAX);
    let from_right = what == "rsplit";
    let parts: Vec<&str> = match &separator {
        Some(value) if !value.is_none() => {
            let separator = text(what, "sep", &separator)?;
            if separator.is_empty() {
                return Err(wrong(what, "empty separator"));
            }
            let limit = most.saturating_add(1);
            if from_right {
                reversed(all.rsplitn(limit, separator))
            } else {
                all.splitn(limit, separator).collect()
            }
        }
        _ if from_right => words_from_right(all, most),
        _ => words(all, most),
    };
    Ok(parts.into_iter().map(Value::from).collect())
}

fn reversed<'a>(parts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut parts: Vec<&str> = parts.collect();
    parts.reverse();
    parts
}

/// Words between white space; after `most` of them the rest as it is.
fn words(all: &str, most: usize) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = all.trim_start_matches(is_space);
    while !rest.is_empty() {
        let end = if words.len() == most { rest.len() } else { rest.find(is_space).unwrap_or(rest.len()) };
        words.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(is_space);
    }
    words
}

fn words_from_right(all: &str, most: usize) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = all.trim_end_matches(is_space);
    while !rest.is_empty() {
        let space = if words.len() == most { None } else { rest.rfind(is_space) };
        let start = space.map_or(0, |at| at + rest[at..].chars().next().map_or(1, char::len_utf8));
        words.push(&rest[start..]);
        rest = rest[..start].trim_end_matches(is_space);
    }
    reversed(words.into_iter())
}

/// `partition`, `rpartition`.
pub(super) fn partition(what: &str, all: &str, args: &[Value]) -> Result<Value, Error> {
    let [separator] = bind(what, ["sep"], args)?;
    let separator = text(what, "sep", &separator)?;
    if separator.is_empty() {
        return Err(wrong(what, "empty separator"));
    }
    let right = what == "rpartition";
    let parts = match if right { all.rsplit_once(separator) } else { all.split_once(separator) } {
        Some((before, after)) => [before, separator, after],
        None if right => ["", "", all],
        None => [all, "", ""],
    };
    Ok(Value::from(Tuple::from(parts.map(Value::from))))
}
