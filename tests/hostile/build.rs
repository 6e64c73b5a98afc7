//! The component's table of functions may grow: it tries to grow it without end.

fn main() {
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=--growable-table");
    }
}
