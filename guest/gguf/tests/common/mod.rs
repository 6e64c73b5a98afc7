//! What the tests of this crate share.

use chord_gguf::{Array, Error, Gguf, StringArray, Value, Writer};
use chord_quant::DType;

/// One pair of every metadata type, scalars at an end of their range.
pub fn every_value() -> Vec<(&'static str, Value)> {
    vec![
        ("u8", Value::U8(u8::MAX)),
        ("i8", Value::I8(i8::MIN)),
        ("u16", Value::U16(u16::MAX)),
        ("i16", Value::I16(i16::MIN)),
        ("u32", Value::U32(u32::MAX)),
        ("i32", Value::I32(i32::MIN)),
        ("u64", Value::U64(u64::MAX)),
        ("i64", Value::I64(i64::MIN)),
        ("f32", Value::F32(f32::MIN_POSITIVE)),
        ("f64", Value::F64(-1.0e300)),
        ("bool.false", Value::Bool(false)),
        ("bool.true", Value::Bool(true)),
        ("string", Value::String("naïve 日本 \0 🦀".into())),
        ("string.empty", Value::String(String::new())),
        ("a.u8", Value::Array(Array::U8(vec![0, 127, 255]))),
        ("a.i8", Value::Array(Array::I8(vec![-128, 0, 127]))),
        ("a.u16", Value::Array(Array::U16(vec![0, 65535]))),
        ("a.i16", Value::Array(Array::I16(vec![-32768, 32767]))),
        ("a.u32", Value::Array(Array::U32(vec![0, u32::MAX]))),
        ("a.i32", Value::Array(Array::I32(vec![i32::MIN, i32::MAX]))),
        ("a.u64", Value::Array(Array::U64(vec![0, u64::MAX]))),
        ("a.i64", Value::Array(Array::I64(vec![i64::MIN, i64::MAX]))),
        ("a.f32", Value::Array(Array::F32(vec![0.1, f32::INFINITY, f32::MAX]))),
        ("a.f64", Value::Array(Array::F64(vec![0.1, f64::MIN]))),
        ("a.bool", Value::Array(Array::Bool(vec![true, false, true]))),
        ("a.string", Value::Array(Array::String(strings(&["", "a", "日本", ""])))),
        ("string.bytes", Value::Bytes(b"mod\xe8le".to_vec())),
        (
            "a.array",
            Value::Array(Array::Array(vec![
                Array::String(strings(&["a", "b"])),
                Array::Array(vec![Array::U8(vec![1]), Array::F64(vec![])]),
            ])),
        ),
        ("a.array.empty", Value::Array(Array::Array(vec![]))),
        ("a.empty", Value::Array(Array::I32(vec![]))),
        ("a.string.empty", Value::Array(Array::String(StringArray::new()))),
    ]
}

pub fn strings(list: &[&str]) -> StringArray {
    list.iter().collect()
}

/// A file with every metadata type and a few tensors, the last one reaching to the last byte.
pub fn sample() -> Writer {
    let writer = every_value().into_iter().fold(Writer::new(), |w, (k, v)| w.metadata(k, v));
    writer
        .tensor("a.weight", DType::F32, &[3, 2], &[1; 24])
        .tensor("b.weight", DType::Q8_0, &[64], &[2; 68])
        .tensor("c.weight", DType::F16, &[2, 2, 2, 2], &[3; 32])
}

/// Parses bytes as the file `m.gguf`.
pub fn parse(bytes: &[u8]) -> Result<Gguf, Error> {
    Gguf::parse(&bytes.to_vec(), "m.gguf")
}

/// The message of the error that these bytes must give.
pub fn refused(bytes: &[u8]) -> String {
    parse(bytes).expect_err("the file must be refused").to_string()
}
