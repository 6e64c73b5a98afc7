//! Numbers of the command line that mean something else than a number, as in llama.cpp.

mod common;

use chord_gguf::{Gguf, Value, Writer};
use common::{assert_fails, model, run, stderr, stdout};
use serde_json::Value as Json;

/// What `host run --json` says.
fn events(args: &[&str]) -> Vec<Json> {
    let output = run(&[&["run", "--json"], args].concat());
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    stdout(&output).lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn of_kind<'a>(events: &'a [Json], kind: &str) -> &'a Json {
    events.iter().find(|e| e["event"] == kind).unwrap_or_else(|| panic!("{kind} in {events:?}"))
}

#[test]
fn a_text_goes_on_until_it_ends_or_the_context_is_full() {
    let question = "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n";
    for n in ["-1", "-2"] {
        let ended = events(&["-n", n, "--temp", "0", question]);
        assert_eq!(of_kind(&ended, "finish")["reason"], "end");
        let full = events(&["-n", n, "--temp", "0", "--ignore-eos", "-c", "64", "Once"]);
        assert_eq!(of_kind(&full, "finish")["reason"], "context-full");
    }
    let none = events(&["-n", "0", "Once"]);
    assert_eq!(of_kind(&none, "summary")["completion_tokens"], 0);
}

#[test]
fn a_random_seed_is_a_new_one_each_time() {
    let seed =
        |args: &[&str]| of_kind(&events(&[args, &["-n", "1", "Once"]].concat()), "summary")["seed"].clone();
    assert_ne!(seed(&["--seed", "-1"]), seed(&["--seed", "-1"]));
    assert_ne!(seed(&["-s", "-1"]), seed(&[]));
    assert_eq!(seed(&["-s", "18446744073709551615"]), u64::MAX);
}

#[test]
fn all_that_there_is() {
    let text = |args: &[&str]| {
        let fixed = ["run", "-n", "48", "--seed", "3", "--quiet"];
        let output = run(&[&fixed[..], args, &["Once upon a time"]].concat());
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        stdout(&output)
    };
    // Penalties on the whole text are others than on its last token.
    let penalised = |n| text(&["--temp", "0", "--repeat-penalty", "1.5", "--repeat-last-n", n]);
    assert_eq!(penalised("-1"), penalised("100000"));
    assert_ne!(penalised("-1"), penalised("1"));
    let dry = |n| {
        text(&[
            "--temp",
            "0",
            "--dry-multiplier",
            "5",
            "--dry-allowed-length",
            "1",
            "--dry-penalty-last-n",
            n,
        ])
    };
    assert_eq!(dry("-1"), dry("100000"));
    assert_eq!(text(&["--top-k", "-1"]), text(&["--top-k", "0"]));
    assert_eq!(text(&["--temperature", "-1"]), text(&["--temp", "0"]));
    assert_eq!(text(&["-t", "-1"]), text(&["-t", "1"]));
    assert_eq!(text(&["-t", "0"]), text(&["-t", "1"]));
}

/// A model that was trained for 8192 tokens: by default 4096 of them are used.
#[test]
fn a_context_of_0_is_the_models_own() {
    let file = std::fs::read(model("tiny-llama-f32.gguf")).unwrap();
    let gguf = Gguf::parse(&file, "tiny").unwrap();
    let mut writer = Writer::new().metadata("llama.context_length", Value::U32(8192));
    for (key, value) in gguf.metadata.iter().filter(|(key, _)| *key != "llama.context_length") {
        writer = writer.metadata(key, value.clone());
    }
    for t in &gguf.tensors {
        writer =
            writer.tensor(&t.name, t.dtype, &t.dims, &file[t.offset as usize..(t.offset + t.bytes) as usize]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.gguf").display().to_string();
    std::fs::write(&path, writer.finish()).unwrap();
    let long = "a b c d ".repeat(4000);
    for (args, context) in [(&[][..], "4096"), (&["-c", "0"], "8192"), (&["--ctx-size", "100"], "100")] {
        let words = [&["run", "-m", &path, "-n", "1"], args, &[&long]].concat();
        assert_fails(&run(&words), 1, &[&format!("in the context of {context};")]);
    }
    // One chunk of `perplexity` is the context then.
    let text = folder.path().join("long.txt").display().to_string();
    std::fs::write(&text, "a b").unwrap();
    assert_fails(
        &run(&["perplexity", "-m", &path, "-c", "0", "-f", &text]),
        2,
        &["expected at least 8192 tokens"],
    );
}

#[test]
fn numbers_out_of_range_are_wrong_command_lines() {
    for args in [
        &["run", "-n", "-3", "Hi"][..],
        &["run", "--repeat-last-n", "-2", "Hi"],
        &["run", "--dry-penalty-last-n", "-2", "Hi"],
        &["run", "--seed", "-2", "Hi"],
        &["run", "--seed", "18446744073709551616", "Hi"],
        &["run", "-c", "-1", "Hi"],
        &["run", "-t", "-2", "Hi"],
        &["run", "-t", "1025", "Hi"],
        &["chat", "-n", "-3"],
        &["bench", "-n", "-1"],
        &["bench", "-t", "-2"],
        &["perplexity", "-c", "3", "-f", "x"],
        &["perplexity", "-c", "-1", "-f", "x"],
        &["tokenize", "-t", "-2"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("invalid value"), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn samplers_name_numbers_below_0() {
    for option in ["--dynatemp-range", "--typical", "--xtc-probability", "--dry-base", "--mirostat-lr"] {
        let output = run(&["run", "-n", "1", "--mirostat", "2", "--dry-multiplier", "1", option, "-1", "Hi"]);
        assert_fails(&output, 1, &["expected", "found -1"]);
    }
}
