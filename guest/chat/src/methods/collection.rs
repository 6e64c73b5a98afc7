//! Methods of lists, tuples and dicts. What would change its object is refused, as in Jinja2's immutable sandbox.

use crate::arguments::{bind, integer, wrong};
use minijinja::Error;
use minijinja::value::{Kwargs, Value};
use std::collections::BTreeMap;

const LIST_CHANGES: [&str; 8] = ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"];
const DICT_CHANGES: [&str; 5] = ["clear", "pop", "popitem", "setdefault", "update"];

fn changes(what: &str, method: &str) -> Error {
    wrong(method, &format!("a template cannot change a {what}"))
}

pub(crate) fn list(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    match method {
        "copy" if !value.is_tuple() => {
            let [] = bind(method, [], args)?;
            Ok(Some(value.try_iter()?.collect()))
        }
        "index" => index(value, args).map(Some),
        _ if LIST_CHANGES.contains(&method) && !value.is_tuple() => Err(changes("list", method)),
        _ => Ok(None),
    }
}

fn index(value: &Value, args: &[Value]) -> Result<Value, Error> {
    let [wanted, start, stop] = bind("index", ["value", "start", "stop"], args)?;
    let wanted = wanted.unwrap_or_default();
    let items: Vec<Value> = value.try_iter()?.collect();
    let n = items.len() as i64;
    let place = |at: i64| if at < 0 { (at + n).max(0) } else { at.min(n) } as usize;
    let start = place(integer("index", "start", &start, 0)?);
    let stop = place(integer("index", "stop", &stop, n)?);
    let found = (start..stop).find(|&i| items[i] == wanted);
    found.map(Value::from).ok_or_else(|| wrong("index", &format!("{wanted} is not in the list")))
}

pub(crate) fn dict(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    match method {
        "copy" => {
            let [] = bind(method, [], args)?;
            Ok(Some(value.clone()))
        }
        "fromkeys" => {
            let [keys, value] = bind(method, ["iterable", "value"], args)?;
            let value = value.unwrap_or_else(|| Value::from(()));
            from_keys(&keys.unwrap_or_default(), &value).map(Some)
        }
        _ if DICT_CHANGES.contains(&method) => Err(changes("dict", method)),
        _ => Ok(None),
    }
}

fn from_keys(keys: &Value, value: &Value) -> Result<Value, Error> {
    let mut pairs = Vec::new();
    for key in keys.try_iter()? {
        let name = key.as_str().ok_or_else(|| wrong("fromkeys", "expected keys that are strings"))?;
        pairs.push((name.to_string(), value.clone()));
    }
    Ok(in_order(pairs))
}

/// A dict with these pairs, in their order.
fn in_order(pairs: Vec<(String, Value)>) -> Value {
    let order: Vec<String> = pairs.iter().map(|(name, _)| name.clone()).collect();
    let values: BTreeMap<String, Value> = pairs.into_iter().collect();
    let kwargs: Kwargs = order.into_iter().map(|name| (name.clone(), values[&name].clone())).collect();
    let merged = minijinja::functions::dict(None, kwargs);
    merged.unwrap_or_default()
}
