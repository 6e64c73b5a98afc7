//! What the writer writes, the parser reads back, for every type, version and alignment.

#[expect(dead_code, reason = "each test file uses a part")]
mod common;

use chord_gguf::{Array, Metadata, Value, Writer};
use chord_quant::DType;
use common::{every_value, parse, sample, strings};
use proptest::prelude::*;
use std::borrow::Cow;

#[test]
fn every_metadata_type() {
    let file = parse(&sample().finish()).unwrap();
    let written = every_value();
    assert_eq!(file.metadata.len(), written.len());
    for ((key, value), (k, v)) in written.iter().zip(file.metadata.iter()) {
        assert_eq!((*key, value), (k, v));
        assert_eq!(file.metadata.get(key), Some(value));
    }
}

/// The bytes of a small file, written down by hand from the format's specification.
#[test]
fn bytes_are_those_of_the_specification() {
    let mut expected = b"GGUF\x03\0\0\0".to_vec();
    expected.extend(b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0"); // one tensor, two pairs
    expected.extend(b"\x01\0\0\0\0\0\0\0k\x04\0\0\0\x07\0\0\0"); // k = 7u32
    expected.extend(b"\x01\0\0\0\0\0\0\0a\x09\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\xff\x05"); // a = [-1i8, 5]
    expected.extend(b"\x01\0\0\0\0\0\0\0t\x02\0\0\0"); // t, two extents
    expected.extend(b"\x02\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0"); // 2 x 1, F16, at 0
    expected.resize(128, 0);
    expected.extend(b"wxyz");
    let writer = Writer::new()
        .metadata("k", Value::U32(7))
        .metadata("a", Value::Array(Array::I8(vec![-1, 5])))
        .tensor("t", DType::F16, &[2, 1], b"wxyz");
    assert_eq!(writer.finish(), expected);
    let file = parse(&expected).unwrap();
    assert_eq!(file.metadata.u32("k").unwrap(), Some(7));
    assert_eq!(file.data_offset, 128);
    let t = file.tensor("t").unwrap();
    assert_eq!((t.dims.as_slice(), t.offset, t.bytes, t.file), (&[2, 1][..], 128, 4, 0));
}

#[test]
fn every_tensor_type() {
    for dtype in DType::all() {
        let dims = [dtype.block_len() as u64 * 3, 5];
        let bytes: Vec<u8> = (0..15 * dtype.block_bytes()).map(|i| (i * 7) as u8).collect();
        let out =
            Writer::new().tensor("first", DType::I8, &[1], &[9]).tensor("t", dtype, &dims, &bytes).finish();
        let file = parse(&out).unwrap();
        let t = file.tensor("t").unwrap();
        assert_eq!((t.dtype, t.dims.as_slice(), t.bytes), (dtype, &dims[..], bytes.len() as u64), "{dtype}");
        assert_eq!(&out[t.offset as usize..][..bytes.len()], bytes, "{dtype}");
    }
}

#[test]
fn versions_two_and_three() {
    for version in [2, 3] {
        let file = parse(&sample().version(version).finish()).unwrap();
        assert_eq!(file.version, version);
        assert_eq!(file.tensors.len(), 3);
    }
}

#[test]
fn alignments() {
    for alignment in [1u32, 2, 8, 16, 32, 64, 256, 4096, 1 << 20] {
        let writer = Writer::new().alignment(alignment).metadata("x", Value::U8(1));
        let out = writer.tensor("a", DType::I8, &[5], b"aaaaa").tensor("b", DType::I8, &[3], b"bbb").finish();
        let file = parse(&out).unwrap();
        assert_eq!((file.alignment, file.metadata.len()), (alignment.into(), 2));
        assert_eq!(file.data_offset % u64::from(alignment), 0);
        for (t, data) in file.tensors.iter().zip([&b"aaaaa"[..], b"bbb"]) {
            assert_eq!(t.offset % u64::from(alignment), 0);
            assert_eq!(&out[t.offset as usize..][..t.bytes as usize], data, "alignment {alignment}");
        }
    }
}

/// A header first, tensor data after it, as tools do that do not hold a whole model.
#[test]
fn declared_tensors_are_written_by_the_caller() {
    let data = [[1; 8].as_slice(), &[2; 4]];
    let whole = Writer::new().metadata("k", Value::U8(1)).tensor("a", DType::F32, &[2], data[0]);
    let whole = whole.tensor("b", DType::F16, &[2], data[1]).finish();
    let writer = Writer::new().metadata("k", Value::U8(1)).declare("a", DType::F32, &[2], 8);
    let mut parts = writer.declare("b", DType::F16, &[2], 4).header();
    for bytes in data {
        parts.resize(parts.len().next_multiple_of(32), 0);
        parts.extend(bytes);
    }
    assert_eq!(parts, whole);
}

/// The largest name, a file of nothing, and one of metadata only (which need not be padded).
#[test]
fn edges() {
    let empty = parse(&Writer::new().finish()).unwrap();
    assert!(empty.metadata.is_empty() && empty.tensors.is_empty());
    assert_eq!(empty.files(), ["m.gguf"]);
    let name = "n".repeat(64);
    let file = parse(&Writer::new().tensor(&name, DType::I8, &[1, 1, 1, 1], &[0]).finish()).unwrap();
    assert_eq!(file.tensors[0].dims, [1, 1, 1, 1]);
    assert!(file.tensor(&name).is_some() && file.tensor("m").is_none());
    assert!(parse(&Writer::new().metadata("k", Value::U8(1)).finish()).is_ok());
}

#[test]
fn typed_access() {
    let mut m = Metadata::default();
    every_value().into_iter().for_each(|(k, v)| assert!(m.insert(k, v)));
    assert!(!m.insert("u8", Value::U8(0)), "a key is there once");
    assert_eq!(m.u32("u8").unwrap(), Some(255));
    assert_eq!(m.u64("u64").unwrap(), Some(u64::MAX));
    assert_eq!(m.u32("nothing").unwrap(), None);
    assert_eq!(m.f32("u16").unwrap(), Some(65535.0));
    assert_eq!(m.bool("bool.true").unwrap(), Some(true));
    assert_eq!(m.bool("bool.false").unwrap(), Some(false));
    assert_eq!(m.bool("nothing").unwrap(), None);
    assert!(!m.is_empty() && Metadata::default().is_empty());
    assert!(!strings(&["a"]).is_empty() && strings(&[]).is_empty());
    assert!(!Array::Bool(vec![false]).is_empty() && Array::U8(vec![]).is_empty());
    assert_eq!(m.shown("string").as_deref(), Some("naïve 日本 \0 🦀"));
    assert_eq!((m.shown("u8"), m.shown("nothing")), (None, None));
    assert_eq!(m.str("string.empty").unwrap(), Some(""));
    assert_eq!(m.str("nothing").unwrap(), None);
    assert_eq!(m.require_str("string").unwrap(), "naïve 日本 \0 🦀");
    assert_eq!(m.require_u32("u32").unwrap(), u32::MAX);
    assert_eq!(m.f32("f32").unwrap(), Some(f32::MIN_POSITIVE));
    assert_eq!(m.f32("f64").unwrap(), Some(f32::NEG_INFINITY));
    assert_eq!(m.f32("i8").unwrap(), Some(-128.0));
    assert_eq!(m.bytes("a.u8").unwrap().unwrap().as_ref(), [0, 127, 255]);
    assert_eq!(m.f32s("a.f64").unwrap().unwrap().as_ref(), [0.1, f32::NEG_INFINITY]);
    assert_eq!(m.strings("a.string").unwrap(), Some(&strings(&["", "a", "日本", ""])));
    assert_eq!(m.bytes("a.i8").unwrap().unwrap().as_ref(), [128, 0, 127]);
    assert_eq!(m.i32s("a.i32").unwrap().unwrap().as_ref(), [i32::MIN, i32::MAX]);
    assert_eq!(m.f32s("a.f32").unwrap().unwrap()[0], 0.1);
    // Vocabularies are large: what has the type that is asked for is not copied.
    assert!(matches!(m.i32s("a.i32"), Ok(Some(Cow::Borrowed(_)))));
    assert!(matches!(m.f32s("a.f32"), Ok(Some(Cow::Borrowed(_)))));
    assert!(matches!(m.bytes("a.u8"), Ok(Some(Cow::Borrowed(_)))));
    assert!(matches!(m.shown("string"), Some(Cow::Borrowed(_))));
    let message = |e: chord_gguf::Error| e.to_string();
    assert_eq!(
        message(m.u32("i8").unwrap_err()),
        "metadata key `i8`: expected an integer from 0 to 4294967295, found i8 -128"
    );
    assert_eq!(
        message(m.u32("u64").unwrap_err()),
        "metadata key `u64`: expected an integer from 0 to 4294967295, found u64 18446744073709551615"
    );
    assert_eq!(
        message(m.str("a.u16").unwrap_err()),
        "metadata key `a.u16`: expected a string, found array<u16> [0, 65535] (2 elements)"
    );
    assert_eq!(
        message(m.i32s("a.u32").unwrap_err()),
        "metadata key `a.u32`: expected an array of integers from -2147483648 to 2147483647, found array<u32> [0, 4294967295] (2 elements)"
    );
    assert_eq!(message(m.require_u32("gone").unwrap_err()), "metadata key `gone` is missing");
    assert_eq!(message(m.require_str("gone").unwrap_err()), "metadata key `gone` is missing");
}

fn any_value() -> impl Strategy<Value = Value> {
    let numbers = |n| 0..n;
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i16>().prop_map(Value::I16),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        proptest::num::f32::NORMAL.prop_map(Value::F32),
        proptest::num::f64::NORMAL.prop_map(Value::F64),
        any::<bool>().prop_map(Value::Bool),
        any::<String>().prop_map(Value::String),
        proptest::collection::vec(any::<i32>(), numbers(20)).prop_map(|v| Value::Array(Array::I32(v))),
        proptest::collection::vec(any::<bool>(), numbers(20)).prop_map(|v| Value::Array(Array::Bool(v))),
        proptest::collection::vec(any::<String>(), numbers(9))
            .prop_map(|v| Value::Array(Array::String(v.into_iter().collect()))),
    ]
}

proptest! {
    #[test]
    fn random_metadata(
        pairs in proptest::collection::btree_map("[a-z0-9_.é]{1,20}", any_value(), 0..12),
        alignment in (0u32..10).prop_map(|n| 1 << n),
        sizes in proptest::collection::vec(1u64..300, 0..6),
    ) {
        let mut writer = Writer::new().alignment(alignment);
        for (k, v) in &pairs {
            writer = writer.metadata(k, v.clone());
        }
        for (i, &n) in sizes.iter().enumerate() {
            writer = writer.tensor(&format!("t{i}"), DType::I8, &[n], &vec![i as u8; n as usize]);
        }
        let out = writer.finish();
        let file = parse(&out).unwrap();
        prop_assert_eq!(file.metadata.len(), pairs.len() + 1);
        for (k, v) in &pairs {
            prop_assert_eq!(file.metadata.get(k), Some(v));
        }
        prop_assert_eq!(file.tensors.len(), sizes.len());
        for (i, (t, &n)) in file.tensors.iter().zip(&sizes).enumerate() {
            prop_assert_eq!(&out[t.offset as usize..(t.offset + t.bytes) as usize], vec![i as u8; n as usize]);
        }
    }
}
