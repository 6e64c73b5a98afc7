//! The contract of `wit/*.wit` as Rust: guest bindings when compiled to wasm, host bindings elsewhere, and the
//! conversions between contract types and [`chord_ops`] types, written once for both.

mod convert;
mod defaults;

pub use convert::Malformed;

/// Generated from `wit/*.wit`; documented there.
#[cfg(target_family = "wasm")]
#[allow(missing_docs, unsafe_code, clippy::all, reason = "generated code")]
pub mod generated {
    wit_bindgen::generate!({
        path: ".",
        world: "engine",
        pub_export_macro: true,
        additional_derives: [PartialEq, Clone],
    });
}

/// Generated from `wit/*.wit`; documented there.
#[cfg(not(target_family = "wasm"))]
#[allow(missing_docs, clippy::all, reason = "generated code")]
pub mod generated {
    wasmtime::component::bindgen!({
        path: ".",
        world: "engine",
        imports: { default: trappable },
        additional_derives: [PartialEq],
    });
}

pub use generated::exports::wasm_chord::inference::inference;
pub use generated::wasm_chord::inference::{compute, weights};
