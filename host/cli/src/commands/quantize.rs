//! `host quantize`: a model with smaller weights.

use crate::args::Threads;
use crate::failure::UsageError;
use crate::requant::{Job, Source, TARGETS};
use crate::term;
use anyhow::{Context, Result};
use chord_gguf::TensorInfo;
use chord_quant::DType;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Options of `host quantize`.
#[derive(Args, Debug)]
pub(crate) struct Quantize {
    /// Model file (GGUF) to read
    input: PathBuf,
    /// Model file to write
    output: PathBuf,
    /// Tensor type: F16, BF16, Q8_0, Q6_K, Q5_K, Q4_K or Q4_0
    #[arg(value_name = "TYPE", value_parser = target)]
    dtype: DType,
    /// Convert tensors that are quantized already; it loses more than quantizing the original
    #[arg(long)]
    allow_requantize: bool,
    /// Replace the output file if there is one
    #[arg(long)]
    force: bool,
    /// The output matrix in TYPE too; else it is Q6_K where TYPE is coarser
    #[arg(long)]
    pure: bool,
    #[command(flatten)]
    threads: Threads,
}

/// Set by Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

impl Quantize {
    pub(crate) fn run(&self) -> Result<()> {
        let output = self.output.display();
        self.check_output()?;
        if same_file(&self.input, &self.output) {
            return Err(self.is_source().into());
        }
        ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)).context("cannot handle Ctrl-C")?;
        let source = Source::open(&self.input)?;
        if source.paths().any(|path| same_file(&path, &self.output)) {
            return Err(self.is_source().into());
        }
        let folder = match self.output.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let cannot = || format!("cannot write `{output}`");
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        // Removed again unless it is complete.
        let mut part =
            builder.prefix(".host-quantize-").suffix(".part").tempfile_in(folder).with_context(cannot)?;
        let bar = progress(source.bytes());
        let job = Job {
            target: self.dtype,
            pure: self.pure,
            allow_requantize: self.allow_requantize,
            threads: self
                .threads
                .count()
                .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
            progress: &|bytes| {
                bar.inc(bytes);
                match STOP.load(Ordering::Relaxed) {
                    true => Err(chord_runtime::Error::Cancelled.into()),
                    false => Ok(()),
                }
            },
        };
        let mut file = BufWriter::with_capacity(1 << 20, part.as_file_mut());
        let types = source.write(&job, &mut file).and_then(|types| Ok(file.flush().map(|()| types)?));
        drop(file);
        bar.finish_and_clear();
        let types = types.with_context(cannot)?;
        part.as_file().sync_all().with_context(cannot)?;
        let size = part.as_file().metadata().map_or(0, |m| m.len());
        // Something else may be there by now.
        self.check_output()?;
        let kept = if self.force { part.persist(&self.output) } else { part.persist_noclobber(&self.output) };
        kept.map_err(|e| e.error).with_context(cannot)?;
        self.report(&source, &types, size)
    }

    /// Refuses what would be lost. What is no regular file would be replaced, not written to.
    fn check_output(&self) -> Result<(), UsageError> {
        let Ok(found) = std::fs::symlink_metadata(&self.output) else { return Ok(()) };
        let output = self.output.display();
        if !found.is_file() {
            let kind = chord_runtime::file_kind(found.file_type());
            return Err(UsageError(format!("`{output}` is {kind}: only a regular file can be replaced")));
        }
        if !self.force {
            return Err(UsageError(format!("`{output}` exists; --force replaces it")));
        }
        Ok(())
    }

    fn is_source(&self) -> UsageError {
        UsageError(format!("`{}` is the file to read; choose another name", self.output.display()))
    }

    fn report(&self, source: &Source, types: &[DType], size: u64) -> Result<()> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        types.iter().for_each(|t| *counts.entry(t.name()).or_default() += 1);
        let counts: Vec<String> = counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
        let elements = |t: &TensorInfo| t.dims.iter().copied().fold(1, u64::saturating_mul);
        let tensors = &source.gguf.tensors;
        let bytes: u64 = types.iter().zip(tensors).filter_map(|(d, t)| d.bytes_for(elements(t))).sum();
        let total: u64 = tensors.iter().map(elements).sum();
        writeln!(
            std::io::stdout(),
            "{}: {} | tensors {} -> {}, {:.2} bits per weight | {}",
            term::line(&self.output.display().to_string()),
            term::bytes(size),
            term::bytes(source.bytes()),
            term::bytes(bytes),
            8.0 * bytes as f64 / total.max(1) as f64,
            counts.join(", ")
        )?;
        Ok(())
    }
}

fn target(name: &str) -> Result<DType, String> {
    let wanted = name.to_uppercase();
    TARGETS.iter().map(|t| t.0).find(|d| d.name() == wanted).ok_or_else(|| {
        let known: Vec<&str> = TARGETS.iter().map(|t| t.0.name()).collect();
        format!("expected one of {}, found `{name}`", known.join(", "))
    })
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn progress(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
