//! Python's methods of strings, lists, tuples and dicts.
//!
//! | file | what is there |
//! |---|---|
//! | `string.rs` | methods of strings, by name |
//! | `search.rs` | finding, splitting and partitioning |
//! | `classes.rs` | classes of characters: `isdigit`, white space, ends of lines |
//! | `collection.rs` | methods of lists, tuples and dicts |

mod classes;
mod collection;
mod search;
mod string;

pub(crate) use classes::is_space;

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, State};

/// Calls a method of a value that has none of its own.
pub(crate) fn call(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let found = match value.kind() {
        ValueKind::String => string::call(state, value.as_str().unwrap_or_default(), method, args)?,
        ValueKind::Seq => collection::list(value, method, args)?,
        ValueKind::Map => collection::dict(value, method, args)?,
        _ => None,
    };
    match found {
        Some(found) => Ok(found),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}
