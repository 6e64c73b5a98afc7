//! Shape-checked access to a file's tensors: each one used becomes a declaration of the plan and a binding.

use crate::{Binding, Error};
use chord_gguf::{Gguf, TensorInfo};
use chord_ops::{Recorder, TensorDecl, TensorId};
use chord_quant::{DType, FORMATS};

/// Declares tensors in a recording and remembers where their bytes are.
pub(crate) struct Weights<'a> {
    gguf: &'a Gguf,
    /// One per declared tensor, in order.
    pub(crate) bindings: Vec<Binding>,
}

/// Rows `start..start + rows` of a matrix of `of` rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) start: u32,
    pub(crate) rows: u32,
    pub(crate) of: u32,
}

impl<'a> Weights<'a> {
    pub(crate) fn new(gguf: &'a Gguf) -> Weights<'a> {
        Weights { gguf, bindings: Vec::new() }
    }

    /// The matrix `name`, `(rows, cols)`.
    pub(crate) fn matrix(
        &mut self,
        plan: &mut Recorder,
        name: &str,
        rows: u32,
        cols: u32,
    ) -> Result<TensorId, Error> {
        self.rows(plan, name, cols, Part { start: 0, rows, of: rows })
    }

    /// Some rows of the matrix `name`, `(part.rows, cols)`.
    pub(crate) fn rows(
        &mut self,
        plan: &mut Recorder,
        name: &str,
        cols: u32,
        part: Part,
    ) -> Result<TensorId, Error> {
        let info = self.gguf.tensor(name).ok_or_else(|| Error::MissingTensor(name.into()))?;
        check_shape(info, &[cols.into(), part.of.into()])?;
        check_type(info)?;
        Ok(self.bind(plan, info, cols.into(), part))
    }

    /// The `count` matrices `name`, `(rows, cols)` each, one after the other.
    pub(crate) fn matrices(
        &mut self,
        plan: &mut Recorder,
        name: &str,
        count: u32,
        rows: u32,
        cols: u32,
    ) -> Result<TensorId, Error> {
        let info = self.gguf.tensor(name).ok_or_else(|| Error::MissingTensor(name.into()))?;
        check_shape(info, &[cols.into(), rows.into(), count.into()])?;
        check_type(info)?;
        let all = rows.checked_mul(count).ok_or_else(|| Error::Shape {
            name: name.into(),
            expected: "fewer than 2^32 rows".into(),
            found: format!("{:?}", info.dims),
        })?;
        Ok(self.bind(plan, info, cols.into(), Part { start: 0, rows: all, of: all }))
    }

    /// The f32 vector `name` of `len` elements.
    pub(crate) fn vector(&mut self, plan: &mut Recorder, name: &str, len: u32) -> Result<TensorId, Error> {
        self.vector_if_present(plan, name, len)?.ok_or_else(|| Error::MissingTensor(name.into()))
    }

    /// The f32 vector `name` of `len` elements, if the file has it.
    pub(crate) fn vector_if_present(
        &mut self,
        plan: &mut Recorder,
        name: &str,
        len: u32,
    ) -> Result<Option<TensorId>, Error> {
        self.elements_if_present(plan, name, Part { start: 0, rows: len, of: len })
    }

    /// Some elements of the f32 vector `name`, if the file has it.
    pub(crate) fn elements_if_present(
        &mut self,
        plan: &mut Recorder,
        name: &str,
        part: Part,
    ) -> Result<Option<TensorId>, Error> {
        let Some(info) = self.gguf.tensor(name) else { return Ok(None) };
        check_shape(info, &[part.of.into()])?;
        if info.dtype != DType::F32 {
            let (name, found) = (name.into(), info.dtype.name().into());
            return Err(Error::Type { name, found, supported: "F32 for a vector".into() });
        }
        // As rows of one element, so that a part of it is a part of rows; declared as one row.
        Ok(Some(self.bind(plan, info, 1, part)))
    }

    /// Whether the file has a tensor of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.gguf.tensor(name).is_some()
    }

    /// Binds rows of a tensor; `cols` is 1 for a vector, which is declared as one row.
    fn bind(&mut self, plan: &mut Recorder, info: &TensorInfo, cols: u64, part: Part) -> TensorId {
        let Part { start, rows, of } = part;
        // Whole rows are whole blocks: the file's directory was checked.
        let row_bytes = info.bytes / u64::from(of.max(1));
        let (offset, bytes) = (info.offset + row_bytes * u64::from(start), row_bytes * u64::from(rows));
        // A tied output matrix is the embedding again: one binding serves both.
        let same = |b: &Binding| (b.file, b.offset, b.bytes) == (info.file, offset, bytes);
        if let Some(i) = self.bindings.iter().position(same) {
            return TensorId(i as u32);
        }
        let name = match rows == of {
            true => info.name.as_str().into(),
            false => part_name(&info.name, start..start + rows),
        };
        let (decl_cols, decl_rows) = if cols == 1 { (rows.into(), 1) } else { (cols, rows.into()) };
        let decl = TensorDecl { name, dtype: info.dtype, cols: decl_cols, rows: decl_rows };
        self.bindings.push(Binding { file: info.file, offset, bytes, decl: decl.clone() });
        plan.tensor(decl)
    }
}

/// `dims` are in GGUF order (row length first); trailing ones may be left out on either side.
fn check_shape(info: &TensorInfo, dims: &[u64]) -> Result<(), Error> {
    let trimmed = |d: &[u64]| {
        let n = d.iter().rposition(|&n| n != 1).map_or(1, |i| i + 1);
        d[..n.min(d.len())].to_vec()
    };
    if trimmed(&info.dims) == trimmed(dims) {
        return Ok(());
    }
    let (expected, found) = (format!("{dims:?}"), format!("{:?}", info.dims));
    Err(Error::Shape { name: info.name.clone(), expected, found })
}

fn check_type(info: &TensorInfo) -> Result<(), Error> {
    if chord_quant::format(info.dtype).is_some() {
        return Ok(());
    }
    let supported = FORMATS.iter().map(|f| f.dtype.name()).collect::<Vec<_>>().join(", ");
    Err(Error::Type { name: info.name.clone(), found: info.dtype.name().into(), supported })
}

/// Name of some rows of a tensor, at most as long as a name may be: the tensor's own is cut for it.
fn part_name(name: &str, rows: core::ops::Range<u32>) -> std::sync::Arc<str> {
    let range = format!("[{}..{}]", rows.start, rows.end);
    let room = name.floor_char_boundary(TensorDecl::MAX_NAME - range.len());
    format!("{}{range}", &name[..room]).into()
}
