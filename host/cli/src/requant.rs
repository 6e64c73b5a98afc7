//! Rewriting a model file with other tensor types.

use anyhow::{Context, Result, bail};
use chord_gguf::{Error, Gguf, ReadAt, TensorInfo, Value, Writer};
use chord_quant::{DType, Quantise, format};
use chord_runtime::ModelFiles;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Tensor types that models can be written in, with the `general.file_type` of such a file (llama.cpp's numbers).
pub(crate) const TARGETS: &[(DType, u32)] = &[
    (DType::F16, 1),
    (DType::BF16, 32),
    (DType::Q8_0, 7),
    (DType::Q6_K, 18),
    (DType::Q5_K, 16),
    (DType::Q4_K, 14),
    (DType::Q4_0, 2),
];

/// Elements that are converted at once, at least one row.
const CHUNK: usize = 1 << 22;

/// What to write.
pub(crate) struct Job<'a> {
    pub(crate) target: DType,
    /// The output matrix in `target` too, not finer.
    pub(crate) pure: bool,
    pub(crate) allow_requantize: bool,
    pub(crate) threads: usize,
    /// Told the bytes of the source that were converted; an error stops the work.
    pub(crate) progress: &'a dyn Fn(u64) -> Result<()>,
}

/// An opened source file.
pub(crate) struct Source {
    pub(crate) gguf: Gguf,
    files: Vec<Disk>,
    paths: ModelFiles,
}

/// A file of the source.
struct Disk {
    name: String,
    file: Mutex<File>,
    size: u64,
}

impl ReadAt for Disk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut file = self.file.lock().unwrap_or_else(|e| e.into_inner());
        let mut read = || {
            let mut bytes = vec![0; len];
            file.seek(SeekFrom::Start(offset))?;
            file.read_exact(&mut bytes).map(|()| bytes)
        };
        read().map_err(|e: std::io::Error| Error::Read { file: self.name.clone(), why: e.to_string() })
    }
}

impl Source {
    /// Reads the directory of a model file, or of a split model by its first file.
    pub(crate) fn open(path: &Path) -> Result<Source> {
        let paths =
            ModelFiles::at(path).with_context(|| format!("cannot open model `{}`", path.display()))?;
        let open = |name: &str| -> Result<Disk, Error> {
            let cannot = |e| {
                Error::NotFound(format!("cannot open model `{}`: {e}", path.with_file_name(name).display()))
            };
            let file = paths.open(name).map_err(cannot)?;
            let size = file.metadata().map_or(0, |m| m.len());
            Ok(Disk { name: name.into(), file: Mutex::new(file), size })
        };
        let gguf = Gguf::parse_split(paths.name(), &mut |n| Ok(Box::new(open(n)?)))?;
        let files = gguf.files().iter().map(|n| open(n)).collect::<Result<_, _>>()?;
        Ok(Source { gguf, files, paths })
    }

    /// Where its files are.
    pub(crate) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.gguf.files().iter().filter_map(|name| self.paths.path(name))
    }

    /// Bytes of all tensors.
    pub(crate) fn bytes(&self) -> u64 {
        self.gguf.tensors.iter().map(|t| t.bytes).sum()
    }

    /// Writes the model to `out`. Returns each tensor's type.
    pub(crate) fn write(&self, job: &Job<'_>, out: &mut dyn Write) -> Result<Vec<DType>> {
        let types = self.gguf.tensors.iter().map(|t| self.type_for(t, job)).collect::<Result<Vec<_>>>()?;
        let header = self.header(job, &types)?;
        out.write_all(&header)?;
        for (tensor, &dtype) in self.gguf.tensors.iter().zip(&types) {
            let written =
                self.tensor(tensor, dtype, job, out).with_context(|| format!("tensor `{}`", tensor.name))?;
            let padding = written.next_multiple_of(self.gguf.alignment) - written;
            out.write_all(&vec![0; padding as usize])?;
        }
        Ok(types)
    }

    fn header(&self, job: &Job<'_>, types: &[DType]) -> Result<Vec<u8>> {
        let file_type = TARGETS.iter().find(|t| t.0 == job.target).map_or(0, |t| t.1);
        let replaced = ["general.file_type", "general.quantization_version", "general.alignment"];
        let mut writer = Writer::new().alignment(self.gguf.alignment as u32);
        for (key, value) in
            self.gguf.metadata.iter().filter(|(k, _)| !replaced.contains(k) && !k.starts_with("split."))
        {
            writer = writer.metadata(key, value.clone());
        }
        writer = writer.metadata("general.file_type", Value::U32(file_type));
        writer = writer.metadata("general.quantization_version", Value::U32(2));
        for (tensor, &dtype) in self.gguf.tensors.iter().zip(types) {
            let size = dtype.bytes_for(tensor.dims.iter().product()).context("tensor size")?;
            writer = writer.declare(&tensor.name, dtype, &tensor.dims, size);
        }
        Ok(writer.header())
    }

    /// The type that a tensor is written in: vectors, routers and integers stay; a type whose blocks do not divide the
    /// rows gives way to a finer one.
    fn type_for(&self, tensor: &TensorInfo, job: &Job<'_>) -> Result<DType> {
        let matrix = tensor.dims.len() > 1 && tensor.dims[1..].iter().product::<u64>() > 1;
        let weight = tensor.name.ends_with("weight") && !tensor.name.contains("ffn_gate_inp");
        let number = matches!(tensor.dtype, DType::F64 | DType::I8 | DType::I16 | DType::I32 | DType::I64);
        if !matrix || !weight || number {
            return Ok(tensor.dtype);
        }
        let tied = self.gguf.tensor("output.weight").is_none();
        let output = tensor.name == if tied { "token_embd.weight" } else { "output.weight" };
        let coarse = matches!(job.target, DType::Q4_0 | DType::Q4_K | DType::Q5_K);
        let wanted = if output && coarse && !job.pure { DType::Q6_K } else { job.target };
        let fits = |d: &DType| tensor.dims[0].is_multiple_of(d.block_len() as u64);
        let finer = [wanted, DType::Q8_0, DType::F16];
        let dtype = finer.into_iter().find(fits).unwrap_or(DType::F16);
        if tensor.dtype.is_quantised() && tensor.dtype != dtype && !job.allow_requantize {
            bail!(
                "tensor `{}` is {} already: requantizing it to {dtype} loses more than quantizing the original; --allow-requantize does it",
                tensor.name,
                tensor.dtype
            );
        }
        Ok(dtype)
    }

    /// Converts one tensor and returns the bytes written.
    fn tensor(&self, tensor: &TensorInfo, dtype: DType, job: &Job<'_>, out: &mut dyn Write) -> Result<u64> {
        let row = tensor.dims[0];
        let rows: u64 = tensor.dims[1..].iter().product();
        let row_bytes = tensor.bytes / rows.max(1);
        let at_once = (CHUNK as u64 / row).max(1);
        let mut written = 0;
        for first in (0..rows).step_by(at_once as usize) {
            let count = at_once.min(rows - first);
            let bytes = self.files[tensor.file]
                .read_at(tensor.offset + first * row_bytes, (count * row_bytes) as usize)?;
            let converted = match tensor.dtype == dtype {
                true => bytes,
                false => convert(&bytes, tensor.dtype, dtype, row as usize, job.threads)?,
            };
            out.write_all(&converted)?;
            written += converted.len() as u64;
            (job.progress)(count * row_bytes)?;
        }
        Ok(written)
    }
}

/// Whole rows of `row` elements from one type to another.
fn convert(bytes: &[u8], from: DType, to: DType, row: usize, threads: usize) -> Result<Vec<u8>> {
    let decode = format(from).with_context(|| format!("{from} cannot be read"))?.dequantise;
    let encode: Quantise =
        format(to).and_then(|f| f.quantise).with_context(|| format!("{to} cannot be written"))?;
    let row_bytes = from.bytes_for(row as u64).context("row size")? as usize;
    let rows = bytes.len() / row_bytes;
    let share = rows.div_ceil(threads.max(1)).max(1) * row_bytes;
    let one = |part: &[u8]| {
        let mut x = vec![0.0; part.len() / row_bytes * row];
        decode(part, &mut x);
        let mut out = Vec::new();
        encode(&x, &mut out);
        out
    };
    let parts: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let running: Vec<_> = bytes.chunks(share).map(|part| scope.spawn(move || one(part))).collect();
        running
            .into_iter()
            .map(|t| t.join().map_err(|_| anyhow::anyhow!("a conversion thread panicked")))
            .collect::<Result<_>>()
    })?;
    Ok(parts.concat())
}
