//! F64 and the integers: one element per block, rounded to f32. A file may hold such tensors beside its weights.

use crate::plain::each;
use crate::{DType, Format};

/// 64-bit floats.
pub(crate) const F64: Format = Format {
    dtype: DType::F64,
    dequantise: |bytes, out| each(bytes, out, |b| f64::from_le_bytes(b) as f32),
    quantise: None,
};

/// Bytes.
pub(crate) const I8: Format = Format {
    dtype: DType::I8,
    dequantise: |bytes, out| each(bytes, out, |b| f32::from(i8::from_le_bytes(b))),
    quantise: None,
};

/// 16-bit integers.
pub(crate) const I16: Format = Format {
    dtype: DType::I16,
    dequantise: |bytes, out| each(bytes, out, |b| f32::from(i16::from_le_bytes(b))),
    quantise: None,
};

/// 32-bit integers.
pub(crate) const I32: Format = Format {
    dtype: DType::I32,
    dequantise: |bytes, out| each(bytes, out, |b| i32::from_le_bytes(b) as f32),
    quantise: None,
};

/// 64-bit integers.
pub(crate) const I64: Format = Format {
    dtype: DType::I64,
    dequantise: |bytes, out| each(bytes, out, |b| i64::from_le_bytes(b) as f32),
    quantise: None,
};
