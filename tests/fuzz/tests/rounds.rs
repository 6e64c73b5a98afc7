//! A short round of each fuzz target, with seeded bytes.

use chord_ops::testing::Rng;
use std::path::PathBuf;

/// Random bytes, mostly small numbers and extremes.
fn bytes(rng: &mut Rng, length: u32) -> Vec<u8> {
    let byte = |rng: &mut Rng| match rng.below(4) {
        0 => rng.of(&[0, 1, 2, 0x7f, 0x80, 0xff]),
        1 => rng.below(16) as u8,
        _ => rng.below(256) as u8,
    };
    (0..length).map(|_| byte(rng)).collect()
}

/// Random edits of a valid file.
fn edited(file: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut out = file.to_vec();
    for _ in 0..=rng.below(6) {
        let at = rng.below(out.len() as u32) as usize;
        match rng.below(6) {
            0 => out[at] = rng.below(256) as u8,
            1 => out[at] ^= 1 << rng.below(8),
            2 => out[at] = rng.of(&[0, 1, 0x7f, 0x80, 0xff]),
            3 => drop(out.drain(at..(at + rng.below(9) as usize).min(out.len()))),
            4 => out.truncate(at),
            _ => drop(out.splice(at..at, bytes(&mut rng.clone(), 4))),
        }
        if out.is_empty() {
            return out;
        }
    }
    out
}

/// Both happened often enough to mean something.
fn check(accepted: usize, of: usize, least: usize) {
    assert!(accepted >= least && of - accepted >= least, "{accepted} of {of} were accepted");
}

#[test]
fn gguf() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../data/models/tiny-llama-f32.gguf");
    let file = std::fs::read(path).unwrap();
    // The tensors are numbers; what is worth editing comes before them.
    let header = file.windows(18).rposition(|w| w == b"output_norm.weight").unwrap() + 64;
    let edited = |seed: u64| {
        let mut data = edited(&file[..header], &mut Rng::new(seed));
        data.extend(&file[header..]);
        chord_fuzz::gguf(&data)
    };
    check((0..1000).filter(|&seed| edited(seed)).count(), 1000, 50);
    for seed in 0..20_000 {
        let mut rng = Rng::new(seed);
        let length = rng.below(200);
        chord_fuzz::gguf(&[b"GGUF\x03\0\0\0", &bytes(&mut rng, length)[..]].concat());
    }
}

#[test]
fn tokenizer() {
    let round = |seed: u64| {
        let mut rng = Rng::new(seed);
        let length = rng.below(100);
        chord_fuzz::tokenizer(&bytes(&mut rng, length))
    };
    check((0..20_000).filter(|&seed| round(seed)).count(), 20_000, 2000);
}

#[test]
fn plan() {
    let round = |seed: u64| {
        let mut rng = Rng::new(seed);
        let length = 8 + rng.below(40);
        chord_fuzz::plan(&bytes(&mut rng, length))
    };
    check((0..20_000).filter(|&seed| round(seed)).count(), 20_000, 500);
}

#[test]
fn execute() {
    let round = |seed: u64| {
        let mut rng = Rng::new(seed);
        let length = 8 * rng.of(&[1, 2, 2, 3]);
        chord_fuzz::execute(&bytes(&mut rng, length))
    };
    check((0..400).filter(|&seed| round(seed)).count(), 400, 50);
}

/// Most bytes that this process has had in memory.
#[cfg(target_os = "linux")]
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
}

#[test]
fn exhaust() {
    let round = |seed: u64| {
        let mut rng = Rng::new(!seed);
        let length = 8 * rng.of(&[1, 2, 2, 3]);
        chord_fuzz::exhaust(&bytes(&mut rng, length))
    };
    check((0..600).filter(|&seed| round(seed)).count(), 600, 50);
    #[cfg(target_os = "linux")]
    assert!(peak() < 512 << 20, "{} bytes", peak());
}
