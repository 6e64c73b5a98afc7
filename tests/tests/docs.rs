//! The documents tell the truth about what is in the repository.

use chord_tests::root;

/// Words in backticks that look like paths from the root.
fn paths(text: &str) -> Vec<String> {
    let parts = text.split('`').skip(1).step_by(2);
    let tops = ["guest/", "host/", "wit/", "tests/", "examples/", ".ci/", ".config/"];
    let is_path = |p: &&str| tops.iter().any(|t| p.starts_with(t)) && !p.contains(['<', '*', ' ', '{', '…']);
    parts.filter(is_path).map(|p| p.trim_end_matches('/').to_owned()).collect()
}

#[test]
fn every_path_named_exists() {
    for document in
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "tests/bench/README.md", "tests/golden/README.md"]
    {
        let text =
            std::fs::read_to_string(root().join(document)).unwrap_or_else(|e| panic!("{document}: {e}"));
        let missing: Vec<String> = paths(&text).into_iter().filter(|p| !root().join(p).exists()).collect();
        assert!(missing.is_empty(), "{document} names {missing:?}");
    }
    let known = paths(&std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("it reads"));
    assert!(known.len() > 15, "paths are found: {known:?}");
}

#[test]
fn every_crate_is_in_the_table_of_folders() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("it reads");
    for top in ["guest", "host"] {
        for entry in std::fs::read_dir(root().join(top)).expect("a folder") {
            let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
            assert!(text.contains(&format!("| `{top}/{name}` |")), "{top}/{name} is not in ARCHITECTURE.md");
        }
    }
}
