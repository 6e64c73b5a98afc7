//! Models in several files: `name-00001-of-00003.gguf`.

use crate::{Error, Gguf, Metadata, ReadAt};

/// Most files of one model.
const MAX_FILES: u32 = 1024;

/// Finds a file by name.
pub type Open<'a> = dyn FnMut(&str) -> Result<Box<dyn ReadAt>, Error> + 'a;

impl Gguf {
    /// Reads the directory of `name` and, if it is the first file of a split model, of its siblings. `open` finds a
    /// file by name.
    pub fn parse_split(name: &str, open: &mut Open<'_>) -> Result<Gguf, Error> {
        let mut model = Gguf::parse(&*open(name)?, name)?;
        let count = model.metadata.u32("split.count")?.unwrap_or(0);
        if count <= 1 {
            return Ok(model);
        }
        let names = siblings(name, count)?;
        check_number(&model.metadata, name, 0, count)?;
        for (i, sibling) in names.iter().enumerate().skip(1) {
            let part = Gguf::parse(&*open(sibling)?, sibling)?;
            check_number(&part.metadata, sibling, i as u32, count)?;
            append(&mut model, part, i, sibling)?;
        }
        check_total(&model, name)?;
        model.files = names;
        Ok(model)
    }
}

/// Names of all parts, given the first one's.
fn siblings(name: &str, count: u32) -> Result<Vec<String>, Error> {
    let bad =
        |what, expected: String, found: String| Error::Split { file: name.into(), what, expected, found };
    if count > MAX_FILES {
        return Err(bad("split.count", format!("at most {MAX_FILES}"), count.to_string()));
    }
    let ending = format!("-00001-of-{count:05}.gguf");
    let Some(base) = name.strip_suffix(&ending) else {
        let expected = format!("the first file, named `…{ending}`");
        return Err(bad("file name", expected, format!("`{name}`")));
    };
    Ok((1..=count).map(|i| format!("{base}-{i:05}-of-{count:05}.gguf")).collect())
}

fn check_number(metadata: &Metadata, file: &str, number: u32, count: u32) -> Result<(), Error> {
    for (key, expected) in [("split.no", number), ("split.count", count)] {
        let found = metadata.u32(key)?;
        if found != Some(expected) {
            let expected = expected.to_string();
            let found = found.map_or("no such key".into(), |n| n.to_string());
            return Err(Error::Split { file: file.into(), what: key, expected, found });
        }
    }
    Ok(())
}

/// Adds the tensors of part `number`, named `file`. A name may be in one part only.
fn append(model: &mut Gguf, part: Gguf, number: usize, file: &str) -> Result<(), Error> {
    for mut tensor in part.tensors {
        if model.index.insert(tensor.name.clone(), model.tensors.len()).is_some() {
            let (expected, found) = ("one tensor of this name in the model", "it in an earlier part too");
            return Err(Error::tensor(file, &tensor.name, "name", expected, found));
        }
        tensor.file = number;
        model.tensors.push(tensor);
    }
    Ok(())
}

fn check_total(model: &Gguf, file: &str) -> Result<(), Error> {
    let Some(expected) = model.metadata.u64("split.tensors.count")? else { return Ok(()) };
    let found = model.tensors.len() as u64;
    if found == expected {
        return Ok(());
    }
    let (expected, found) = (expected.to_string(), found.to_string());
    Err(Error::Split { file: file.into(), what: "split.tensors.count", expected, found })
}
