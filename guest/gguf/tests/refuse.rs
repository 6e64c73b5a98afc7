//! Every way in which a file can be wrong, with the message that it gives.

mod common;

use chord_gguf::{Array, Error, Gguf, ReadAt, Value, Writer};
use chord_quant::DType;
use common::{parse, refused, sample};

/// Header with these counts and nothing more.
fn header(tensors: u64, pairs: u64) -> Vec<u8> {
    let mut out = Writer::new().finish();
    out[8..16].copy_from_slice(&tensors.to_le_bytes());
    out[16..24].copy_from_slice(&pairs.to_le_bytes());
    out
}

/// A file with one pair of key `k`, of this type number and these bytes.
fn pair(kind: u32, value: &[u8]) -> Vec<u8> {
    let mut out = header(0, 1);
    out.extend(b"\x01\0\0\0\0\0\0\0k");
    out.extend(kind.to_le_bytes());
    out.extend(value);
    out
}

/// A file with the array `k`, of this element type, count and bytes.
fn array(kind: u32, count: u64, elements: &[u8]) -> Vec<u8> {
    pair(9, &[&kind.to_le_bytes()[..], &count.to_le_bytes(), elements].concat())
}

/// A file with an array of bytes inside so many others, of one element each.
fn nested(depth: usize) -> Vec<u8> {
    let one = [&9u32.to_le_bytes()[..], &1u64.to_le_bytes()].concat();
    pair(9, &[one.repeat(depth), [&0u32.to_le_bytes()[..], &1u64.to_le_bytes(), &[7]].concat()].concat())
}

/// A file with the tensor `t` of type number `dtype`.
fn tensor(dtype: u32, dims: &[u64], offset: Option<u64>, bytes: &[u8]) -> Vec<u8> {
    Writer::new().raw_tensor("t", dtype, dims, offset, bytes).finish()
}

const PAGE: &str = "it is a web page, perhaps an error page or one to log in; download the file itself again";

#[test]
fn not_gguf() {
    for (bytes, found) in [
        (&b""[..], "the file is empty"),
        (b"GGU", "it has fewer than 4 bytes"),
        (b"FUGG\0\0\0\x03", "the bytes are swapped"),
        (b"lmgg\0\0\0\x03", "it is an older GGML format; convert it to GGUF"),
        (b"PK\x03\x04......", "it is a zip archive, perhaps a PyTorch model; convert it to GGUF"),
        (b"\x09\0\0\0\0\0\0\0{\"a\": {}}", "it is a safetensors file; convert it to GGUF"),
        // The header would end behind the file's end.
        (b"\x0a\0\0\0\0\0\0\0{\"a\": {}}", "it begins with [0a, 00, 00, 00], expected the magic `GGUF`"),
        (b"gguf\x03\0\0\0", "it begins with [67, 67, 75, 66], expected the magic `GGUF`"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            "it is a Git LFS pointer, which stands for the real file; fetch that with `git lfs pull`, or download it",
        ),
        (b"\xef\xbb\xbf\r\n<!DOCTYPE html>\n<title>404</title>", PAGE),
        (b"<HTML><body>", PAGE),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", PAGE),
        (
            b"{\"error\": \"Repository not found\"}",
            "it is JSON, perhaps an error message or a model's configuration",
        ),
        (b"\x80\x02}q\0", "it is a Python pickle, perhaps an old PyTorch model; convert it to GGUF"),
        (b"\x1f\x8b\x08\0", "it is compressed with gzip; unpack it"),
        (b"MZqFpD='\n", "it is a program, perhaps a llamafile; give the GGUF file that is in it"),
        (
            b"algg\x01\0\0\0",
            "it is a LoRA adapter in an older format; convert it to GGUF and merge it into its model",
        ),
    ] {
        assert!(matches!(parse(bytes), Err(Error::NotGguf { .. })), "{found}");
        assert_eq!(refused(bytes), format!("m.gguf: not a GGUF file: {found}"));
    }
}

#[test]
fn nothing_but_the_magic() {
    assert_eq!(refused(b"GGUF"), "m.gguf: truncated: version needs 4 bytes at offset 4, the file has 4");
}

#[test]
fn versions() {
    for (version, found) in [
        (0, "0"),
        (1, "1 (an old draft); convert the model again"),
        (4, "4"),
        (u32::MAX, "4294967295"),
        (3 << 24, "3 in big-endian bytes; convert the model again"),
    ] {
        let bytes = Writer::new().version(version).finish();
        assert!(matches!(parse(&bytes), Err(Error::Version { .. })));
        assert_eq!(refused(&bytes), format!("m.gguf: GGUF version: expected 2 or 3, found {found}"));
    }
}

#[test]
fn absurd_counts() {
    for n in [1, 1 << 32, u64::MAX / 14, u64::MAX] {
        let needed = n.saturating_mul(14);
        assert_eq!(
            refused(&header(0, n)),
            format!("m.gguf: truncated: metadata needs {needed} bytes at offset 24, the file has 24")
        );
        let needed = n.saturating_mul(33);
        assert_eq!(
            refused(&header(n, 0)),
            format!("m.gguf: truncated: tensor directory needs {needed} bytes at offset 24, the file has 24")
        );
    }
    assert!(matches!(parse(&header(1, 0)), Err(Error::Truncated { needed: 33, offset: 24, size: 24, .. })));
}

#[test]
fn strings_too_long() {
    let mut key = header(0, 1);
    key.extend(u64::MAX.to_le_bytes());
    key.extend([0; 20]);
    assert_eq!(
        refused(&key),
        format!("m.gguf: truncated: metadata key 0 needs {} bytes at offset 32, the file has 52", u64::MAX)
    );
    assert_eq!(
        refused(&pair(8, &1000u64.to_le_bytes())),
        "m.gguf: truncated: value of `k` needs 1000 bytes at offset 45, the file has 45"
    );
    assert_eq!(
        refused(&array(8, 1, &(1u64 << 40).to_le_bytes())),
        "m.gguf: truncated: value of `k` needs 1099511627776 bytes at offset 57, the file has 57"
    );
}

#[test]
fn arrays() {
    for (bytes, message) in [
        (
            array(6, 1 << 62, &[]),
            format!("truncated: value of `k` needs {} bytes at offset 49, the file has 49", u64::MAX),
        ),
        (
            array(8, 9, &[0; 64]),
            "truncated: value of `k` needs 72 bytes at offset 49, the file has 113".into(),
        ),
        (
            array(12, 2, &[0; 15]),
            "truncated: value of `k` needs 16 bytes at offset 49, the file has 64".into(),
        ),
        (
            array(9, 3, &[0; 35]),
            "truncated: value of `k` needs 36 bytes at offset 49, the file has 84".into(),
        ),
        (nested(5), "value of `k`: expected arrays at most 4 deep, found more".into()),
        (array(13, 0, &[]), "value of `k`: expected an element type from 0 to 12, found 13".into()),
        (array(7, 3, &[0, 1, 2]), "value of `k`: expected 0 or 1 for a boolean, found 2".into()),
    ] {
        assert_eq!(refused(&bytes), format!("m.gguf: {message}"));
    }
}

#[test]
fn values() {
    for (bytes, message) in [
        (pair(13, &[0; 8]), "value of `k`: expected a type from 0 to 12, found 13"),
        (pair(u32::MAX, &[0; 8]), "value of `k`: expected a type from 0 to 12, found 4294967295"),
        (pair(7, &[0xff]), "value of `k`: expected 0 or 1 for a boolean, found 255"),
        (pair(10, &[0; 7]), "truncated: value of `k` needs 8 bytes at offset 37, the file has 44"),
    ] {
        assert_eq!(refused(&bytes), format!("m.gguf: {message}"));
    }
}

#[test]
fn keys() {
    let twice = Writer::new().metadata("k", Value::U8(1)).metadata("k", Value::U8(1));
    assert_eq!(refused(&twice.finish()), "m.gguf: metadata key `k`: expected one, found two");
    let empty = Writer::new().metadata("", Value::U32(1));
    assert_eq!(refused(&empty.finish()), "m.gguf: metadata key 0: expected a name, found an empty one");
    let mut bytes = Writer::new().metadata("é", Value::U32(1)).finish();
    bytes[33] = b'x';
    assert_eq!(refused(&bytes), "m.gguf: metadata key 0: expected UTF-8, found another byte at offset 32");
    let mut bytes = Writer::new().metadata("abé", Value::U32(1)).finish();
    bytes[35] = b'x';
    assert_eq!(refused(&bytes), "m.gguf: metadata key 0: expected UTF-8, found another byte at offset 34");
}

/// Text in another encoding is refused by those who need it, and shown with U+FFFD.
#[test]
fn other_encodings() {
    let one = parse(&pair(8, b"\x03\0\0\0\0\0\0\0ab\xe9")).expect("nobody needs `k`");
    assert_eq!(one.metadata.get("k"), Some(&Value::Bytes(b"ab\xe9".to_vec())));
    assert_eq!(one.metadata.shown("k").as_deref(), Some("ab\u{fffd}"));
    let value = one.metadata.get("k").map(|v| (v.kind(), v.preview(40)));
    assert_eq!(value, Some(("string".into(), "ab\u{fffd}".into())));
    assert_eq!(
        one.metadata.str("k").unwrap_err().to_string(),
        "metadata key `k`: expected a string, found string ab\u{fffd}, which is not UTF-8"
    );
    let elements = b"\x01\0\0\0\0\0\0\0a\x02\0\0\0\0\0\0\0b\xff";
    let list = parse(&array(8, 2, elements)).expect("nobody needs `k`");
    assert_eq!(
        list.metadata.strings("k").unwrap_err().to_string(),
        "metadata key `k`: expected an array of strings, \
         found array<string> [\"a\", \"b\u{fffd}\"] (2 elements), of which element 1 is not UTF-8"
    );
}

#[test]
fn nested_arrays() {
    let gguf = parse(&nested(4)).expect("they are not deep");
    let mut array = Array::U8(vec![7]);
    (0..4).for_each(|_| array = Array::Array(vec![array.clone()]));
    let value = Value::Array(array);
    assert_eq!(gguf.metadata.get("k"), Some(&value));
    assert_eq!(
        (value.kind(), value.preview(40)),
        ("array<array>".into(), "[1 of array] (1 elements)".into())
    );
    assert!(matches!(gguf.metadata.strings("k"), Err(Error::KeyType { .. })));
}

/// Numbers in arrays and alone, of whatever width.
#[test]
fn integers_of_any_width() {
    let each = |value: Value| {
        let gguf = parse(&Writer::new().metadata("k", value).finish()).expect("it parses");
        gguf.metadata.u32_each("k", 2)
    };
    let lists = [
        Array::U8(vec![1, 2]),
        Array::I8(vec![1, 2]),
        Array::U16(vec![1, 2]),
        Array::I16(vec![1, 2]),
        Array::U32(vec![1, 2]),
        Array::I32(vec![1, 2]),
        Array::U64(vec![1, 2]),
        Array::I64(vec![1, 2]),
    ];
    for list in lists {
        let metadata =
            parse(&Writer::new().metadata("k", Value::Array(list.clone())).finish()).unwrap().metadata;
        assert_eq!(metadata.i32s("k").unwrap().as_deref(), Some(&[1, 2][..]), "{}", list.element());
        assert_eq!(metadata.f32s("k").unwrap().as_deref(), Some(&[1.0, 2.0][..]), "{}", list.element());
        assert_eq!(each(Value::Array(list)), Ok(Some(vec![1, 2])));
    }
    for one in [Value::U8(7), Value::I16(7), Value::I32(7), Value::U64(7), Value::I64(7)] {
        assert_eq!(each(one), Ok(Some(vec![7, 7])));
    }
    let three = each(Value::Array(Array::U32(vec![1; 3]))).unwrap_err();
    assert_eq!(three.to_string(), "metadata key `k`: expected 2 elements, found 3");
    for bad in [
        Value::I64(-1),
        Value::U64(1 << 32),
        Value::F32(1.0),
        Value::Array(Array::I8(vec![1, -1])),
        Value::Array(Array::F32(vec![1.0, 1.0])),
    ] {
        assert!(matches!(each(bad), Err(Error::KeyType { .. })));
    }
    let floats = Value::Array(Array::F64(vec![0.5, -1.0]));
    let metadata = parse(&Writer::new().metadata("k", floats).finish()).unwrap().metadata;
    assert_eq!(metadata.f32s("k").unwrap().as_deref(), Some(&[0.5, -1.0][..]));
    assert_eq!(metadata.u32_each("missing", 2), Ok(None));
}

#[test]
fn alignments() {
    for n in [0, 3, 33, 1 << 21, u32::MAX] {
        assert_eq!(
            refused(&Writer::new().metadata("general.alignment", Value::U32(n)).finish()),
            format!("m.gguf: `general.alignment`: expected a power of two up to 1048576, found {n}")
        );
    }
    let text = Writer::new().metadata("general.alignment", Value::String("32".into()));
    assert_eq!(
        refused(&text.finish()),
        "metadata key `general.alignment`: expected an integer from 0 to 4294967295, found string 32"
    );
}

#[test]
fn tensor_names() {
    for (name, found) in [(String::new(), 0), ("n".repeat(65), 65)] {
        let out = Writer::new().tensor(&name, DType::I8, &[1], &[0]).finish();
        assert_eq!(
            refused(&out),
            format!("m.gguf: name of tensor 0: expected 1 to 64 bytes, found {found} bytes")
        );
    }
    let twice = Writer::new().tensor("t", DType::I8, &[1], &[0]).tensor("t", DType::I8, &[1], &[0]);
    assert!(matches!(parse(&twice.finish()), Err(Error::Tensor { what: "name", .. })));
    assert_eq!(
        refused(&twice.finish()),
        "m.gguf: tensor `t`: name: expected one tensor of this name, found two"
    );
}

#[test]
fn shapes() {
    let f32s = DType::F32.ggml_id();
    for (dtype, dims, message) in [
        (f32s, &[][..], "number of dimensions: expected 1 to 4, found 0"),
        (f32s, &[1, 1, 1, 1, 1], "number of dimensions: expected 1 to 4, found 5"),
        (f32s, &[4, 0], "shape: expected extents above 0, found [4, 0]"),
        (2, &[33], "row length: expected a multiple of 32 (Q4_0 blocks), found 33"),
        (12, &[128, 2], "row length: expected a multiple of 256 (Q4_K blocks), found 128"),
        (
            f32s,
            &[1 << 32, 1 << 32],
            "shape: expected fewer than 2^63 elements and bytes, found [4294967296, 4294967296]",
        ),
        (
            f32s,
            &[u64::MAX, 3],
            "shape: expected fewer than 2^63 elements and bytes, found [18446744073709551615, 3]",
        ),
        // 2^62 elements are 2^64 bytes.
        (f32s, &[1 << 62], "shape: expected fewer than 2^63 elements and bytes, found [4611686018427387904]"),
    ] {
        assert_eq!(refused(&tensor(dtype, dims, None, &[0; 64])), format!("m.gguf: tensor `t`: {message}"));
    }
}

/// A number of dimensions that is absurd is refused before any of them is read.
#[test]
fn absurd_dimension_count() {
    let mut bytes = tensor(0, &[1], None, &[0; 4]);
    bytes[33..37].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(
        refused(&bytes),
        "m.gguf: tensor `t`: number of dimensions: expected 1 to 4, found 4294967295"
    );
}

#[test]
fn unknown_types() {
    for id in [4, 5, 31, 1000, u32::MAX] {
        let message = refused(&tensor(id, &[256], None, &[0; 256]));
        assert!(
            message.starts_with("m.gguf: tensor `t`: type: expected one of 0 (F32), 1 (F16), 2 (Q4_0),"),
            "{message}"
        );
        assert!(message.ends_with(&format!("39 (MXFP4), found {id}")), "{message}");
    }
}

#[test]
fn offsets() {
    assert_eq!(
        refused(&tensor(0, &[1], Some(8), &[0; 64])),
        "m.gguf: tensor `t`: offset: expected a multiple of 32, found 8"
    );
    // The directory ends at 24 + 9 + 4 + 8 + 4 + 8 = 57, so data begin at 64; the file has 68 bytes.
    for offset in [32, 1 << 40, u64::MAX - 31] {
        assert_eq!(
            refused(&tensor(0, &[1], Some(offset), &[0; 4])),
            format!(
                "m.gguf: tensor `t`: data: expected its 4 bytes inside the file of 68 bytes, \
                 found offset {offset} in data that begins at 64 (is the file truncated?)"
            )
        );
    }
    assert_eq!(
        refused(&tensor(0, &[1 << 60], None, &[0; 4])),
        "m.gguf: tensor `t`: data: expected its 4611686018427387904 bytes inside the file of 68 bytes, \
         found offset 0 in data that begins at 64 (is the file truncated?)"
    );
}

#[test]
fn overlaps() {
    let overlap = |second| {
        let first = Writer::new().raw_tensor("a", 24, &[40], Some(32), &[0; 40]);
        first.raw_tensor("b", 24, &[33], Some(second), &[0; 100]).finish()
    };
    // Data begin at 96: `a` is at 128..168.
    assert_eq!(
        refused(&overlap(64)),
        "m.gguf: tensor `b`: data: expected data after the end of `a` at 168, found offset 160"
    );
    assert_eq!(
        refused(&overlap(0)),
        "m.gguf: tensor `a`: data: expected data after the end of `b` at 129, found offset 128"
    );
    assert!(refused(&overlap(32)).contains("data: expected data after the end of"));
    assert!(parse(&overlap(96)).is_ok(), "directory order need not be data order");
}

/// A file whose source claims any size, holds a short beginning, and notes how much is read.
struct Huge {
    start: Vec<u8>,
    size: u64,
    most: std::cell::Cell<usize>,
}

impl ReadAt for Huge {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        assert!(len <= 256 << 20, "one read of {len} bytes");
        self.most.set(self.most.get().max(len));
        let mut out = vec![0; len];
        let start = (offset as usize).min(self.start.len());
        let part = &self.start[start..(start + len).min(self.start.len())];
        out[..part.len()].copy_from_slice(part);
        Ok(out)
    }
}

/// In a file of many GiB a count can be absurd and still fit; nothing of its size may be read or allocated.
#[test]
fn absurd_counts_in_a_huge_file() {
    let limit = "to end in the first 268435456 bytes, as metadata and directory must";
    for (start, what, end) in [
        (header(1 << 32, 0), "tensor directory", 24 + (33u64 << 32)),
        (header(0, 1 << 32), "metadata", 24 + (14 << 32)),
        (array(10, 1 << 30, &[]), "value of `k`", 49 + (8 << 30)),
        (array(0, 1 << 40, &[]), "value of `k`", 49 + (1 << 40)),
        (array(8, 1 << 33, &[]), "value of `k`", 49 + (8 << 33)),
        (pair(8, &(1u64 << 41).to_le_bytes()), "value of `k`", 45 + (1 << 41)),
    ] {
        let file = Huge { start, size: 1 << 50, most: 0.into() };
        let message = Gguf::parse(&file, "huge.gguf").unwrap_err().to_string();
        assert_eq!(message, format!("huge.gguf: {what}: expected {limit}, found an end at {end}"));
        assert!(file.most.get() <= 1 << 20, "read {} bytes", file.most.get());
    }
}

/// A source that fails, and one that gives fewer bytes than asked for.
#[test]
fn sources() {
    struct Bad(bool);
    impl ReadAt for Bad {
        fn size(&self) -> u64 {
            100
        }
        fn read_at(&self, _: u64, len: usize) -> Result<Vec<u8>, Error> {
            if self.0 { Err(Error::read("m.gguf", "disk on fire")) } else { Ok(vec![b'G'; len.min(3)]) }
        }
    }
    let message = |bad| Gguf::parse(&bad, "m.gguf").unwrap_err().to_string();
    assert_eq!(message(Bad(true)), "m.gguf: cannot be read: disk on fire");
    assert_eq!(message(Bad(false)), "m.gguf: truncated: magic needs 4 bytes at offset 0, the file has 100");
    assert_eq!(Error::not_found("m.gguf", "no such file").to_string(), "m.gguf: no such file");
    assert_eq!(Error::not_found("m.gguf", "open m.gguf: gone").to_string(), "open m.gguf: gone");
    assert!(b"abc"[..].read_at(2, 2).is_err() && b"abc"[..].read_at(u64::MAX, 1).is_err());
}

/// Previews of arrays of arrays of text stay short.
#[test]
fn previews() {
    let long = Value::Array(Array::String(common::strings(&["x".repeat(1000).as_str(); 9])));
    assert!(long.preview(40).len() < 250, "{}", long.preview(40));
    assert_eq!(Value::String("日本語".into()).preview(2), "日本… (9 bytes)");
    assert_eq!(Value::Array(Array::U8(vec![])).preview(9), "[] (0 elements)");
    assert!(parse(&sample().finish()).is_ok());
}

/// Kind and preview of each type.
#[test]
fn previews_of_every_type() {
    let expected = [
        "u8 255",
        "i8 -128",
        "u16 65535",
        "i16 -32768",
        "u32 4294967295",
        "i32 -2147483648",
        "u64 18446744073709551615",
        "i64 -9223372036854775808",
        "f32 0.000000000000000000000000000000000000011754944",
        "f64 -1000000000000000000",
    ];
    let found = common::every_value().into_iter().map(|(_, v)| format!("{} {}", v.kind(), v.preview(40)));
    for (found, expected) in found.zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
    let rest = common::every_value().split_off(10);
    let rest: Vec<_> = rest.iter().map(|(_, v)| format!("{} {}", v.kind(), v.preview(40))).collect();
    assert_eq!(
        rest,
        [
            "bool false",
            "bool true",
            "string naïve 日本 \0 🦀",
            "string ",
            "array<u8> [0, 127, 255] (3 elements)",
            "array<i8> [-128, 0, 127] (3 elements)",
            "array<u16> [0, 65535] (2 elements)",
            "array<i16> [-32768, 32767] (2 elements)",
            "array<u32> [0, 4294967295] (2 elements)",
            "array<i32> [-2147483648, 2147483647] (2 elements)",
            "array<u64> [0, 18446744073709551615] (2 elements)",
            "array<i64> [-9223372036854775808, 9223372036854775807] (2 elements)",
            "array<f32> [0.1, inf, 340282350000000000000000000000000000000] (3 elements)",
            &format!("array<f64> [0.1, {}] (2 elements)", f64::MIN),
            "array<bool> [true, false, true] (3 elements)",
            "array<string> [\"\", \"a\", \"日本\", \"\"] (4 elements)",
            "string mod\u{fffd}le",
            "array<array> [2 of string, 2 of array] (2 elements)",
            "array<array> [] (0 elements)",
            "array<i32> [] (0 elements)",
            "array<string> [] (0 elements)",
        ]
    );
    let five = Value::Array(Array::U8(vec![1, 2, 3, 4, 5]));
    assert_eq!(five.preview(40), "[1, 2, 3, 4, …] (5 elements)");
    assert_eq!(Value::Array(Array::U8(vec![1, 2, 3, 4])).preview(40), "[1, 2, 3, 4] (4 elements)");
}
