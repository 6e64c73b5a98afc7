//! Every filter, test, global, loop variable, operator and method against Jinja2 and Python (`tests/golden/jinja_table.py`).

use chord_chat::{Clock, Error, Template, Variables};
use minijinja::value::Value;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::Path;

fn table() -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/jinja.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The table has them as Python writes them, which is Jinja.
fn variables(table: &Json) -> Variables {
    let environment = minijinja::Environment::new();
    let value =
        |text: &Json| environment.compile_expression(text.as_str().unwrap()).unwrap().eval(()).unwrap();
    let extra: BTreeMap<String, Value> =
        table["variables"].as_object().unwrap().iter().map(|(k, v)| (k.clone(), value(v))).collect();
    let clock = Clock { now: table["now"].as_i64().unwrap(), utc_offset: 0 };
    Variables {
        add_generation_prompt: true,
        bos_token: String::new(),
        eos_token: String::new(),
        clock,
        extra,
    }
}

fn render(source: &str, variables: &Variables) -> Result<String, Error> {
    Template::parse(source)?.render(&[], variables)
}

#[test]
fn everything_documented_does_as_jinja2_does() {
    let table = table();
    let variables = variables(&table);
    let (mut count, mut wrong) = (0, Vec::new());
    for (area, names) in table["cases"].as_object().unwrap() {
        for (name, cases) in names.as_object().unwrap() {
            for case in cases.as_array().unwrap() {
                let source = case[0].as_str().unwrap();
                let found = render(source, &variables);
                count += 1;
                if found.as_deref().ok() != case[1].as_str() {
                    wrong.push(format!(
                        "{area}.{name}: {source:?}\n  expected {}\n  found    {found:?}",
                        case[1]
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 500, "{count}");
}

/// What is left out fails and says what it is.
#[test]
fn what_is_left_out_says_so() {
    let table = table();
    let variables = variables(&table);
    for (name, case) in table["left_out"].as_object().unwrap() {
        let error = render(case[0].as_str().unwrap(), &variables).expect_err(name).to_string();
        assert!(
            error.contains("chat template") && error.contains(case[1].as_str().unwrap()),
            "{name}: {error}"
        );
    }
}

#[test]
fn what_differs_is_known() {
    let table = table();
    let variables = variables(&table);
    for (name, case) in table["different"].as_object().unwrap() {
        assert_eq!(
            render(case[0].as_str().unwrap(), &variables).as_deref(),
            Ok(case[1].as_str().unwrap()),
            "{name}"
        );
        assert_ne!(case[1], case[2], "{name}: no difference");
    }
}
