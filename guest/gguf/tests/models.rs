//! The models in `tests/data/models`, against what the Python package `gguf` says (`data/make.py`).

use chord_gguf::{Array, Gguf, Value};
use std::path::PathBuf;

/// Number of elements and the value as the table has it: of arrays the first element, of f32 the bits.
fn text(value: &Value) -> (usize, String) {
    let float = |x: f32| format!("{:08x}", x.to_bits());
    match value {
        Value::String(s) => (1, s.clone()),
        Value::U32(x) => (1, x.to_string()),
        Value::Bool(x) => (1, x.to_string()),
        Value::F32(x) => (1, float(*x)),
        Value::Array(Array::String(v)) => (v.len(), v.get(0).unwrap().into()),
        Value::Array(Array::I32(v)) => (v.len(), v[0].to_string()),
        Value::Array(Array::F32(v)) => (v.len(), float(v[0])),
        other => panic!("{} is not in the table", other.kind()),
    }
}

#[test]
fn tables_match() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/models");
    let mut rows = include_str!("data/models.tsv").lines().map(|l| l.split('\t').collect::<Vec<_>>());
    let mut files = 0;
    while let Some(head) = rows.next() {
        assert_eq!(head[0], "F");
        let file = Gguf::parse(&std::fs::read(folder.join(head[1])).unwrap(), head[1]).unwrap();
        let found = [file.alignment, file.data_offset, file.metadata.len() as u64, file.tensors.len() as u64];
        assert_eq!(found.map(|n| n.to_string()), head[2..], "{}", head[1]);
        for (key, value) in file.metadata.iter() {
            let (count, text) = text(value);
            let row = rows.next().unwrap();
            assert_eq!(["K", key, &value.kind(), &count.to_string(), &text], row[..], "{}", head[1]);
        }
        for t in &file.tensors {
            let dims = t.dims.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
            let row = rows.next().unwrap();
            let found = ["T", &t.name, t.dtype.name(), &dims, &t.offset.to_string(), &t.bytes.to_string()];
            assert_eq!(found, row[..], "{}", head[1]);
        }
        files += 1;
    }
    assert_eq!(files, 5);
}
