//! Jinja2's filters and tests that `minijinja` lacks, or has otherwise.
//!
//! | file | what is there |
//! |---|---|
//! | `mod.rs` | the tables, and filters that differ in how their arguments are given |
//! | `text.rs` | `center`, `replace`, `indent`, `truncate`, `wordcount`, `filesizeformat` |
//! | `html.rs` | `escape`, `striptags`, `urlencode`, `xmlattr` |
//! | `number.rs` | `int`, `float` |

mod html;
mod number;
mod text;

use crate::arguments::bind_given;
use crate::globals::Cycler;
use crate::{json, printf, rewrite};
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, State, filters};

pub(crate) fn add(environment: &mut Environment) {
    environment.add_filter("tojson", json::filter);
    environment.add_filter(rewrite::PERCENT, printf::operator);
    environment.add_filter("format", printf::filter);
    environment.add_filter("center", text::center);
    environment.add_filter("replace", text::replace);
    environment.add_filter("indent", text::indent);
    environment.add_filter("truncate", text::truncate);
    environment.add_filter("wordcount", text::word_count);
    environment.add_filter("filesizeformat", text::file_size);
    for name in ["e", "escape"] {
        environment.add_filter(name, html::escape);
    }
    environment.add_filter("forceescape", html::force_escape);
    environment.add_filter("striptags", html::strip_tags);
    environment.add_filter("urlencode", html::url_encode);
    environment.add_filter("xmlattr", html::attributes);
    environment.add_filter("int", number::int);
    environment.add_filter("float", number::float);
    // Layout of long values is Python's own.
    environment.remove_filter("pprint");
    add_named(environment);
    add_tests(environment);
}

/// Filters of `minijinja` whose arguments Jinja2 takes by position and by name.
fn add_named(environment: &mut Environment) {
    positional(environment, "batch", ["linecount", "fill_with"], Value::from_function(filters::batch));
    positional(environment, "slice", ["slices", "fill_with"], Value::from_function(filters::slice));
    positional(environment, "default", ["default_value", "boolean"], Value::from_function(filters::default));
    positional(environment, "d", ["default_value", "boolean"], Value::from_function(filters::default));
    positional(environment, "trim", ["chars"], Value::from_function(filters::trim));
    named(
        environment,
        "dictsort",
        ["case_sensitive", "by", "reverse"],
        Value::from_function(filters::dictsort),
    );
    named(environment, "max", ["case_sensitive", "attribute"], Value::from_function(filters::max));
    named(environment, "min", ["case_sensitive", "attribute"], Value::from_function(filters::min));
    named(
        environment,
        "sort",
        ["reverse", "case_sensitive", "attribute"],
        Value::from_function(filters::sort),
    );
    named(environment, "unique", ["case_sensitive", "attribute"], Value::from_function(filters::unique));
}

/// `names` in order are the positions of `filter`.
fn positional<const N: usize>(
    environment: &mut Environment,
    name: &'static str,
    names: [&'static str; N],
    filter: Value,
) {
    environment.add_filter(name, move |state: &mut State, value: Value, args: Rest<Value>, given: Kwargs| {
        let bound = bind_given(name, names, &args, &given)?;
        let count = bound.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let filled = bound.into_iter().take(count).map(Option::unwrap_or_default);
        filter.call(state, &std::iter::once(value).chain(filled).collect::<Vec<_>>())
    });
}

/// `filter` takes everything by name.
fn named<const N: usize>(
    environment: &mut Environment,
    name: &'static str,
    names: [&'static str; N],
    filter: Value,
) {
    environment.add_filter(name, move |state: &mut State, value: Value, args: Rest<Value>, given: Kwargs| {
        let bound = names.into_iter().zip(bind_given(name, names, &args, &given)?);
        let given: Kwargs = bound.filter_map(|(name, value)| Some((name, value?))).collect();
        filter.call(state, &[value, given.into()])
    });
}

fn add_tests(environment: &mut Environment) {
    environment.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
    environment.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Map)
    });
    environment.add_test("callable", |value: &Value| {
        value.kind() == ValueKind::Plain && value.downcast_object_ref::<Cycler>().is_none()
    });
}
