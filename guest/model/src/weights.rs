//! Shape-checked access to a file's tensors: each one used becomes a declaration of the plan and a binding.

use crate::{Binding, Error};
use chord_gguf::{Gguf, TensorInfo};
use chord_ops::{Recorder, TensorDecl, TensorId};
use chord_quant::FORMATS;
use std::ops::Range;

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

    /// Some rows of the matrix `name`, `(part.rows, cols)`.
    pub(crate) fn rows(
        &mut self,
        plan: &mut Recorder,
        name: &str,
        cols: u32,
        part: Part,
    ) -> Result<TensorId, Error> {
        let info = self.info(name)?;
        check_shape(info, &[cols.into(), part.of.into()])?;
        check_type(info)?;
        Ok(self.bind_rows(plan, info, cols, part))
    }

    /// The first `rows` rows of the matrix `name`, which may have more, `(rows, cols)`.
    pub(crate) fn first_rows(
        &mut self,
        plan: &mut Recorder,
        name: &str,
        rows: u32,
        cols: u32,
    ) -> Result<TensorId, Error> {
        let of = match self.info(name)?.dims[..] {
            [_, of] => u32::try_from(of).unwrap_or(u32::MAX).max(rows),
            _ => rows,
        };
        self.rows(plan, name, cols, Part { start: 0, rows, of })
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
        let info = self.info(name)?;
        check_shape(info, &[cols.into(), rows.into(), count.into()])?;
        check_type(info)?;
        let all = rows.checked_mul(count).ok_or_else(|| Error::Shape {
            name: name.into(),
            expected: "fewer than 2^32 rows".into(),
            found: format!("{:?}", info.dims),
        })?;
        Ok(self.bind_rows(plan, info, cols, Part { start: 0, rows: all, of: all }))
    }

    /// The vector `name` of `len` elements.
    pub(crate) fn vector(&mut self, plan: &mut Recorder, name: &str, len: u32) -> Result<TensorId, Error> {
        self.vector_if_present(plan, name, len)?.ok_or_else(|| Error::MissingTensor(name.into()))
    }

    /// The vector `name` of `len` elements, if the file has it.
    pub(crate) fn vector_if_present(
        &mut self,
        plan: &mut Recorder,
        name: &str,
        len: u32,
    ) -> Result<Option<TensorId>, Error> {
        self.elements_if_present(plan, name, Part { start: 0, rows: len, of: len })
    }

    /// The first `len` elements of the vector `name`, which may have more, if the file has it.
    pub(crate) fn first_elements_if_present(
        &mut self,
        plan: &mut Recorder,
        name: &str,
        len: u32,
    ) -> Result<Option<TensorId>, Error> {
        let of = self.gguf.tensor(name).and_then(|info| u32::try_from(info.dims[0]).ok());
        self.elements_if_present(plan, name, Part { start: 0, rows: len, of: of.unwrap_or(len).max(len) })
    }

    /// Some elements of the vector `name`, if the file has it.
    pub(crate) fn elements_if_present(
        &mut self,
        plan: &mut Recorder,
        name: &str,
        part: Part,
    ) -> Result<Option<TensorId>, Error> {
        let Some(info) = self.gguf.tensor(name) else { return Ok(None) };
        check_shape(info, &[part.of.into()])?;
        check_type(info)?;
        let bytes_for = |elements: u32| info.dtype.bytes_for(elements.into());
        let (Some(start), Some(bytes)) = (bytes_for(part.start), bytes_for(part.rows)) else {
            let (start, end) = (part.start, part.start + part.rows);
            let supported = format!("types whose blocks end at elements {start} and {end}");
            return Err(Error::Type { name: name.into(), found: info.dtype.name().into(), supported });
        };
        let shape = Shape { rows: 1, cols: part.rows };
        Ok(Some(self.bind(plan, info, part, shape, start..start + bytes)))
    }

    /// Whether the file has a tensor of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.gguf.tensor(name).is_some()
    }

    fn info(&self, name: &str) -> Result<&'a TensorInfo, Error> {
        self.gguf.tensor(name).ok_or_else(|| Error::MissingTensor(name.into()))
    }

    fn bind_rows(&mut self, plan: &mut Recorder, info: &TensorInfo, cols: u32, part: Part) -> TensorId {
        // Whole rows are whole blocks: the file's directory was checked.
        let row_bytes = info.bytes / u64::from(part.of.max(1));
        let start = row_bytes * u64::from(part.start);
        let bytes = start..start + row_bytes * u64::from(part.rows);
        self.bind(plan, info, part, Shape { rows: part.rows, cols }, bytes)
    }

    /// Binds a part of a tensor; `bytes` are within it.
    fn bind(
        &mut self,
        plan: &mut Recorder,
        info: &TensorInfo,
        Part { start, rows, of }: Part,
        shape: Shape,
        bytes: Range<u64>,
    ) -> TensorId {
        let (offset, bytes) = (info.offset + bytes.start, bytes.end - bytes.start);
        let (cols, rows_of) = (u64::from(shape.cols), u64::from(shape.rows));
        // A tied output matrix is the embedding again: one binding serves both.
        let same = |b: &Binding| {
            (b.file, b.offset, b.bytes, b.decl.cols, b.decl.rows) == (info.file, offset, bytes, cols, rows_of)
        };
        if let Some(i) = self.bindings.iter().position(same) {
            return TensorId(i as u32);
        }
        let name = match rows == of {
            true => info.name.as_str().into(),
            false => part_name(&info.name, start..start + rows),
        };
        let decl = TensorDecl { name, dtype: info.dtype, cols, rows: rows_of };
        self.bindings.push(Binding { file: info.file, offset, bytes, decl: decl.clone() });
        plan.tensor(decl)
    }
}

/// What a plan expects of a bound tensor.
struct Shape {
    rows: u32,
    cols: u32,
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
