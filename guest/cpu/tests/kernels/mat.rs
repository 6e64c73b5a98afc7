//! Matrix kernels.

use crate::data::{Acts, Fill, Rng, TYPES, activations, all, decode, run, weights};
use chord_cpu::act::ActFormat;
use chord_cpu::kernels::Part;
use chord_cpu::{Kernels, MatKernel};
use chord_quant::DType;

const ROWS: &[usize] = &[1, 2, 3, 5, 8, 17, 33, 80];
const TOKENS: &[usize] = &[1, 2, 3, 5, 8, 13, 33];

fn columns(dtype: DType) -> &'static [usize] {
    match dtype.block_len() {
        1 => &[1, 7, 32, 100, 256, 1056],
        32 => &[32, 64, 96, 256, 608, 1056],
        _ => &[256, 512, 768, 2048],
    }
}

/// `kernel` on the given inputs against f64: within `1e-5` of the sum of magnitudes, element by element.
fn close(kernel: &MatKernel, data: &[u8], rows: usize, acts: &Acts, what: &str) {
    let cols = acts.cols;
    let tokens = acts.x.len() / cols;
    let out = run(kernel, data, rows, acts, 0, tokens);
    let (w, x) = (decode(kernel.dtype, data), acts.decoded());
    for t in 0..tokens {
        for r in 0..rows {
            let terms = w[r * cols..][..cols].iter().zip(&x[t * cols..][..cols]).map(|(w, x)| w * x);
            let (sum, size) = terms.fold((0.0, 0.0), |(s, a), p| (s + p, a + p.abs()));
            // Minima are subtracted from larger sums than the products of whole weights.
            let size = size + minima(kernel.dtype, data, r, cols, &x[t * cols..][..cols]);
            let got = f64::from(out[t * rows + r]);
            assert!(
                (got - sum).abs() <= 1e-5 * size + 1e-30,
                "{} {} {what}: {rows}x{cols}, {tokens} tokens: row {r} token {t}: {got} for {sum} (size {size})",
                kernel.dtype,
                kernel.isa
            );
        }
    }
}

/// The magnitude of what the minima of a row contribute: the same row with all its quants zero.
fn minima(dtype: DType, data: &[u8], row: usize, cols: usize, x: &[f64]) -> f64 {
    let quants = match dtype {
        DType::Q4_K | DType::Q5_K => 16..dtype.block_bytes(),
        DType::Q2_K => 16..80,
        DType::Q4_1 => 4..20,
        DType::Q5_1 => 4..24,
        _ => return 0.0,
    };
    let bytes = cols / dtype.block_len() * dtype.block_bytes();
    let mut data = data[row * bytes..][..bytes].to_vec();
    for block in data.chunks_exact_mut(dtype.block_bytes()) {
        block[quants.clone()].fill(0);
    }
    decode(dtype, &data).iter().zip(x).map(|(w, x)| (w * x).abs()).sum()
}

fn kernels_of(dtype: DType) -> Vec<(Kernels, MatKernel)> {
    all().into_iter().map(|k| (k.clone(), *k.mat(dtype).expect("every table has the common types"))).collect()
}

#[test]
fn every_kernel_agrees_with_f64_on_odd_shapes() {
    for &dtype in TYPES {
        let mut rng = Rng::new(dtype as u64 + 1);
        for (k, kernel) in kernels_of(dtype) {
            for (i, &cols) in columns(dtype).iter().enumerate() {
                for (j, &rows) in ROWS.iter().enumerate() {
                    // Every tile shape with some row count, every row count with some tile shape.
                    for &tokens in TOKENS.iter().skip((i + j) % 3).step_by(3) {
                        let data = weights(dtype, rows * cols, Fill::Random, &mut rng);
                        let acts = Acts::new(kernel.act, cols, activations(tokens, cols, &mut rng), &k.vecs);
                        close(&kernel, &data, rows, &acts, "random");
                    }
                }
            }
        }
    }
}

#[test]
fn every_tile_size_agrees_with_f64() {
    for &dtype in TYPES {
        let mut rng = Rng::new(dtype as u64 + 100);
        let cols = 256.max(dtype.block_len());
        for (k, kernel) in kernels_of(dtype) {
            let data = weights(dtype, 17 * cols, Fill::Random, &mut rng);
            for tokens in 1..=28 {
                let acts = Acts::new(kernel.act, cols, activations(tokens, cols, &mut rng), &k.vecs);
                close(&kernel, &data, 17, &acts, "tile");
            }
        }
    }
}

#[test]
fn weights_at_the_edges_of_their_formats() {
    let fills = [Fill::ZeroScale, Fill::HugeScale, Fill::AllOnes, Fill::AllZeros, Fill::Bytes80];
    for &dtype in TYPES {
        let mut rng = Rng::new(dtype as u64 + 200);
        for (k, kernel) in kernels_of(dtype) {
            for fill in fills {
                let data = weights(dtype, 17 * 512, fill, &mut rng);
                for tokens in [1, 5, 13] {
                    let acts = Acts::new(kernel.act, 512, activations(tokens, 512, &mut rng), &k.vecs);
                    close(&kernel, &data, 17, &acts, &format!("{fill:?}"));
                }
            }
        }
    }
}

#[test]
fn activations_at_the_edges() {
    type Row = (&'static str, fn(usize) -> f32);
    let rows: [Row; 6] = [
        ("zero", |_| 0.0),
        ("equal", |_| 3.25),
        ("all -127", |_| -127.0),
        ("huge", |i| if i % 2 == 0 { 1e30 } else { -1e30 }),
        ("tiny", |i| if i % 3 == 0 { 1e-38 } else { -1e-39 }),
        ("one outlier", |i| if i == 40 { 1e4 } else { 1e-3 }),
    ];
    for &dtype in TYPES {
        let mut rng = Rng::new(dtype as u64 + 300);
        for (k, kernel) in kernels_of(dtype) {
            for fill in [Fill::Random, Fill::AllOnes, Fill::Bytes80] {
                let data = weights(dtype, 5 * 512, fill, &mut rng);
                for (name, x) in rows {
                    let x: Vec<f32> = (0..2 * 512).map(|i| x(i % 512)).collect();
                    let acts = Acts::new(kernel.act, 512, x, &k.vecs);
                    close(&kernel, &data, 5, &acts, name);
                }
            }
        }
    }
}

#[test]
fn quantised_activations_stay_close_to_the_exact_product() {
    for &dtype in TYPES {
        let (cols, rows, tokens) = (2048, 33, 5);
        let mut rng = Rng::new(dtype as u64 + 400);
        let data = weights(dtype, rows * cols, Fill::Random, &mut rng);
        let x: Vec<f32> = (0..tokens * cols).map(|_| rng.normal()).collect();
        let w = decode(dtype, &data);
        for (k, kernel) in kernels_of(dtype) {
            let acts = Acts::new(kernel.act, cols, x.clone(), &k.vecs);
            let out = run(&kernel, &data, rows, &acts, 0, tokens);
            let (mut error, mut power) = (0.0, 0.0);
            for t in 0..tokens {
                for r in 0..rows {
                    let exact: f64 = (0..cols).map(|i| w[r * cols + i] * f64::from(x[t * cols + i])).sum();
                    error += (f64::from(out[t * rows + r]) - exact).powi(2);
                    power += exact * exact;
                }
            }
            let (nmse, bound) = (error / power, if kernel.act == ActFormat::F32 { 1e-11 } else { 1e-4 });
            assert!(nmse < bound, "{dtype} {}: NMSE {nmse}, bound {bound}", kernel.isa);
        }
    }
}

/// Whole and split in any way: the same bits.
#[test]
fn results_do_not_depend_on_batch_or_split() {
    for &dtype in TYPES {
        let (cols, rows, tokens) = (if dtype.block_len() == 256 { 2304 } else { 2080 }, 85, 41);
        let mut rng = Rng::new(dtype as u64 + 500);
        let data = weights(dtype, rows * cols, Fill::Random, &mut rng);
        let x = activations(tokens, cols, &mut rng);
        let row_bytes = data.len() / rows;
        for (k, kernel) in kernels_of(dtype) {
            let acts = Acts::new(kernel.act, cols, x.clone(), &k.vecs);
            let whole = run(&kernel, &data, rows, &acts, 0, tokens);
            for (first, n) in [(0, 1), (40, 1), (3, 2), (5, 7), (0, 12), (11, 13), (1, 24), (2, 33)] {
                let part = run(&kernel, &data, rows, &acts, first, n);
                let same = part.iter().zip(&whole[first * rows..]).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{dtype} {}: tokens {first}..{} alone differ", kernel.isa, first + n);
            }
            for (from, n) in [(0, 1), (84, 1), (0, 16), (7, 16), (16, 32), (1, 64), (3, 5), (20, 65)] {
                for tokens in [1, 9, 41] {
                    let part = run(&kernel, &data[from * row_bytes..][..n * row_bytes], n, &acts, 0, tokens);
                    for t in 0..tokens {
                        let (a, b) = (&part[t * n..][..n], &whole[t * rows + from..][..n]);
                        let same = a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
                        assert!(
                            same,
                            "{dtype} {}: rows {from}..{} alone differ at {t}",
                            kernel.isa,
                            from + n
                        );
                    }
                }
            }
        }
    }
}

/// Rows that are announced, of this or of another size, are hints and no more.
#[test]
fn what_is_read_next_changes_nothing() {
    let other = [0; 1000];
    for &dtype in TYPES {
        let (cols, rows) = (if dtype.block_len() == 256 { 768 } else { 608 }, 50);
        let mut rng = Rng::new(dtype as u64 + 700);
        let data = weights(dtype, rows * cols, Fill::Random, &mut rng);
        let x = activations(4, cols, &mut rng);
        let none = Part::default();
        let of = |bytes, rows| Part { bytes, rows };
        for (k, kernel) in kernels_of(dtype) {
            let acts = Acts::new(kernel.act, cols, x.clone(), &k.vecs);
            for n in [1, 2, 4] {
                let bits = |next: Part<'_>| {
                    let mut out = vec![f32::NAN; rows * n];
                    (kernel.mul)(of(&data, rows), next, &acts.view(), 0..n, &mut out);
                    out.iter().map(|y| y.to_bits()).collect::<Vec<_>>()
                };
                let alone = bits(none);
                for next in [of(&data, rows), of(&data[..], 1), of(&other, 20), of(&other, 1000), of(&[], 64)]
                {
                    assert!(bits(next) == alone, "{dtype} {}: {n} tokens before {next:?}", kernel.isa);
                }
            }
        }
    }
}

/// Rows longer than what is gathered at once, for few tokens and for more.
#[test]
fn long_rows_agree_with_f64() {
    for &dtype in TYPES {
        let cols = if dtype.block_len() == 256 { 8192 + 768 } else { 8192 + 160 };
        let (rows, mut rng) = (35, Rng::new(dtype as u64 + 1000));
        for (k, kernel) in kernels_of(dtype) {
            let data = weights(dtype, rows * cols, Fill::Random, &mut rng);
            let acts = Acts::new(kernel.act, cols, activations(5, cols, &mut rng), &k.vecs);
            close(&kernel, &data, rows, &acts, "long rows");
            let (one, all) = (run(&kernel, &data, rows, &acts, 0, 1), run(&kernel, &data, rows, &acts, 0, 5));
            assert_eq!(one, all[..rows], "{dtype} {}", kernel.isa);
        }
    }
}

/// Weights start at any byte of a file.
#[test]
fn weights_may_be_unaligned() {
    for &dtype in TYPES {
        let mut rng = Rng::new(dtype as u64 + 600);
        let data = weights(dtype, 19 * 512, Fill::Random, &mut rng);
        for (k, kernel) in kernels_of(dtype) {
            let acts = Acts::new(kernel.act, 512, activations(14, 512, &mut rng), &k.vecs);
            let aligned = run(&kernel, &data, 19, &acts, 0, 14);
            for shift in [1, 2, 3, 31] {
                let mut moved = vec![0; shift];
                moved.extend(&data);
                assert_eq!(
                    run(&kernel, &moved[shift..], 19, &acts, 0, 14),
                    aligned,
                    "{dtype} {}",
                    kernel.isa
                );
            }
        }
    }
}

/// A NaN or an infinity in a token's activations reaches all its results and no other token's.
#[test]
fn not_a_number_stays_visible() {
    for &dtype in TYPES {
        let mut rng = Rng::new(dtype as u64 + 700);
        let data = weights(dtype, 17 * 512, Fill::Random, &mut rng);
        for (k, kernel) in kernels_of(dtype) {
            for poison in [f32::NAN, f32::INFINITY] {
                let mut x = activations(3, 512, &mut rng);
                x[512 + 77] = poison;
                let acts = Acts::new(kernel.act, 512, x, &k.vecs);
                let out = run(&kernel, &data, 17, &acts, 0, 3);
                let (before, rest) = out.split_at(17);
                let (poisoned, after) = rest.split_at(17);
                assert!(before.iter().chain(after).all(|x| x.is_finite()), "{dtype} {}", kernel.isa);
                assert!(poisoned.iter().all(|x| !x.is_finite()), "{dtype} {}: {poisoned:?}", kernel.isa);
            }
        }
    }
}

/// A type without a kernel of its own still runs.
#[test]
fn every_format_runs() {
    let (cols, rows) = (512, 5);
    for format in chord_quant::FORMATS {
        let dtype = format.dtype;
        let mut rng = Rng::new(dtype as u64 + 800);
        let data = match format.quantise {
            Some(quantise) => {
                let values: Vec<f32> = (0..rows * cols).map(|_| rng.normal().clamp(-2.0, 2.0)).collect();
                let mut data = Vec::new();
                quantise(&values, &mut data);
                data
            }
            None => golden_blocks(dtype, rows * cols / dtype.block_len()),
        };
        let mut w = vec![0.0; rows * cols];
        (format.dequantise)(&data, &mut w);
        assert!(w.iter().any(|w| *w != 0.0), "{dtype}");
        for k in all() {
            let kernel = *k.mat(dtype).expect("every format has a kernel");
            let acts = Acts::new(kernel.act, cols, activations(3, cols, &mut rng), &k.vecs);
            let out = run(&kernel, &data, rows, &acts, 0, 3);
            for (i, got) in out.iter().enumerate() {
                let (t, r) = (i / rows, i % rows);
                let x = &acts.decoded()[t * cols..][..cols];
                let terms = w[r * cols..][..cols].iter().zip(x).map(|(w, x)| f64::from(*w) * x);
                let (sum, size) = terms.fold((0.0, 0.0), |(s, a), p| (s + p, a + p.abs()));
                let error = (f64::from(*got) - sum).abs();
                assert!(error <= 1e-4 * size + 1e-2, "{dtype} {}: {got} for {sum}", kernel.isa);
            }
        }
    }
}

/// Blocks of ordinary numbers from the golden data of a type that cannot be written.
fn golden_blocks(dtype: DType, count: usize) -> Vec<u8> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/quant");
    let file = std::fs::read(root.join(format!("{dtype}.bin"))).unwrap();
    // The blocks, then their elements as f32.
    let (size, len) = (dtype.block_bytes(), dtype.block_len());
    let blocks = file.len() / (size + 4 * len);
    let ordinary = |block: &&[u8]| {
        let mut out = vec![0.0; len];
        (chord_quant::format(dtype).unwrap().dequantise)(block, &mut out);
        out.iter().all(|v| v.abs() < 1000.0) && out.iter().any(|v| v.abs() > 1e-3)
    };
    let found: Vec<&[u8]> = file[..blocks * size].chunks_exact(size).filter(ordinary).collect();
    assert!(found.len() >= 4, "{dtype}: {} ordinary blocks of {blocks}", found.len());
    found.iter().cycle().take(count).flat_map(|b| b.iter().copied()).collect()
}

#[test]
#[should_panic(expected = "output elements")]
fn short_output_is_refused() {
    let k = Kernels::detect();
    let kernel = k.mat(DType::Q4_K).expect("common type");
    let acts = Acts::new(kernel.act, 256, vec![1.0; 256], &k.vecs);
    (kernel.mul)(Part { bytes: &[0; 288], rows: 2 }, Part::default(), &acts.view(), 0..1, &mut [0.0; 1]);
}

#[test]
#[should_panic(expected = "bytes of 3 rows")]
fn short_weights_are_refused() {
    let k = Kernels::detect();
    let kernel = k.mat(DType::Q8_0).expect("common type");
    let acts = Acts::new(kernel.act, 32, vec![1.0; 32], &k.vecs);
    (kernel.mul)(Part { bytes: &[0; 68], rows: 3 }, Part::default(), &acts.view(), 0..1, &mut [0.0; 3]);
}

#[test]
#[should_panic(expected = "q plane")]
fn short_activations_are_refused() {
    let k = Kernels::detect();
    let kernel = k.mat(DType::Q8_0).expect("common type");
    let acts = Acts::new(kernel.act, 32, vec![1.0; 32], &k.vecs);
    (kernel.mul)(Part { bytes: &[0; 34], rows: 1 }, Part::default(), &acts.view(), 0..2, &mut [0.0; 2]);
}

/// Tests on a chosen CPU must not pass because its instruction set went unnoticed.
#[test]
fn the_expected_instruction_set_is_found() {
    if let Ok(isa) = std::env::var("CHORD_EXPECT_ISA") {
        assert_eq!(Kernels::detect().vecs.isa, isa);
    }
}

#[test]
fn the_table_prints_every_line() {
    let k = Kernels::detect();
    let text = k.to_string();
    assert_eq!(text.lines().count(), k.mats.len() + 2);
    assert!(
        text.lines().any(|l| l.starts_with("Q4_K") && l.contains(k.vecs.isa) && l.ends_with("q8x256")),
        "{text}"
    );
}
