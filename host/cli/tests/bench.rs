//! `host bench`: reports that are complete and agree with themselves. How fast anything is, no test says.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn bench(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("CHORD_") || n == "RUST_LOG") {
        command.env_remove(name);
    }
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
    command.env("XDG_CACHE_HOME", cache).arg("bench").args(args).output().expect("the binary starts")
}

fn text(args: &[&str]) -> String {
    let output = bench(args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("stdout is UTF-8")
}

fn report(args: &[&str]) -> Value {
    serde_json::from_str(&text(&[args, &["-t", "2", "--output", "json"]].concat())).expect("JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("a number, found {value}"))
}

fn tests(report: &Value) -> &[Value] {
    report["tests"].as_array().expect("tests")
}

#[test]
fn speeds_are_reported() {
    let report = report(&["-p", "32", "-n", "8", "-r", "2"]);
    for key in ["prefill_tok_s", "decode_tok_s", "decode_gb_s"] {
        assert!(number(&report[key]) > 0.0, "{key}: {report}");
    }
    assert_eq!(report["decode_samples"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["logits_hash"].as_str().map(str::len), Some(16));
    assert!(report["ceilings"].is_null() && report["tests"][0]["ops"].is_null(), "not asked for: {report}");
}

#[cfg(target_os = "linux")]
#[test]
fn little_memory_is_needed_besides_the_model_and_its_cache() {
    let report = report(&["-p", "512", "-n", "8", "-r", "1"]);
    let [private, kv] = ["host_memory_private", "kv_bytes"].map(|key| number(&report[key]));
    assert!(kv > 0.0 && private > 0.0 && private - kv < f64::from(64 << 20), "{report}");
}

#[test]
fn the_ops_of_a_step_add_up_to_at_most_the_step() {
    let report = report(&["-p", "32", "-n", "8", "-r", "2", "--ops"]);
    assert_eq!(tests(&report).len(), 2);
    for test in tests(&report) {
        let ops = &test["ops"];
        assert_eq!(number(&ops["steps"]), if test["test"] == "prefill" { 1.0 } else { 8.0 });
        let rows = ops["ops"].as_array().expect("ops");
        let names: Vec<&str> = rows.iter().map(|op| op["op"].as_str().expect("a name")).collect();
        for name in ["embed", "qkv", "attention", "attn_output", "gate+up", "down", "output"] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
        assert!(rows.iter().all(|op| number(&op["ms"]) > 0.0), "{ops}");
        let sum: f64 = rows.iter().map(|op| number(&op["ms"])).sum();
        let [all, device, step] = ["sum_ms", "device_ms", "step_ms"].map(|key| number(&ops[key]));
        assert!((sum - all).abs() < 1e-9 * all, "{ops}");
        assert!(all <= device * (1.0 + 1e-9) && device <= step * (1.0 + 1e-9), "{ops}");
        let down = rows.iter().find(|op| op["op"] == "down").expect("down");
        assert!(number(&down["gb_s"]) > 0.0 && number(&down["gop_s"]) > 0.0, "{down}");
    }
}

#[test]
fn ceilings_are_numbers_and_so_are_shares_of_them() {
    let report = report(&["-p", "32", "-n", "8", "-r", "1", "--ceilings"]);
    let ceilings = &report["ceilings"];
    assert_eq!(ceilings["threads"], 2);
    for kind in ["gb_s", "gop_s"] {
        for (name, rates) in ceilings[kind].as_object().expect("rates") {
            let rates = [number(&rates["one"]), number(&rates["all"])];
            assert!(rates.iter().all(|&r| r > 0.0 && r.is_finite()), "{name}: {ceilings}");
        }
    }
    assert!(!ceilings["gb_s"]["file_mapping"].is_null(), "{ceilings}");
    for test in tests(&report) {
        let shares = test["shares"].as_object().expect("shares");
        for name in
            ["gb_s", "gop_s"].iter().flat_map(|kind| ceilings[kind].as_object().expect("rates").keys())
        {
            assert!(shares.contains_key(name), "{name}: {test}");
        }
        assert!(shares.values().all(|share| number(share) > 0.0), "{test}");
    }
}

#[test]
fn depths_and_numbers_of_sequences_are_measured_one_after_the_other() {
    let report =
        report(&["-p", "16", "-n", "4", "-r", "1", "-d", "0,70", "--parallel", "1", "--parallel", "3"]);
    let found: Vec<(&str, u64, u64)> = tests(&report)
        .iter()
        .map(|t| (t["test"].as_str().unwrap(), t["depth"].as_u64().unwrap(), t["parallel"].as_u64().unwrap()))
        .collect();
    let at = |depth| [("prefill", depth, 1), ("decode", depth, 1), ("decode", depth, 3)];
    assert_eq!(found, [at(0), at(70)].concat());
    assert!(tests(&report).iter().all(|t| number(&t["tok_s"]) > 0.0), "{report}");
}

#[test]
fn the_text_has_what_was_asked_for() {
    let text = text(&["-p", "16", "-n", "4", "-r", "1", "-d", "8", "--parallel", "2", "--ops"]);
    for part in
        ["prefill     16 tokens at 8 ", "decode       4 tokens at 8 x 2 ", "ms a step in ops", "gate+up"]
    {
        assert!(text.contains(part), "`{part}` in: {text}");
    }
}

#[test]
fn options_out_of_range_are_wrong_command_lines() {
    for args in [&["--parallel", "0"][..], &["-d", "x"], &["--n-depth", "-1"], &["--parallel", "1,,2"]] {
        assert_eq!(bench(args).status.code(), Some(2), "{args:?}");
    }
}
