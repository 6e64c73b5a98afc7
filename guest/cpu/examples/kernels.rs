//! Speed of the matrix kernels on one thread: GB/s of one token on a matrix larger than the caches, next to the
//! bandwidth that plain reading reaches, and GOP/s of small and large batches.
//!
//! `cargo run --release -p chord-cpu --features std --example kernels [-- TYPE…] [--isa NAME] [--cols N]
//! [--batch N] [--runs N]`

use chord_cpu::act::{ActFormat, ActView, q_stride};
use chord_cpu::arch::read;
use chord_cpu::kernels::Part;
use chord_cpu::{Kernels, MatKernel, VecKernels};
use chord_quant::DType;
use std::time::Instant;

/// Bytes of the matrix for one token.
const BYTES: usize = 256 << 20;
/// Rows of the matrix for batches: in the caches, as after the first of several tiles.
const ROWS: usize = 512;
/// Rows that an executor computes at a time for many tokens.
const BLOCK: usize = 64;
const BATCHES: [usize; 8] = [1, 2, 4, 8, 12, 16, 64, 512];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1));
    let cols: usize = option("--cols").map_or(2048, |n| n.parse().expect("--cols takes a number"));
    let runs: usize = option("--runs").map_or(5, |n| n.parse().expect("--runs takes a number"));
    let batch: Option<usize> = option("--batch").map(|n| n.parse().expect("--batch takes a number"));
    let batches = batch.map_or(BATCHES.to_vec(), |n| vec![n]);
    let isas: Vec<&str> = option("--isa").map_or_else(|| Kernels::isas().collect(), |isa| vec![isa.as_str()]);
    let types: Vec<DType> = args.iter().filter_map(|a| DType::from_name(a)).collect();
    let memory = Memory::new();
    print!("{:<8} {:<12} {:>7} {:>7} {:>6}", "weights", "isa", "GB/s", "read", "share");
    batches.iter().for_each(|n| print!(" {:>6}", format!("x{n}")));
    println!("  (GOP/s)");
    for isa in isas {
        let kernels = Kernels::with_isa(isa).unwrap_or_else(|| panic!("this CPU does not run {isa}"));
        for kernel in &kernels.mats {
            let common = kernel.isa == isa && (kernel.act != ActFormat::F32 || kernel.dtype.block_len() == 1);
            if if types.is_empty() { common } else { types.contains(&kernel.dtype) } {
                report(kernel, &kernels.vecs, cols, &memory, &batches, runs);
            }
        }
    }
}

fn report(
    kernel: &MatKernel,
    vecs: &VecKernels,
    cols: usize,
    memory: &Memory,
    batches: &[usize],
    runs: usize,
) {
    let read = memory.read();
    let acts = Acts::new(kernel.act, cols, 512, vecs);
    let row = kernel.dtype.bytes_for(cols as u64).expect("columns in whole blocks") as usize;
    let rows = BYTES / row / 64 * 64;
    let mut out = vec![0.0; rows.max(512 * ROWS)];
    // As an executor calls it: some rows at a time.
    let one = best(5, || {
        for (w, out) in memory.0[..rows * row].chunks(row * 1024).zip(out.chunks_mut(1024)) {
            (kernel.mul)(
                Part { bytes: w, rows: w.len() / row },
                Part::default(),
                &acts.view(),
                0..1,
                &mut out[..w.len() / row],
            );
        }
    });
    let rate = (rows * row) as f64 / one / 1e9;
    let read = read.max(memory.read());
    let share = rate / read * 100.0;
    print!("{:<8} {:<12} {rate:>7.2} {read:>7.2} {share:>5.0}%", kernel.dtype, kernel.isa);
    for &n in batches {
        let batch = best(runs, || {
            for w in memory.0[..ROWS * row].chunks(BLOCK * row) {
                (kernel.mul)(
                    Part { bytes: w, rows: BLOCK },
                    Part::default(),
                    &acts.view(),
                    0..n,
                    &mut out[..n * BLOCK],
                );
            }
        });
        print!(" {:>6.0}", (2 * n * ROWS * cols) as f64 / batch / 1e9);
    }
    println!();
}

/// Seconds of the fastest of some runs.
fn best(runs: usize, mut f: impl FnMut()) -> f64 {
    let timed = (0..=runs).map(|_| {
        let start = Instant::now();
        f();
        start.elapsed().as_secs_f64()
    });
    timed.fold(f64::INFINITY, f64::min)
}

/// Whatever the type, scales and values are of ordinary size: no infinities, no subnormals.
struct Memory(Vec<u8>);

impl Memory {
    fn new() -> Memory {
        Memory((0..BYTES).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as u8 & 0x3b | 0x20).collect())
    }

    /// GB/s of reading it.
    fn read(&self) -> f64 {
        let seconds = best(5, || read(&self.0, 1));
        BYTES as f64 / seconds / 1e9
    }
}

/// Quantised rows.
struct Acts {
    format: ActFormat,
    cols: usize,
    f32: Vec<f32>,
    q: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<i16>,
}

impl Acts {
    fn new(format: ActFormat, cols: usize, n: usize, vecs: &VecKernels) -> Acts {
        let f32: Vec<f32> = (0..n * cols).map(|i| (i * 7919 % 1009) as f32 / 500.0 - 1.0).collect();
        let block = format.block().unwrap_or(32);
        let (mut q, mut scales, mut sums) =
            (vec![0; n * q_stride(cols)], vec![0.0; n * cols / block], vec![0; n * cols / 16]);
        let quantise = if format == ActFormat::Q8x256 { vecs.quantise_q8x256 } else { vecs.quantise_q8x32 };
        for (t, x) in f32.chunks_exact(cols).enumerate() {
            let (scales, sums) = (&mut scales[t * (cols / block)..], &mut sums[t * (cols / 16)..]);
            let q = &mut q[t * q_stride(cols)..][..cols];
            quantise(x, q, &mut scales[..cols / block], &mut sums[..cols / 16]);
        }
        Acts { format, cols, f32, q, scales, sums }
    }

    fn view(&self) -> ActView<'_> {
        let Acts { format, cols, f32, q, scales, sums } = self;
        ActView { format: *format, cols: *cols, f32, q, q_stride: q_stride(*cols), scales, sums }
    }
}
