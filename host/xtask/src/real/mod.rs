//! Real models against llama.cpp: perplexity, token ids and greedy text next to the values in `tests/golden/real.json`.

mod fetch;

use crate::cargo::{cargo, command, root};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::io::Write;
use std::process::Stdio;

/// Where llama.cpp's values are, from the root.
const GOLDEN: &str = "tests/golden/real.json";

/// What was found of one kind, and whether it is near enough.
struct Finding {
    line: String,
    good: bool,
}

/// Checks each model that can be had. Fails where a value is farther from llama.cpp's than the golden file allows.
pub(crate) fn real(_: &[String]) -> Result<()> {
    let golden = golden()?;
    let models = list(&golden, "models")?;
    let folder = fetch::cache_folder()?;
    let mut files = Vec::new();
    for model in models {
        match fetch::model(model, &folder)? {
            Ok(file) => files.push((model, file.display().to_string())),
            Err(why) => println!("skipped: {} ({why})", text(model, "file")?),
        }
    }
    if files.is_empty() {
        return Ok(());
    }
    cargo(&["build", "--release", "--package", "chord-cli"])?;
    let mut bad = 0;
    for (model, file) in files {
        println!("\n{}", text(model, "file")?);
        bad += compare(&golden, model, &file)?;
    }
    ensure!(bad == 0, "{bad} values differ from llama.cpp's by more than {GOLDEN} allows");
    Ok(())
}

/// Prints what is found of one model, as it is and with its weights in f16, and returns how much of it is bad. In f16
/// nothing is quantised on the way, so that engines which compute the same get the same.
fn compare(golden: &Value, model: &Value, file: &str) -> Result<usize> {
    let wide = format!("{file}-f16");
    host(&["quantize", "--allow-requantize", "--pure", "--force", file, &wide, "F16"], "")?;
    let found = [
        ids(golden, model, file)?,
        perplexity(golden, &model["as_it_is"], file)?,
        greedy(golden, &model["as_it_is"], file)?,
        perplexity(golden, &model["f16"], &wide)?.titled("in f16: "),
        greedy(golden, &model["f16"], &wide)?.titled("in f16: "),
    ];
    for Finding { line, good } in &found {
        println!("  {} {line}", if *good { "ok     " } else { "DIFFERS" });
    }
    std::fs::remove_file(&wide)?;
    Ok(found.iter().filter(|finding| !finding.good).count())
}

impl Finding {
    fn titled(self, title: &str) -> Finding {
        Finding { line: format!("{title}{}", self.line), ..self }
    }
}

fn golden() -> Result<Value> {
    let bytes = std::fs::read(root().join(GOLDEN)).with_context(|| format!("cannot read {GOLDEN}"))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{GOLDEN} is no JSON"))
}

/// `host perplexity` over the same text, relative to llama.cpp's.
fn perplexity(golden: &Value, model: &Value, file: &str) -> Result<Finding> {
    let (size, corpus) = (number(golden, "n_ctx")?.to_string(), root().join(text(golden, "text")?));
    let corpus = corpus.display().to_string();
    let said = host(&["perplexity", "-m", file, "-f", &corpus, "-c", &size, "--json"], "")?;
    let found = number(&serde_json::from_str(&said)?, "perplexity")?;
    let (expected, tolerance) = (number(model, "perplexity")?, number(model, "perplexity_tolerance")?);
    let off = found / expected - 1.0;
    let line = format!(
        "perplexity {found:.4}, llama.cpp {expected:.4}: {:+.3} %, at most {} % allowed",
        100.0 * off,
        100.0 * tolerance
    );
    Ok(Finding { line, good: off.abs() <= tolerance })
}

/// Token ids of some texts, which are to be equal.
fn ids(golden: &Value, model: &Value, file: &str) -> Result<Finding> {
    let (texts, expected) = (list(golden, "texts")?, list(model, "ids")?);
    ensure!(texts.len() == expected.len(), "{GOLDEN}: {} texts and ids of {}", texts.len(), expected.len());
    let mut lines = Vec::new();
    for (text, expected) in texts.iter().zip(expected) {
        let text = text.as_str().context("texts are strings")?;
        let found = host(&["tokenize", "-m", file, "--add-special", "--parse-special"], text)?;
        let found: Vec<Value> = found.split_whitespace().map(|id| id.parse()).collect::<Result<_, _>>()?;
        if Some(&found) != expected.as_array() {
            lines.push(format!(
                "\n    {text:?}\n      found {}\n      llama.cpp {expected}",
                Value::from(found)
            ));
        }
    }
    let equal = texts.len() - lines.len();
    let line = format!("ids of {equal} of {} texts are equal{}", texts.len(), lines.concat());
    Ok(Finding { line, good: lines.is_empty() })
}

/// The most likely token, again and again. Activations are quantised otherwise than in llama.cpp: where its two best
/// logits are near each other, texts part.
fn greedy(golden: &Value, model: &Value, file: &str) -> Result<Finding> {
    let (prompt, n) = (text(golden, "prompt")?, number(golden, "n_predict")?.to_string());
    let said = host(&["run", "-m", file, "-n", &n, "--temp", "0", "--json", prompt], "")?;
    let events = said.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let tokens = events.iter().filter(|e| e["event"] == "token").filter_map(|e| e["text"].as_str());
    let tokens: Vec<&str> = tokens.collect();
    let (expected, least) = (text(model, "greedy")?, number(model, "greedy_agree")?);
    let equal = agreeing(&tokens, expected);
    let line = format!(
        "greedy: {equal} of {n} tokens are llama.cpp's, at least {least} expected\n    found     {:?}\n    llama.cpp {expected:?}",
        tokens.concat()
    );
    Ok(Finding { line, good: equal as f64 >= least })
}

/// Tokens before the first that is not in `expected` at its place.
fn agreeing(tokens: &[&str], expected: &str) -> usize {
    let mut rest = expected;
    let equal = tokens.iter().take_while(|token| match rest.strip_prefix(**token) {
        Some(after) => {
            rest = after;
            true
        }
        None => false,
    });
    equal.count()
}

/// What `host` prints, with `input` on stdin and no settings from the environment.
fn host(args: &[&str], input: &str) -> Result<String> {
    let mut command = command("cargo", &["run", "--quiet", "--release", "--package", "chord-cli", "--"]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CHORD_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start `cargo run`")?;
    // A command that fails does not read its input; what it says on stderr is on ours.
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("`host {}` failed ({})", args.join(" "), output.status);
    }
    written.transpose()?;
    Ok(String::from_utf8(output.stdout)?)
}

fn missing(key: &str, kind: &str) -> String {
    format!("expected {kind} at `{key}`")
}

fn text<'a>(of: &'a Value, key: &str) -> Result<&'a str> {
    of[key].as_str().with_context(|| missing(key, "a text"))
}

fn number(of: &Value, key: &str) -> Result<f64> {
    of[key].as_f64().with_context(|| missing(key, "a number"))
}

fn list<'a>(of: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    of[key].as_array().with_context(|| missing(key, "a list"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_agree_until_they_do_not() {
        assert_eq!(agreeing(&[" a", "", " b", " c"], " a b d"), 3);
        assert_eq!(agreeing(&[" a"], ""), 0);
        assert_eq!(agreeing(&[" a", " a"], " a a a"), 2);
    }

    #[test]
    fn the_golden_file_has_what_is_read() {
        let golden = golden().unwrap();
        assert!(root().join(text(&golden, "text").unwrap()).exists());
        let texts = list(&golden, "texts").unwrap().len();
        for model in list(&golden, "models").unwrap() {
            assert_eq!(list(model, "ids").unwrap().len(), texts);
            for (values, tolerance) in [("as_it_is", 0.01), ("f16", 0.0005)] {
                let values = &model[values];
                assert_eq!(number(values, "perplexity_tolerance").unwrap(), tolerance);
                assert!(number(values, "greedy_agree").unwrap() > 0.0);
                assert!(number(values, "perplexity").unwrap() > 1.0);
                assert!(!text(values, "greedy").unwrap().is_empty());
            }
            assert_eq!(text(model, "sha256").unwrap().len(), 64);
        }
    }
}
