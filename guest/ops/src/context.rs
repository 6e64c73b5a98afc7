//! What the shape rule of an op sees: the tensors and the cache of the plan, and the values defined so far.

use crate::error::NodeError;
use crate::plan::{CacheSpec, LayerKv, Rows, Shape, TensorDecl, TensorId, ValueId};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Checked access for shape rules: every lookup is an error of its own when it fails.
pub(crate) struct Context<'a> {
    pub(crate) tensors: &'a [TensorDecl],
    pub(crate) cache: &'a CacheSpec,
    /// Shapes of the values defined so far, by value id.
    pub(crate) shapes: Vec<Shape>,
    /// Which cache layers have been appended to so far.
    pub(crate) appended: Vec<bool>,
    /// Most elements of a row of a value.
    pub(crate) widest: u32,
}

impl<'a> Context<'a> {
    pub(crate) fn new(tensors: &'a [TensorDecl], cache: &'a CacheSpec) -> Context<'a> {
        let appended = alloc::vec![false; cache.layers.len()];
        Context { tensors, cache, shapes: Vec::new(), appended, widest: u32::MAX }
    }

    /// Shape of an input.
    pub(crate) fn value(&self, id: ValueId) -> Result<Shape, NodeError> {
        let undefined = NodeError::UndefinedValue { value: id.0, defined: self.shapes.len() };
        self.shapes.get(id.0 as usize).copied().ok_or(undefined)
    }

    /// Columns of an input that has one row per token of the step.
    pub(crate) fn tokens(&self, role: &'static str, id: ValueId) -> Result<u32, NodeError> {
        let Shape { rows: found, cols } = self.value(id)?;
        let expected = Rows::Tokens;
        if found == expected { Ok(cols) } else { Err(NodeError::Rows { role, expected, found }) }
    }

    /// The common shape of two inputs.
    pub(crate) fn same(&self, a: ValueId, b: ValueId) -> Result<Shape, NodeError> {
        let (a, b) = (self.value(a)?, self.value(b)?);
        if a == b { Ok(a) } else { Err(NodeError::Operands { a, b }) }
    }

    pub(crate) fn tensor(&self, id: TensorId) -> Result<&'a TensorDecl, NodeError> {
        let missing = NodeError::NoTensor { tensor: id.0, declared: self.tensors.len() };
        self.tensors.get(id.0 as usize).ok_or(missing)
    }

    /// Rows of the matrix `id`, whose columns meet an input of `n_in` columns.
    pub(crate) fn matrix(&self, id: TensorId, n_in: u32) -> Result<u32, NodeError> {
        let decl = self.tensor(id)?;
        if decl.cols != u64::from(n_in) {
            let tensor = escaped(&decl.name);
            return Err(NodeError::MatrixCols { tensor, expected: n_in, found: decl.cols });
        }
        width(decl, decl.rows)
    }

    /// Checks that `id` is a vector of `len` elements, if there is one. Devices read it as f32, whatever its type.
    pub(crate) fn vector(&self, role: &'static str, id: Option<TensorId>, len: u32) -> Result<(), NodeError> {
        let Some(id) = id else { return Ok(()) };
        let TensorDecl { name, cols, rows, .. } = self.tensor(id)?;
        if (*rows, *cols) != (1, u64::from(len)) {
            let (tensor, rows, cols) = (escaped(name), *rows, *cols);
            return Err(NodeError::VectorShape { role, tensor, expected: len, rows, cols });
        }
        Ok(())
    }

    pub(crate) fn layer(&self, layer: u32) -> Result<LayerKv, NodeError> {
        let missing = NodeError::NoLayer { layer, layers: self.cache.layers.len() };
        self.cache.layers.get(layer as usize).copied().ok_or(missing)
    }

    /// Whether an earlier op appends to `layer`.
    pub(crate) fn is_appended(&self, layer: u32) -> bool {
        self.appended.get(layer as usize).copied().unwrap_or(false)
    }
}

/// `cols` as the width of a value made from `decl`.
pub(crate) fn width(decl: &TensorDecl, cols: u64) -> Result<u32, NodeError> {
    u32::try_from(cols).map_err(|_| NodeError::TooWide { tensor: escaped(&decl.name), found: cols })
}

/// Checks a number against a predicate that `expected` says in words.
pub(crate) fn require(
    name: &'static str,
    value: impl ToString,
    holds: bool,
    expected: &'static str,
) -> Result<(), NodeError> {
    if holds { Ok(()) } else { Err(NodeError::Parameter { name, expected, found: value.to_string() }) }
}

/// Checks that a factor is an ordinary number.
pub(crate) fn finite(name: &'static str, value: f32) -> Result<(), NodeError> {
    require(name, value, value.is_finite(), "a finite number")
}

/// Checks that a factor is an ordinary number above zero.
pub(crate) fn positive(name: &'static str, value: f32) -> Result<(), NodeError> {
    require(name, value, value.is_finite() && value > 0.0, "a finite number above 0")
}

/// As much of a name as a name may have, for messages about longer ones.
pub(crate) fn beginning(name: &str) -> &str {
    &name[..name.floor_char_boundary(TensorDecl::MAX_NAME)]
}

/// A name that came from a file, fit for a terminal.
pub(crate) fn escaped(name: &str) -> String {
    name.escape_debug().to_string()
}
