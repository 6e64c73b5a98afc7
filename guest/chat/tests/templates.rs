//! Templates of real models against what Jinja2 makes of them (`tests/golden/render_templates.py`).

use chord_chat::{Clock, Error, Message, Template, Variables};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn messages(conversation: &Value) -> Vec<Message> {
    let turns = conversation.as_array().expect("turns").iter();
    turns.map(|t| Message { role: text(&t["role"]).into(), content: text(&t["content"]).into() }).collect()
}

#[test]
fn templates_of_real_models() {
    let golden = std::fs::read_to_string(root().join("tests/golden/templates.json")).unwrap();
    let golden: Value = serde_json::from_str(&golden).unwrap();
    let mut wrong = Vec::new();
    let mut texts = 0;
    for (name, cases) in golden["templates"].as_object().unwrap() {
        let source = std::fs::read_to_string(root().join("tests/data/templates").join(name)).unwrap();
        let template = Template::parse(&source).unwrap_or_else(|e| panic!("{name}: {e}"));
        for case in cases.as_array().unwrap() {
            let conversation = text(&case["conversation"]);
            let variables = Variables {
                add_generation_prompt: case["add_generation_prompt"].as_bool().unwrap(),
                bos_token: text(&golden["bos_token"]).into(),
                eos_token: text(&golden["eos_token"]).into(),
                clock: Clock { now: golden["now"].as_i64().unwrap(), utc_offset: 0 },
                extra: BTreeMap::new(),
            };
            let found = template.render(&messages(&golden["conversations"][conversation]), &variables);
            let equal = match &found {
                Ok(found) => case["text"] == found.as_str(),
                Err(Error::Refused(found)) => case["refused"] == found.as_str(),
                Err(_) => case["failed"].is_string(),
            };
            texts += usize::from(equal && found.is_ok());
            if !equal {
                wrong.push(format!("{name}, {conversation}:\n expected {case}\n found {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(texts > 500, "{texts}");
}

fn variables() -> Variables {
    Variables {
        add_generation_prompt: true,
        bos_token: String::new(),
        eos_token: String::new(),
        clock: Clock { now: 1_700_000_000, utc_offset: 0 },
        extra: BTreeMap::new(),
    }
}

fn render(source: &str) -> Result<String, Error> {
    let user = Message { role: "user".into(), content: "Hi".into() };
    Template::parse(source)?.render(&[user], &variables())
}

#[test]
fn values_are_written_as_python_writes_json() {
    let source = r#"{{ {"b": [1, 2.5, true, none], "a": "ä\"\n<&>"} | tojson }}"#;
    assert_eq!(render(source).unwrap(), r#"{"b": [1, 2.5, true, null], "a": "ä\"\n<&>"}"#);
    let indented = render(r#"{{ {"b": [1], "a": {}} | tojson(indent=2) }}"#).unwrap();
    assert_eq!(indented, "{\n  \"b\": [\n    1\n  ],\n  \"a\": {}\n}");
    let sorted = r#"{{ {"b": 1, "a": 2} | tojson(sort_keys=true, separators=[",", ":"]) }}"#;
    assert_eq!(render(sorted).unwrap(), r#"{"a":2,"b":1}"#);
}

#[test]
fn dates_are_the_callers() {
    assert_eq!(render("{{ strftime_now('%d %b %Y') }}").unwrap(), "14 Nov 2023");
    assert!(matches!(render("{{ strftime_now('%!') }}"), Err(Error::Failed(e)) if e.contains("%!")));
    let at = |utc_offset| {
        let clock = Clock { now: 1_700_000_000, utc_offset };
        let template = Template::parse("{{ strftime_now('%d %H:%M') }}").unwrap();
        template.render(&[], &Variables { clock, ..variables() })
    };
    assert_eq!(at(19_800).unwrap(), "15 03:43", "India is ahead");
    assert_eq!(at(-28_800).unwrap(), "14 14:13", "California is behind");
    assert!(matches!(at(90_000), Err(Error::Failed(e)) if e.contains("90000")));
}

#[test]
fn variables_reach_the_template() {
    let mut with = variables();
    with.extra.insert("enable_thinking".into(), false.into());
    let template =
        Template::parse("{% if enable_thinking is defined and not enable_thinking %}quick{% endif %}")
            .unwrap();
    assert_eq!(template.render(&[], &with).unwrap(), "quick");
    assert_eq!(template.render(&[], &variables()).unwrap(), "");
}

#[test]
fn what_is_not_jinja_is_an_error() {
    for source in ["{% if %}", "{% for x in y %}", "{{ 'a' ", "{% nosuchtag %}", "{{ x | nosuchfilter }}"] {
        assert!(
            matches!(
                Template::parse(source).and_then(|_| render(source)),
                Err(Error::Syntax(_) | Error::Failed(_))
            ),
            "{source}"
        );
    }
    assert_eq!(
        render("{{ raise_exception('no system turn') }}"),
        Err(Error::Refused("no system turn".into()))
    );
}

#[test]
fn hostile_templates_end() {
    let forever = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    assert!(matches!(render(forever), Err(Error::Failed(e)) if e.contains("instructions")));
    let nested = format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(matches!(render(&nested), Err(Error::Syntax(_))));
    let endless = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
    assert!(matches!(render(endless), Err(Error::Failed(_))));
    let wide = "{{ '%65536d' % 1 }}{{ '{}'.format('x' * 10).center(65536) }}".repeat(10_000);
    assert!(matches!(render(&wide), Err(Error::Failed(e)) if e.contains("instructions")));
    assert!(matches!(render("{{ '%99999999d' % 1 }}"), Err(Error::Failed(e)) if e.contains("at most 65536")));
    let chains = [
        (" % 5", 2),
        (" + 5", 2),
        (" ~ 5", 2),
        ("|int", 2),
        (".a", 2),
        ("[0]", 3),
        (" and 5", 2),
        (" if 5 else 5", 4),
    ];
    for (more, tokens) in chains {
        let chain = |n| render(&format!("{{{{ x{} }}}}", more.repeat(n)));
        assert!(matches!(chain(100_000), Err(Error::Syntax(e)) if e.contains("at most 1000")), "{more}");
        let _ = chain(990 / tokens);
    }
    for sign in ["-", "not ", "[", "{1:", "f("] {
        let _ = render(&format!("{{{{ {}1 }}}}", sign.repeat(330)));
    }
    let brackets = format!("{{{{ {}7 % 5{} }}}}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(matches!(render(&brackets), Err(Error::Syntax(_))));
    render(&"{{ 1 }}{{ '%s' % 1 }}{% if 7 % 2 %}{% endif %}".repeat(20_000)).expect("long is not hostile");
    assert!(render(&"{{ '".repeat(100_000)).is_err());
    let includes = "{% include 'chat' %}";
    assert!(render(includes).is_err());
}
