//! The model to use: a file, or the one that is part of this program.

use crate::term;
use chord_runtime::{Instance, LoadOptions, Model, Weights};
use std::path::{Path, PathBuf};

/// Bytes at an address that kernels can load from directly.
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

static DEFAULT: &Aligned<[u8]> =
    &Aligned(*include_bytes!("../../../examples/models/chord-stories-5M-q8_0.gguf"));

/// Name under which the built-in model is shown.
pub(crate) const DEFAULT_NAME: &str = "chord-stories-5M-q8_0.gguf";

/// What the built-in model is, for who talks with it.
pub(crate) const DEFAULT_IS: &str = "This is the built-in model: 5 million parameters that know a few kinds of short stories \
    and little else. It is there to try this program; -m MODEL.GGUF takes a real model.";

/// Opens `path`, or the built-in model.
pub(crate) fn open(path: Option<&Path>) -> Result<Weights, chord_runtime::Error> {
    match path {
        Some(path) => Weights::open(path),
        None => Ok(Weights::embedded(DEFAULT_NAME, &DEFAULT.0)),
    }
}

/// Loads the model. What it has to say about its file goes to stderr.
pub(crate) fn load(instance: &mut Instance, options: &LoadOptions) -> Result<Model, chord_runtime::Error> {
    let model = instance.load(options)?;
    for warning in instance.info(&model)?.warnings {
        term::tell!("warning: {}", term::line(&warning));
    }
    Ok(model)
}

/// How messages and tables call the model.
pub(crate) fn display_name(path: Option<&PathBuf>) -> String {
    path.map_or_else(|| format!("built-in {DEFAULT_NAME}"), |p| p.display().to_string())
}
