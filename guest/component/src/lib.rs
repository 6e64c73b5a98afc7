//! `engine.wasm`: the contract's `inference` interface on [`chord_engine`], its `weights` and `compute` imports as the
//! engine's [`chord_engine::Host`]. Glue only. Empty unless compiled to wasm.
#![cfg(target_family = "wasm")]

mod convert;
mod exports;
mod imports;

/// The component.
pub struct Component;

chord_wit::generated::export!(Component with_types_in chord_wit::generated);
