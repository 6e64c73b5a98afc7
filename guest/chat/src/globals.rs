//! `cycler`, `joiner` and `namespace`.

use crate::arguments::{bind, bind_given, wrong};
use minijinja::value::{Kwargs, Object, ObjectRepr, Rest, Value};
use minijinja::{Environment, Error, State, functions};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(crate) fn add(environment: &mut Environment) {
    environment.add_function("cycler", cycler);
    environment.add_function("joiner", joiner);
    environment.add_function("namespace", namespace);
}

/// A dict, names, or both.
fn namespace(state: &mut State, dict: Option<Value>, named: Kwargs) -> Result<Value, Error> {
    let all = functions::dict(dict, named)?;
    Value::from_function(functions::namespace).call(state, &[all])
}

/// Hands out values in turns.
#[derive(Debug)]
pub(crate) struct Cycler {
    items: Vec<Value>,
    at: AtomicUsize,
}

fn cycler(items: Rest<Value>) -> Result<Value, Error> {
    if items.is_empty() {
        return Err(wrong("cycler", "at least one item has to be provided"));
    }
    Ok(Value::from_object(Cycler { items: items.0, at: AtomicUsize::new(0) }))
}

impl Object for Cycler {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str()? == "current").then(|| self.items[self.at.load(Ordering::Relaxed)].clone())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        name: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let [] = bind(name, [], args)?;
        let at = self.at.load(Ordering::Relaxed);
        match name {
            "next" => {
                self.at.store((at + 1) % self.items.len(), Ordering::Relaxed);
                Ok(self.items[at].clone())
            }
            "reset" => {
                self.at.store(0, Ordering::Relaxed);
                Ok(().into())
            }
            _ => Err(minijinja::ErrorKind::UnknownMethod.into()),
        }
    }
}

/// Nothing at first, then a separator.
#[derive(Debug)]
struct Joiner {
    separator: Value,
    used: AtomicBool,
}

fn joiner(args: Rest<Value>, given: Kwargs) -> Result<Value, Error> {
    let [separator] = bind_given("joiner", ["sep"], &args, &given)?;
    let separator = separator.unwrap_or_else(|| ", ".into());
    Ok(Value::from_object(Joiner { separator, used: AtomicBool::new(false) }))
}

impl Object for Joiner {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let [] = bind("joiner", [], args)?;
        Ok(if self.used.swap(true, Ordering::Relaxed) { self.separator.clone() } else { "".into() })
    }
}
