//! Models in several files.

use chord_gguf::{Error, Gguf, ReadAt, Value, Writer};
use chord_quant::DType;
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

fn part(number: u16, count: u16, tensors: &[&str]) -> Writer {
    let writer = Writer::new()
        .metadata("split.no", Value::U16(number))
        .metadata("split.count", Value::U16(count))
        .metadata("split.tensors.count", Value::I32(4));
    tensors.iter().fold(writer, |w, name| w.tensor(name, DType::I8, &[3], name.repeat(3).as_bytes()))
}

fn name(i: usize) -> String {
    format!("m-{i:05}-of-00003.gguf")
}

/// A good model of three files and four tensors.
fn files() -> Files {
    let mut files = Files::new();
    files.insert(name(1), part(0, 3, &["a", "b"]).alignment(64).finish());
    files.insert(name(2), part(1, 3, &["c"]).finish());
    files.insert(name(3), part(2, 3, &["d"]).finish());
    files
}

fn open(files: &Files, first: &str) -> Result<Gguf, Error> {
    Gguf::parse_split(first, &mut |name| match files.get(name) {
        Some(bytes) => Ok(Box::new(bytes.clone()) as Box<dyn ReadAt>),
        None => Err(Error::not_found(name, "no such file")),
    })
}

/// The message when one file is replaced, or taken away.
fn refused(i: usize, bytes: Option<Vec<u8>>) -> String {
    let mut files = files();
    files.remove(&name(i));
    files.extend(bytes.map(|b| (name(i), b)));
    open(&files, &name(1)).expect_err("must be refused").to_string()
}

#[test]
fn good() {
    let files = files();
    let model = open(&files, &name(1)).unwrap();
    assert_eq!(model.files(), [name(1), name(2), name(3)]);
    let found: Vec<_> = model.tensors.iter().map(|t| (t.name.as_str(), t.file)).collect();
    assert_eq!(found, [("a", 0), ("b", 0), ("c", 1), ("d", 2)]);
    for t in &model.tensors {
        assert_eq!(model.tensor(&t.name), Some(t));
        let file = &files[&model.files()[t.file]];
        assert_eq!(&file[t.offset as usize..][..3], t.name.repeat(3).as_bytes());
    }
}

#[test]
fn one_file_is_not_split() {
    for writer in [Writer::new(), part(0, 1, &["a"]), Writer::new().metadata("split.count", Value::U16(0))] {
        let files = Files::from([("any name".to_string(), writer.finish())]);
        assert_eq!(open(&files, "any name").unwrap().files(), ["any name"]);
    }
}

#[test]
fn missing_files() {
    assert_eq!(refused(1, None), "m-00001-of-00003.gguf: no such file");
    assert_eq!(refused(2, None), "m-00002-of-00003.gguf: no such file");
    assert_eq!(refused(3, None), "m-00003-of-00003.gguf: no such file");
}

#[test]
fn wrong_names() {
    let files = files();
    let message = |first: &str, of: usize| {
        let files = Files::from([(first.to_string(), files[&name(of)].clone())]);
        open(&files, first).unwrap_err().to_string()
    };
    for (first, of) in [("m.gguf", 1), ("m-00001-of-00004.gguf", 1), ("m-00002-of-00003.gguf", 2)] {
        assert_eq!(
            message(first, of),
            format!(
                "{first}: split model: file name: expected the first file, named `…-00001-of-00003.gguf`, \
                 found `{first}`"
            )
        );
    }
}

#[test]
fn wrong_order() {
    assert_eq!(
        refused(2, Some(part(2, 3, &["c"]).finish())),
        "m-00002-of-00003.gguf: split model: split.no: expected 1, found 2"
    );
    assert_eq!(
        refused(1, Some(part(1, 3, &["a", "b"]).finish())),
        "m-00001-of-00003.gguf: split model: split.no: expected 0, found 1"
    );
}

#[test]
fn wrong_counts() {
    assert_eq!(
        refused(3, Some(part(2, 4, &["d"]).finish())),
        "m-00003-of-00003.gguf: split model: split.count: expected 3, found 4"
    );
    assert_eq!(
        refused(3, Some(part(2, 3, &["d", "e"]).finish())),
        "m-00001-of-00003.gguf: split model: split.tensors.count: expected 4, found 5"
    );
    assert_eq!(
        refused(3, Some(part(2, 3, &[]).finish())),
        "m-00001-of-00003.gguf: split model: split.tensors.count: expected 4, found 3"
    );
    assert_eq!(
        refused(1, Some(part(0, 1025, &[]).finish())),
        "m-00001-of-00003.gguf: split model: split.count: expected at most 1024, found 1025"
    );
    // As many as there may be, under a name that is not one of theirs.
    assert!(refused(1, Some(part(0, 1024, &[]).finish())).contains("split model: file name: "));
    let many = Writer::new().metadata("split.count", Value::I8(-1)).finish();
    assert_eq!(
        refused(1, Some(many)),
        "metadata key `split.count`: expected an integer from 0 to 4294967295, found i8 -1"
    );
}

#[test]
fn parts_that_are_no_parts() {
    assert_eq!(
        refused(2, Some(Writer::new().tensor("c", DType::I8, &[1], &[0]).finish())),
        "m-00002-of-00003.gguf: split model: split.no: expected 1, found no such key"
    );
    assert_eq!(refused(2, Some(vec![])), "m-00002-of-00003.gguf: not a GGUF file: the file is empty");
}

#[test]
fn a_tensor_in_two_files() {
    assert_eq!(
        refused(2, Some(part(1, 3, &["b"]).finish())),
        "m-00002-of-00003.gguf: tensor `b`: name: expected one tensor of this name in the model, \
         found it in an earlier part too"
    );
}
