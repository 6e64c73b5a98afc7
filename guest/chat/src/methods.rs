//! Python's methods of strings, lists and dicts.

use minijinja::value::Value;
use minijinja::{Error, State};

pub(crate) fn call(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
}
