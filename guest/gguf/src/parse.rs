//! One file: header, metadata, tensor directory.

use crate::cursor::Cursor;
use crate::error::known_types;
use crate::foreign;
use crate::{Array, Error, Metadata, StringArray, Value};
use chord_quant::DType;
use std::collections::HashMap;

/// Random access to the bytes of one file.
pub trait ReadAt {
    /// Size in bytes.
    fn size(&self) -> u64;

    /// Reads exactly `len` bytes at `offset`.
    fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error>;
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let part = start.checked_add(len).and_then(|end| self.get(start..end));
        part.map(<[u8]>::to_vec)
            .ok_or_else(|| Error::read("memory", format!("{len} bytes at {offset} of {}", self.len())))
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.as_slice().size()
    }

    fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        self.as_slice().read_at(offset, len)
    }
}

/// A tensor of a file: what it is and where its bytes are.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// Name, unique in the model.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Extents, row length first; 1 to 4 of them, none 0.
    pub dims: Vec<u64>,
    /// Index into [`Gguf::files`].
    pub file: usize,
    /// Byte offset in that file.
    pub offset: u64,
    /// Size in bytes; inside the file.
    pub bytes: u64,
}

/// The directory of a model file, or of all files of a split model.
#[derive(Clone, Debug, PartialEq)]
pub struct Gguf {
    /// Version of the format, 2 or 3.
    pub version: u32,
    /// Keys and values of the (first) file.
    pub metadata: Metadata,
    /// Tensors in file order.
    pub tensors: Vec<TensorInfo>,
    /// Alignment of tensor data, bytes.
    pub alignment: u64,
    /// Where tensor data begins in the (first) file, bytes.
    pub data_offset: u64,
    pub(crate) files: Vec<String>,
    pub(crate) index: HashMap<String, usize>,
}

/// Longest tensor name, bytes; ggml's limit.
const MAX_NAME: usize = 64;

/// Most strings that room is made for before they are read: no vocabulary has more.
const MOST_ENDS: usize = 1 << 20;

/// Fewest bytes of a metadata pair: a key of one byte, type, one-byte value.
const MIN_PAIR: u64 = 8 + 1 + 4 + 1;
/// Fewest bytes of an array: type of its elements, count.
const MIN_ARRAY: u64 = 4 + 8;
/// Most arrays inside each other, below the first.
const MAX_DEPTH: u32 = 4;
/// Fewest bytes of a directory entry: a name of one byte, number of extents, one extent, type, offset.
const MIN_TENSOR: u64 = 8 + 1 + 4 + 8 + 4 + 8;

impl Gguf {
    /// Reads the directory of one file. `name` is for messages and for [`Gguf::files`].
    pub fn parse(file: &dyn ReadAt, name: &str) -> Result<Gguf, Error> {
        let mut cursor = Cursor::new(file, name);
        let version = header(&mut cursor, file)?;
        let n_tensors = cursor.u64("tensor count")?;
        let n_pairs = cursor.u64("metadata count")?;
        cursor.room("metadata", n_pairs, MIN_PAIR)?;
        cursor.room("tensor directory", n_tensors, MIN_TENSOR)?;
        let metadata = pairs(&mut cursor, n_pairs)?;
        let alignment = alignment(&metadata, name)?;
        let mut tensors = directory(&mut cursor, n_tensors)?;
        // A file without tensors may end before its padding.
        let data_offset = cursor.at.next_multiple_of(alignment);
        place(&mut tensors, data_offset, alignment, file.size(), name)?;
        check_overlap(&tensors, name)?;
        let index = index(&tensors, name)?;
        Ok(Gguf { version, metadata, tensors, alignment, data_offset, files: vec![name.into()], index })
    }

    /// Names of the files, in order; more than one for a split model.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.index.get(name).map(|&i| &self.tensors[i])
    }
}

/// Magic and version.
fn header(cursor: &mut Cursor<'_>, file: &dyn ReadAt) -> Result<u32, Error> {
    let name = cursor.file;
    if file.size() < 4 || cursor.take("magic", 4)? != b"GGUF" {
        let start = file.read_at(0, file.size().min(foreign::LOOKED_AT) as usize)?;
        return Err(Error::NotGguf { file: name.into(), found: foreign::name(&start, file.size()) });
    }
    let version = cursor.u32("version")?;
    let bad = |found: String| Err(Error::Version { file: name.into(), found });
    match version {
        2 | 3 => Ok(version),
        1 => bad("1 (an old draft); convert the model again".into()),
        v if (1..=3).contains(&v.swap_bytes()) => {
            bad(format!("{} in big-endian bytes; convert the model again", v.swap_bytes()))
        }
        v => bad(v.to_string()),
    }
}

fn pairs(cursor: &mut Cursor<'_>, count: u64) -> Result<Metadata, Error> {
    let mut metadata = Metadata::default();
    for i in 0..count {
        let key = cursor.string(&format!("metadata key {i}"))?.to_owned();
        if key.is_empty() {
            return Err(Error::header(cursor.file, format!("metadata key {i}"), "a name", "an empty one"));
        }
        let value = value(cursor, &key)?;
        if !metadata.insert(&key, value) {
            return Err(Error::header(cursor.file, format!("metadata key `{key}`"), "one", "two"));
        }
    }
    Ok(metadata)
}

fn value(cursor: &mut Cursor<'_>, key: &str) -> Result<Value, Error> {
    let what = format!("value of `{key}`");
    let kind = cursor.u32(&what)?;
    Ok(match kind {
        0 => Value::U8(u8::from_le_bytes(cursor.array(&what)?)),
        1 => Value::I8(i8::from_le_bytes(cursor.array(&what)?)),
        2 => Value::U16(u16::from_le_bytes(cursor.array(&what)?)),
        3 => Value::I16(i16::from_le_bytes(cursor.array(&what)?)),
        4 => Value::U32(u32::from_le_bytes(cursor.array(&what)?)),
        5 => Value::I32(i32::from_le_bytes(cursor.array(&what)?)),
        6 => Value::F32(f32::from_le_bytes(cursor.array(&what)?)),
        7 => Value::Bool(boolean(cursor.array::<1>(&what)?[0]).map_err(|b| not_bool(cursor, &what, b))?),
        8 => text(cursor.text(&what)?),
        9 => Value::Array(array(cursor, &what, MAX_DEPTH)?),
        10 => Value::U64(u64::from_le_bytes(cursor.array(&what)?)),
        11 => Value::I64(i64::from_le_bytes(cursor.array(&what)?)),
        12 => Value::F64(f64::from_le_bytes(cursor.array(&what)?)),
        other => return Err(Error::header(cursor.file, what, "a type from 0 to 12", other)),
    })
}

/// Other encodings are kept as they are: whoever needs the text refuses it.
fn text(bytes: &[u8]) -> Value {
    String::from_utf8(bytes.to_vec()).map_or_else(|e| Value::Bytes(e.into_bytes()), Value::String)
}

/// `depth`: how many more arrays may be nested.
fn array(cursor: &mut Cursor<'_>, what: &str, depth: u32) -> Result<Array, Error> {
    let kind = cursor.u32(what)?;
    let count = cursor.u64(what)?;
    Ok(match kind {
        0 => Array::U8(numbers(cursor, what, count, u8::from_le_bytes)?),
        1 => Array::I8(numbers(cursor, what, count, i8::from_le_bytes)?),
        2 => Array::U16(numbers(cursor, what, count, u16::from_le_bytes)?),
        3 => Array::I16(numbers(cursor, what, count, i16::from_le_bytes)?),
        4 => Array::U32(numbers(cursor, what, count, u32::from_le_bytes)?),
        5 => Array::I32(numbers(cursor, what, count, i32::from_le_bytes)?),
        6 => Array::F32(numbers(cursor, what, count, f32::from_le_bytes)?),
        7 => Array::Bool(bools(cursor, what, count)?),
        8 => Array::String(strings(cursor, what, count)?),
        10 => Array::U64(numbers(cursor, what, count, u64::from_le_bytes)?),
        11 => Array::I64(numbers(cursor, what, count, i64::from_le_bytes)?),
        12 => Array::F64(numbers(cursor, what, count, f64::from_le_bytes)?),
        9 => Array::Array(arrays(cursor, what, count, depth)?),
        other => return Err(Error::header(cursor.file, what, "an element type from 0 to 12", other)),
    })
}

/// Elements of a fixed width.
fn numbers<T, const N: usize>(
    cursor: &mut Cursor<'_>,
    what: &str,
    count: u64,
    from: fn([u8; N]) -> T,
) -> Result<Vec<T>, Error> {
    let count = cursor.room(what, count, N as u64)?;
    let bytes = cursor.take(what, count * N)?;
    Ok(bytes.as_chunks::<N>().0.iter().map(|&b| from(b)).collect())
}

fn arrays(cursor: &mut Cursor<'_>, what: &str, count: u64, depth: u32) -> Result<Vec<Array>, Error> {
    let Some(depth) = depth.checked_sub(1) else {
        let expected = format!("arrays at most {MAX_DEPTH} deep");
        return Err(Error::header(cursor.file, what, expected, "more"));
    };
    let count = cursor.room(what, count, MIN_ARRAY)?;
    let mut arrays = Vec::new();
    for _ in 0..count {
        arrays.push(array(cursor, what, depth)?);
    }
    Ok(arrays)
}

fn bools(cursor: &mut Cursor<'_>, what: &str, count: u64) -> Result<Vec<bool>, Error> {
    let bytes = numbers(cursor, what, count, u8::from_le_bytes)?;
    let bools: Result<Vec<bool>, u8> = bytes.into_iter().map(boolean).collect();
    bools.map_err(|b| not_bool(cursor, what, b))
}

/// The format calls any byte but 0 and 1 invalid.
fn boolean(byte: u8) -> Result<bool, u8> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(other),
    }
}

fn not_bool(cursor: &Cursor<'_>, what: &str, byte: u8) -> Error {
    Error::header(cursor.file, what, "0 or 1 for a boolean", byte)
}

fn strings(cursor: &mut Cursor<'_>, what: &str, count: u64) -> Result<StringArray, Error> {
    let count = cursor.room(what, count, 8)?;
    let mut strings = StringArray::with_capacity(count.min(MOST_ENDS));
    for _ in 0..count {
        strings.push_bytes(cursor.text(what)?);
    }
    Ok(strings)
}

/// `general.alignment`, or 32.
fn alignment(metadata: &Metadata, file: &str) -> Result<u64, Error> {
    let key = "general.alignment";
    let alignment = metadata.u32(key)?.unwrap_or(32);
    if !alignment.is_power_of_two() || alignment > 1 << 20 {
        return Err(Error::header(file, format!("`{key}`"), "a power of two up to 1048576", alignment));
    }
    Ok(alignment.into())
}

/// The directory as written: offsets are relative to the data, sizes are filled in.
fn directory(cursor: &mut Cursor<'_>, count: u64) -> Result<Vec<TensorInfo>, Error> {
    cursor.room("tensor directory", count, MIN_TENSOR)?;
    let mut tensors = Vec::new();
    for i in 0..count {
        tensors.push(entry(cursor, i)?);
    }
    Ok(tensors)
}

fn entry(cursor: &mut Cursor<'_>, i: u64) -> Result<TensorInfo, Error> {
    let what = format!("directory entry {i}");
    let name = cursor.string(&what)?.to_owned();
    let file = cursor.file;
    if name.is_empty() || name.len() > MAX_NAME {
        let found = format!("{} bytes", name.len());
        return Err(Error::header(
            file,
            format!("name of tensor {i}"),
            format!("1 to {MAX_NAME} bytes"),
            found,
        ));
    }
    let n_dims = cursor.u32(&what)?;
    if !(1..=4).contains(&n_dims) {
        return Err(Error::tensor(file, &name, "number of dimensions", "1 to 4", n_dims));
    }
    let dims = (0..n_dims).map(|_| cursor.u64(&what)).collect::<Result<Vec<u64>, Error>>()?;
    let id = cursor.u32(&what)?;
    let offset = cursor.u64(&what)?;
    let dtype = DType::from_ggml_id(id)
        .ok_or_else(|| Error::tensor(file, &name, "type", format!("one of {}", known_types()), id))?;
    let bytes = size(file, &name, dtype, &dims)?;
    Ok(TensorInfo { name, dtype, dims, file: 0, offset, bytes })
}

/// Bytes of a tensor; every extent and product is checked.
fn size(file: &str, name: &str, dtype: DType, dims: &[u64]) -> Result<u64, Error> {
    let shape = || format!("{dims:?}");
    if dims.contains(&0) {
        return Err(Error::tensor(file, name, "shape", "extents above 0", shape()));
    }
    let block = dtype.block_len() as u64;
    if !dims[0].is_multiple_of(block) {
        let expected = format!("a multiple of {block} ({dtype} blocks)");
        return Err(Error::tensor(file, name, "row length", expected, dims[0]));
    }
    let elements = dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d)).filter(|&n| i64::try_from(n).is_ok());
    elements
        .and_then(|n| dtype.bytes_for(n))
        .ok_or_else(|| Error::tensor(file, name, "shape", "fewer than 2^63 elements and bytes", shape()))
}

/// Turns relative offsets into offsets in the file and checks that every tensor lies inside it.
fn place(
    tensors: &mut [TensorInfo],
    data: u64,
    alignment: u64,
    file_size: u64,
    file: &str,
) -> Result<(), Error> {
    for t in tensors {
        if !t.offset.is_multiple_of(alignment) {
            let expected = format!("a multiple of {alignment}");
            return Err(Error::tensor(file, &t.name, "offset", expected, t.offset));
        }
        let end = data.checked_add(t.offset).and_then(|start| start.checked_add(t.bytes));
        match end {
            Some(end) if end <= file_size => t.offset += data,
            _ => {
                let expected = format!("its {} bytes inside the file of {file_size} bytes", t.bytes);
                let found =
                    format!("offset {} in data that begins at {data} (is the file truncated?)", t.offset);
                return Err(Error::tensor(file, &t.name, "data", expected, found));
            }
        }
    }
    Ok(())
}

fn check_overlap(tensors: &[TensorInfo], file: &str) -> Result<(), Error> {
    let mut order: Vec<&TensorInfo> = tensors.iter().collect();
    order.sort_by_key(|t| t.offset);
    for pair in order.windows(2) {
        let end = pair[0].offset + pair[0].bytes;
        if pair[1].offset < end {
            let expected = format!("data after the end of `{}` at {end}", pair[0].name);
            return Err(Error::tensor(
                file,
                &pair[1].name,
                "data",
                expected,
                format!("offset {}", pair[1].offset),
            ));
        }
    }
    Ok(())
}

fn index(tensors: &[TensorInfo], file: &str) -> Result<HashMap<String, usize>, Error> {
    let mut index = HashMap::with_capacity(tensors.len());
    for (i, t) in tensors.iter().enumerate() {
        if index.insert(t.name.clone(), i).is_some() {
            return Err(Error::tensor(file, &t.name, "name", "one tensor of this name", "two"));
        }
    }
    Ok(index)
}
