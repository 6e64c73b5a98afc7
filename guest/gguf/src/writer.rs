//! Writes GGUF files, for tools and tests. It writes what it is told: refusing nonsense is the reader's job.

use crate::{Array, Value};
use chord_quant::DType;

/// A file under construction.
#[derive(Clone, Debug)]
pub struct Writer {
    version: u32,
    alignment: usize,
    pairs: Vec<(String, Value)>,
    tensors: Vec<Tensor>,
}

#[derive(Clone, Debug)]
struct Tensor {
    name: String,
    dtype: u32,
    dims: Vec<u64>,
    /// Offset to write instead of the real one.
    offset: Option<u64>,
    size: u64,
    /// Empty if only declared.
    bytes: Vec<u8>,
}

impl Default for Writer {
    fn default() -> Writer {
        Writer::new()
    }
}

impl Writer {
    /// An empty file of version 3 with alignment 32.
    pub fn new() -> Writer {
        Writer { version: 3, alignment: 32, pairs: Vec::new(), tensors: Vec::new() }
    }

    /// Writes another version number.
    pub fn version(mut self, version: u32) -> Writer {
        self.version = version;
        self
    }

    /// Aligns tensor data to `n` bytes and says so in `general.alignment`.
    pub fn alignment(mut self, n: u32) -> Writer {
        self.alignment = n.max(1) as usize;
        self.metadata("general.alignment", Value::U32(n))
    }

    /// Adds a pair.
    pub fn metadata(mut self, key: &str, value: Value) -> Writer {
        self.pairs.push((key.into(), value));
        self
    }

    /// Adds a tensor with its data. `dims`: row length first.
    pub fn tensor(self, name: &str, dtype: DType, dims: &[u64], bytes: &[u8]) -> Writer {
        self.raw_tensor(name, dtype.ggml_id(), dims, None, bytes)
    }

    /// Adds a tensor with any type number and, if given, any offset.
    pub fn raw_tensor(
        mut self,
        name: &str,
        dtype: u32,
        dims: &[u64],
        offset: Option<u64>,
        bytes: &[u8],
    ) -> Writer {
        let (name, dims, bytes) = (name.into(), dims.to_vec(), bytes.to_vec());
        self.tensors.push(Tensor { name, dtype, dims, offset, size: bytes.len() as u64, bytes });
        self
    }

    /// Adds a tensor whose `size` bytes the caller writes after [`Writer::header`], each tensor padded with zeros to
    /// the alignment.
    pub fn declare(mut self, name: &str, dtype: DType, dims: &[u64], size: u64) -> Writer {
        let (name, dims, dtype) = (name.into(), dims.to_vec(), dtype.ggml_id());
        self.tensors.push(Tensor { name, dtype, dims, offset: None, size, bytes: Vec::new() });
        self
    }

    /// The file's bytes.
    pub fn finish(&self) -> Vec<u8> {
        let mut out = self.directory();
        for t in &self.tensors {
            out.resize(out.len().next_multiple_of(self.alignment), 0);
            out.extend(&t.bytes);
        }
        out
    }

    /// Everything before the tensor data, padded.
    pub fn header(&self) -> Vec<u8> {
        let mut out = self.directory();
        out.resize(out.len().next_multiple_of(self.alignment), 0);
        out
    }

    fn directory(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.pairs.len() as u64).to_le_bytes());
        for (key, v) in &self.pairs {
            string(&mut out, key);
            value(&mut out, v);
        }
        let mut offset = 0u64;
        for t in &self.tensors {
            string(&mut out, &t.name);
            out.extend((t.dims.len() as u32).to_le_bytes());
            t.dims.iter().for_each(|d| out.extend(d.to_le_bytes()));
            out.extend(t.dtype.to_le_bytes());
            out.extend(t.offset.unwrap_or(offset).to_le_bytes());
            offset += t.size.next_multiple_of(self.alignment as u64);
        }
        out
    }
}

fn string(out: &mut Vec<u8>, s: impl AsRef<[u8]>) {
    out.extend((s.as_ref().len() as u64).to_le_bytes());
    out.extend(s.as_ref());
}

fn value(out: &mut Vec<u8>, v: &Value) {
    let mut put = |kind: u32, bytes: &[u8]| {
        out.extend(kind.to_le_bytes());
        out.extend(bytes);
    };
    match v {
        Value::U8(x) => put(0, &x.to_le_bytes()),
        Value::I8(x) => put(1, &x.to_le_bytes()),
        Value::U16(x) => put(2, &x.to_le_bytes()),
        Value::I16(x) => put(3, &x.to_le_bytes()),
        Value::U32(x) => put(4, &x.to_le_bytes()),
        Value::I32(x) => put(5, &x.to_le_bytes()),
        Value::F32(x) => put(6, &x.to_le_bytes()),
        Value::Bool(x) => put(7, &[u8::from(*x)]),
        Value::U64(x) => put(10, &x.to_le_bytes()),
        Value::I64(x) => put(11, &x.to_le_bytes()),
        Value::F64(x) => put(12, &x.to_le_bytes()),
        Value::String(s) => {
            put(8, &[]);
            string(out, s);
        }
        Value::Bytes(b) => {
            put(8, &[]);
            string(out, b);
        }
        Value::Array(a) => {
            put(9, &[]);
            array(out, a);
        }
    }
}

fn array(out: &mut Vec<u8>, a: &Array) {
    /// Element type, count, elements.
    macro_rules! numbers {
        ($kind:expr, $v:expr) => {{
            out.extend(u32::to_le_bytes($kind));
            out.extend(($v.len() as u64).to_le_bytes());
            $v.iter().for_each(|x| out.extend(x.to_le_bytes()));
        }};
    }
    match a {
        Array::U8(v) => numbers!(0, v),
        Array::I8(v) => numbers!(1, v),
        Array::U16(v) => numbers!(2, v),
        Array::I16(v) => numbers!(3, v),
        Array::U32(v) => numbers!(4, v),
        Array::I32(v) => numbers!(5, v),
        Array::F32(v) => numbers!(6, v),
        Array::Bool(v) => numbers!(7, v.iter().map(|&b| u8::from(b)).collect::<Vec<_>>()),
        Array::U64(v) => numbers!(10, v),
        Array::I64(v) => numbers!(11, v),
        Array::F64(v) => numbers!(12, v),
        Array::String(v) => {
            out.extend(8u32.to_le_bytes());
            out.extend((v.len() as u64).to_le_bytes());
            v.iter().for_each(|s| string(out, s));
        }
        Array::Array(v) => {
            out.extend(9u32.to_le_bytes());
            out.extend((v.len() as u64).to_le_bytes());
            v.iter().for_each(|a| array(out, a));
        }
    }
}
