//! Every format against the golden data in `tests/golden/quant`, made by the Python package `gguf`.

use chord_quant::{DType, FORMATS, Format, INTEGERS};
use std::collections::HashMap;
use std::path::PathBuf;

/// Everything that can be decoded.
fn all() -> impl Iterator<Item = &'static Format> {
    FORMATS.iter().chain(INTEGERS)
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/quant")
}

fn read(file: &str) -> Vec<u8> {
    let path = folder().join(file);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

/// Blocks and what they decode to.
fn golden(dtype: DType) -> (Vec<u8>, Vec<f32>) {
    let mut bytes = read(&format!("{dtype}.bin"));
    let (len, size) = (dtype.block_len(), dtype.block_bytes());
    let blocks = bytes.len() / (size + 4 * len);
    assert_eq!(bytes.len(), blocks * (size + 4 * len), "{dtype}.bin");
    let values = bytes.split_off(blocks * size);
    (bytes, floats(&values))
}

fn decode(format: &Format, bytes: &[u8]) -> Vec<f32> {
    let dtype = format.dtype;
    let mut out = vec![f32::NAN; bytes.len() / dtype.block_bytes() * dtype.block_len()];
    (format.dequantise)(bytes, &mut out);
    out
}

/// Bit for bit: every format is a fixed sequence of f32 operations.
#[test]
fn dequantise() {
    for format in all() {
        let dtype = format.dtype;
        let (bytes, expected) = golden(dtype);
        assert!(expected.len() >= 20 * dtype.block_len() && expected.iter().any(|&x| x != 0.0));
        for (i, (x, y)) in decode(format, &bytes).iter().zip(&expected).enumerate() {
            let (block, element) = (i / dtype.block_len(), i % dtype.block_len());
            assert_eq!(x.to_bits(), y.to_bits(), "{dtype}: block {block}, element {element}: {x} is not {y}");
        }
    }
}

/// Each golden file is of a format that can be computed with.
#[test]
fn no_golden_file_is_left_out() {
    let mut files = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = name.strip_suffix(".bin").filter(|&n| n != "inputs") else { continue };
        let (name, written) = name.strip_suffix(".quantised").map_or((name, false), |n| (n, true));
        let format = all().find(|f| f.dtype.name() == name);
        let format = format.unwrap_or_else(|| panic!("{name} has golden data and no format"));
        assert!(!written || format.quantise.is_some(), "{name} has golden data for an encoder and none");
        files += 1;
    }
    assert!(files > all().count());
}

/// Encoders that search for good scales: judged by their error, not byte for byte.
const SEARCHED: [DType; 3] = [DType::Q4_K, DType::Q5_K, DType::Q6_K];

/// The numbers of `tests/golden/quant_errors.py`.
fn nearly_normal() -> Vec<f32> {
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 44) as i64
    };
    let scale = |i: usize| if i % 64 == 63 { 8.0 } else { 1.0 };
    let mut number =
        |i| ((0..4).map(|_| uniform()).sum::<i64>() - (1 << 21)) as f32 / (1 << 20) as f32 * scale(i);
    (0..256 * 96).map(&mut number).collect()
}

/// No encoder is more than 5 % worse than ggml's.
#[test]
fn errors_of_encoders() {
    let x = nearly_normal();
    for line in String::from_utf8(read("errors.tsv")).unwrap().lines() {
        let (name, expected) = line.split_once('\t').unwrap();
        let format = all().find(|f| f.dtype.name() == name).unwrap();
        let mut bytes = Vec::new();
        format.quantise.unwrap_or_else(|| panic!("{name} has an encoder"))(&x, &mut bytes);
        let y = decode(format, &bytes);
        let squares: f64 = x.iter().zip(&y).map(|(x, y)| f64::from(x - y).powi(2)).sum();
        let (found, expected) = ((squares / x.len() as f64).sqrt(), expected.parse::<f64>().unwrap());
        assert!(found <= 1.05 * expected, "{name}: expected at most 1.05 * {expected}, found {found}");
        // A number that is too good is no error of this format.
        assert!(found >= 0.8 * expected, "{name}: {found} is far below {expected}");
    }
}

/// Byte for byte.
#[test]
fn quantise() {
    let x = floats(&read("inputs.bin"));
    for format in all() {
        let (dtype, Some(quantise)) = (format.dtype, format.quantise) else { continue };
        if SEARCHED.contains(&dtype) {
            continue;
        }
        let mut out = vec![0xEE];
        quantise(&x, &mut out);
        let expected =
            if dtype == DType::F32 { read("inputs.bin") } else { read(&format!("{dtype}.quantised.bin")) };
        assert_eq!(out.remove(0), 0xEE, "{dtype} appends");
        let size = dtype.block_bytes();
        assert_eq!(out.len(), expected.len(), "{dtype}");
        for (i, (a, b)) in out.chunks(size).zip(expected.chunks(size)).enumerate() {
            assert_eq!(a, b, "{dtype}: block {i} of {:?}", &x[i * dtype.block_len()..][..dtype.block_len()]);
        }
    }
}

/// What has been decoded and encoded again decodes to nearly the same.
#[test]
fn encoders_keep_what_they_can() {
    let x = floats(&read("inputs.bin"));
    for format in all() {
        let (dtype, Some(quantise)) = (format.dtype, format.quantise) else { continue };
        let mut bytes = Vec::new();
        quantise(&x, &mut bytes);
        assert_eq!(Some(bytes.len() as u64), dtype.bytes_for(x.len() as u64));
        let y = decode(format, &bytes);
        // The coarsest step of the format, as a share of the largest magnitude in the block.
        let step = match dtype {
            DType::F32 => 0.0,
            DType::F16 => 1.0 / 2048.0,
            DType::BF16 => 1.0 / 256.0,
            DType::Q8_0 => 1.0 / 200.0,
            DType::Q5_0 | DType::Q5_1 => 1.0 / 15.0,
            DType::Q4_0 | DType::Q4_1 => 1.0 / 7.0,
            DType::MXFP4 => 1.0 / 4.0,
            _ => 0.51,
        };
        let n = dtype.block_len().max(32);
        for (x, y) in x.chunks(n).zip(y.chunks(n)) {
            let most = x.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let error = x.iter().zip(y).fold(0.0f32, |m, (x, y)| m.max((x - y).abs()));
            assert!(error <= most * step, "{dtype}: error {error} where the largest is {most}");
        }
    }
}

/// The facts of every type, against ggml's table as the Python package has it.
#[test]
fn sizes() {
    let table = String::from_utf8(read("sizes.tsv")).unwrap();
    let rows: HashMap<&str, Vec<usize>> = table
        .lines()
        .map(|l| l.split_once('\t').unwrap())
        .map(|(name, rest)| (name, rest.split('\t').map(|n| n.parse().unwrap()).collect()))
        .collect();
    for dtype in DType::all() {
        let mut expected = rows[dtype.name()].clone();
        if dtype == DType::Q8_1 {
            // The package still has the block of two f32; ggml's struct has two f16 since 2024.
            assert_eq!(expected, [9, 32, 40]);
            expected[2] = 36;
        }
        assert_eq!(
            [dtype.ggml_id() as usize, dtype.block_len(), dtype.block_bytes()],
            expected[..],
            "{dtype}"
        );
        assert_eq!(DType::from_ggml_id(dtype.ggml_id()), Some(dtype));
        assert_eq!(DType::from_name(&dtype.name().to_lowercase()), Some(dtype));
        assert_eq!(dtype.is_quantised(), dtype.block_len() > 1);
    }
    let mut ids: Vec<u32> = DType::all().map(DType::ggml_id).collect();
    assert!(ids.is_sorted());
    ids.dedup();
    assert_eq!(ids.len(), DType::all().count());
    assert_eq!(DType::from_ggml_id(4), None, "Q4_2 is gone");
    assert_eq!(DType::from_name("Q4"), None);
}

#[test]
fn bytes_for() {
    assert_eq!(DType::Q4_K.bytes_for(0), Some(0));
    assert_eq!(DType::Q4_K.bytes_for(512), Some(288));
    assert_eq!(DType::Q4_K.bytes_for(511), None, "not whole blocks");
    assert_eq!(DType::F32.bytes_for(u64::MAX), None, "overflow");
    assert_eq!(DType::F32.bytes_for(u64::MAX / 4), Some(u64::MAX - 3));
    assert_eq!(format!("{:>6}|{:6}|", DType::Q4_0, DType::F32), "  Q4_0|F32   |");
}

/// Every type has one format; only integers cannot be computed with.
#[test]
fn formats_are_found() {
    for dtype in DType::all() {
        assert_eq!(all().filter(|f| f.dtype == dtype).count(), 1, "{dtype}");
        let integer = INTEGERS.iter().any(|f| f.dtype == dtype);
        assert_eq!(chord_quant::format(dtype).map(|f| f.dtype), (!integer).then_some(dtype));
    }
}

/// Slices of no elements are whole rows.
#[test]
fn nothing() {
    for format in all() {
        (format.dequantise)(&[], &mut []);
        let mut out = Vec::new();
        format.quantise.iter().for_each(|q| q(&[], &mut out));
        assert!(out.is_empty());
    }
}

/// Numbers that no weight should be encode to something, of the right size.
#[test]
fn hostile_numbers() {
    let mut x = vec![f32::NAN; 1280];
    x[256..512].fill(f32::INFINITY);
    x[512..768].fill(f32::NEG_INFINITY);
    x[768..1024].fill(f32::MIN_POSITIVE / 4096.0);
    for (i, x) in x[1024..].iter_mut().enumerate() {
        *x = [f32::NAN, f32::INFINITY, f32::MAX, f32::MIN, 1.0, 0.0][i % 6];
    }
    for format in all() {
        let (dtype, Some(quantise)) = (format.dtype, format.quantise) else { continue };
        let mut out = Vec::new();
        quantise(&x, &mut out);
        assert_eq!(Some(out.len() as u64), dtype.bytes_for(1280), "{dtype}");
        decode(format, &out);
    }
}

/// Wrong lengths are a caller's bug: a panic where debug assertions are on; else only whole blocks that both slices
/// have are decoded.
#[test]
fn wrong_lengths() {
    for format in all() {
        let (bytes, expected) = golden(format.dtype);
        let (len, size) = (format.dtype.block_len(), format.dtype.block_bytes());
        for (bytes, elements) in
            [(&bytes[..2 * size], len), (&bytes[..size], 2 * len), (&bytes[..3 * size - 1], len)]
        {
            let mut out = vec![7.0; elements];
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                (format.dequantise)(bytes, &mut out);
            }));
            assert_eq!(result.is_err(), cfg!(debug_assertions), "{}", format.dtype);
            if result.is_ok() {
                assert_eq!(out[..len], expected[..len], "{}", format.dtype);
                assert!(out[len..].iter().all(|&x| x == 7.0), "{}", format.dtype);
            }
        }
        if let Some(quantise) = format.quantise.filter(|_| len > 1) {
            let mut out = Vec::new();
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                quantise(&vec![1.0; len + 1], &mut out)
            }));
            assert_eq!(result.is_err(), cfg!(debug_assertions), "{}", format.dtype);
            assert!(result.is_err() || out.len() == size);
        }
    }
}
