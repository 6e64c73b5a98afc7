//! Inputs, and references written from the format descriptions, element by element, in f64.

use chord_cpu::act::{ActFormat, ActView, q_stride};
use chord_cpu::kernels::Part;
use chord_cpu::{Kernels, MatKernel, VecKernels};
use chord_quant::DType;
use half::{bf16, f16};

/// xorshift64*: tests need the same data each time, not good randomness.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn byte(&mut self) -> u8 {
        (self.bits() >> 32) as u8
    }

    /// In -1..1.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// Roughly normal, standard deviation 1.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() / 2.0
    }
}

/// Every instruction set that runs here.
pub fn all() -> Vec<Kernels> {
    let all: Vec<Kernels> =
        Kernels::isas().map(|isa| Kernels::with_isa(isa).expect("listed as usable")).collect();
    assert_eq!(all.last().map(|k| k.vecs.isa), Some("portable"));
    all
}

/// Types that have kernels of their own, with the smallest number of columns.
pub const TYPES: &[DType] = &[
    DType::F32,
    DType::F16,
    DType::BF16,
    DType::Q8_0,
    DType::Q4_0,
    DType::Q5_0,
    DType::Q2_K,
    DType::Q3_K,
    DType::Q4_K,
    DType::Q5_K,
    DType::Q6_K,
    DType::IQ4_XS,
    DType::Q4_1,
    DType::Q5_1,
    DType::IQ4_NL,
    DType::MXFP4,
];

/// How blocks are made: ordinary, or at an edge of what the format can hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// Random bits, scales of ordinary size and either sign.
    Random,
    /// All scales zero.
    ZeroScale,
    /// Random bits, scales near the largest f16.
    HugeScale,
    /// Every quantised element the largest.
    AllOnes,
    /// Every quantised element the smallest.
    AllZeros,
    /// Bytes of the extremes of i8.
    Bytes80,
}

/// `n` elements of a type.
pub fn weights(dtype: DType, n: usize, fill: Fill, rng: &mut Rng) -> Vec<u8> {
    let bytes = dtype.bytes_for(n as u64).expect("whole blocks") as usize;
    match dtype {
        DType::F32 => (0..n).flat_map(|_| plain(fill, rng).to_le_bytes()).collect(),
        DType::F16 => (0..n).flat_map(|_| f16::from_f32(plain(fill, rng)).to_le_bytes()).collect(),
        DType::BF16 => (0..n).flat_map(|_| bf16::from_f32(plain(fill, rng)).to_le_bytes()).collect(),
        _ => {
            let mut data: Vec<u8> = (0..bytes)
                .map(|_| match fill {
                    Fill::AllOnes => 0xff,
                    Fill::AllZeros => 0,
                    Fill::Bytes80 => 0x80,
                    _ => rng.byte(),
                })
                .collect();
            for block in data.chunks_exact_mut(dtype.block_bytes()) {
                if dtype == DType::MXFP4 {
                    block[0] = exponent(fill, rng);
                    continue;
                }
                for at in scale_offsets(dtype) {
                    block[*at..at + 2].copy_from_slice(&scale(fill, rng).to_le_bytes());
                }
            }
            data
        }
    }
}

fn plain(fill: Fill, rng: &mut Rng) -> f32 {
    match fill {
        Fill::ZeroScale | Fill::AllZeros => 0.0,
        Fill::HugeScale => rng.unit() * 60000.0,
        _ => rng.normal() * 0.1,
    }
}

fn scale(fill: Fill, rng: &mut Rng) -> f16 {
    f16::from_f32(match fill {
        Fill::ZeroScale => 0.0,
        Fill::HugeScale => rng.unit().signum() * 65000.0,
        // Some subnormal.
        _ if rng.byte() < 16 => rng.unit() * 3e-5,
        _ => rng.unit() * 0.02,
    })
}

/// Where a block has f16 scales.
/// The scale of MXFP4, a power of two.
fn exponent(fill: Fill, rng: &mut Rng) -> u8 {
    match fill {
        Fill::ZeroScale => 0,
        Fill::HugeScale => 143,
        _ => 112 + rng.byte() % 12,
    }
}

fn scale_offsets(dtype: DType) -> &'static [usize] {
    match dtype {
        DType::Q4_K | DType::Q5_K => &[0, 2],
        DType::Q6_K => &[208],
        DType::Q2_K => &[80, 82],
        DType::Q3_K => &[108],
        DType::Q4_1 | DType::Q5_1 => &[0, 2],
        DType::MXFP4 => &[],
        _ => &[0],
    }
}

/// The weights as numbers, computed from each format's description.
pub fn decode(dtype: DType, data: &[u8]) -> Vec<f64> {
    let blocks = data.chunks_exact(dtype.block_bytes());
    let n = dtype.block_len();
    blocks.flat_map(|b| (0..n).map(move |i| element(dtype, b, i))).collect()
}

fn half_at(b: &[u8], at: usize) -> f64 {
    f16::from_le_bytes([b[at], b[at + 1]]).to_f64()
}

/// Levels of the 4-bit types with an uneven scale.
const UNEVEN: [f64; 16] = [
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0,
];

fn element(dtype: DType, b: &[u8], i: usize) -> f64 {
    let nibble = |byte: u8, high: bool| f64::from(if high { byte >> 4 } else { byte & 15 });
    match dtype {
        DType::F32 => f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
        DType::F16 => half_at(b, 0),
        DType::BF16 => bf16::from_le_bytes([b[0], b[1]]).to_f64(),
        DType::Q8_0 => half_at(b, 0) * f64::from(b[2 + i] as i8),
        DType::Q4_0 => half_at(b, 0) * (nibble(b[2 + i % 16], i >= 16) - 8.0),
        DType::Q5_0 => {
            let fifth = b[2 + i / 8] >> (i % 8) & 1;
            half_at(b, 0) * (nibble(b[6 + i % 16], i >= 16) + 16.0 * f64::from(fifth) - 16.0)
        }
        DType::Q4_1 => half_at(b, 0) * nibble(b[4 + i % 16], i >= 16) + half_at(b, 2),
        DType::Q5_1 => {
            let fifth = b[4 + i / 8] >> (i % 8) & 1;
            half_at(b, 0) * (nibble(b[8 + i % 16], i >= 16) + 16.0 * f64::from(fifth)) + half_at(b, 2)
        }
        DType::IQ4_NL => half_at(b, 0) * UNEVEN[nibble(b[2 + i % 16], i >= 16) as usize],
        DType::MXFP4 => {
            // Sign, two bits of exponent with bias 1, one bit of mantissa.
            let q = nibble(b[1 + i % 16], i >= 16) as i32;
            let (exponent, mantissa) = (q >> 1 & 3, f64::from(q & 1));
            let size =
                if exponent == 0 { mantissa / 2.0 } else { (1.0 + mantissa / 2.0) * 2f64.powi(exponent - 1) };
            2f64.powi(i32::from(b[0]) - 127) * if q >= 8 { -size } else { size }
        }
        DType::Q2_K => {
            let level = b[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
            let (scale, min) = (nibble(b[i / 16], false), nibble(b[i / 16], true));
            half_at(b, 80) * scale * f64::from(level) - half_at(b, 82) * min
        }
        DType::Q3_K => {
            let low = b[32 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
            let third = b[i % 32] >> (i / 32) & 1;
            let j = i / 16;
            let upper = b[104 + j % 4] >> (j / 4 * 2) & 3;
            let scale = nibble(b[96 + j % 8], j >= 8) + 16.0 * f64::from(upper) - 32.0;
            half_at(b, 108) * scale * (f64::from(low) + 4.0 * f64::from(third) - 4.0)
        }
        DType::IQ4_XS => {
            let j = i / 32;
            let upper = u16::from_le_bytes([b[2], b[3]]) >> (2 * j) & 3;
            let scale = nibble(b[4 + j / 2], j % 2 == 1) + 16.0 * f64::from(upper) - 32.0;
            let level = nibble(b[8 + j * 16 + i % 16], i % 32 >= 16);
            half_at(b, 0) * scale * UNEVEN[level as usize]
        }
        DType::Q4_K => {
            let q = nibble(b[16 + i / 64 * 32 + i % 32], i % 64 >= 32);
            k_scaled(b, i, q)
        }
        DType::Q5_K => {
            let q = nibble(b[48 + i / 64 * 32 + i % 32], i % 64 >= 32);
            k_scaled(b, i, q + f64::from(b[16 + i % 32] >> (i / 32) & 1) * 16.0)
        }
        DType::Q6_K => {
            let (half, rest) = (i / 128, i % 128);
            let low = nibble(b[half * 64 + rest % 64], rest >= 64);
            let high = b[128 + half * 32 + rest % 32] >> (rest / 32 * 2) & 3;
            half_at(b, 208) * f64::from(b[192 + i / 16] as i8) * (low + 16.0 * f64::from(high) - 32.0)
        }
        other => panic!("no reference for {other}"),
    }
}

/// `d * scale[j] * q - dmin * min[j]` with the 6-bit factors of sub-block `j`, packed as in llama.cpp's format notes.
fn k_scaled(b: &[u8], i: usize, q: f64) -> f64 {
    let (j, s) = (i / 32, &b[4..16]);
    let (scale, min) = if j < 4 {
        (s[j] & 63, s[j + 4] & 63)
    } else {
        ((s[j + 4] & 15) | ((s[j - 4] >> 6) << 4), (s[j + 4] >> 4) | ((s[j] >> 6) << 4))
    };
    half_at(b, 0) * f64::from(scale) * q - half_at(b, 2) * f64::from(min)
}

/// Owned planes of activations, quantised by the kernels under test.
pub struct Acts {
    pub format: ActFormat,
    pub cols: usize,
    pub x: Vec<f32>,
    pub q: Vec<i8>,
    pub scales: Vec<f32>,
    pub sums: Vec<i16>,
}

impl Acts {
    pub fn new(format: ActFormat, cols: usize, x: Vec<f32>, vecs: &VecKernels) -> Acts {
        let mut acts = Acts { format, cols, x, q: Vec::new(), scales: Vec::new(), sums: Vec::new() };
        let (quantise, block) = match format {
            ActFormat::F32 => return acts,
            ActFormat::Q8x32 => (vecs.quantise_q8x32, 32),
            ActFormat::Q8x256 => (vecs.quantise_q8x256, 256),
        };
        acts.q.resize(acts.x.len() / cols * q_stride(cols), 0);
        acts.scales.resize(acts.x.len() / block, 0.0);
        acts.sums.resize(acts.x.len() / 16, 0);
        for t in 0..acts.x.len() / cols {
            let (q, s) = (
                &mut acts.q[t * q_stride(cols)..][..cols],
                &mut acts.scales[t * cols / block..][..cols / block],
            );
            quantise(&acts.x[t * cols..][..cols], q, s, &mut acts.sums[t * cols / 16..][..cols / 16]);
        }
        acts
    }

    pub fn view(&self) -> ActView<'_> {
        let (f32, q, scales, sums) = (&self.x, &self.q, &self.scales, &self.sums);
        let q_stride = q_stride(self.cols);
        ActView { format: self.format, cols: self.cols, f32, q, q_stride, scales, sums }
    }

    /// What the kernel is given, as numbers.
    pub fn decoded(&self) -> Vec<f64> {
        match self.format.block() {
            None => self.x.iter().map(|x| f64::from(*x)).collect(),
            Some(block) => {
                let scaled = |(i, q): (usize, &i8)| f64::from(*q) * f64::from(self.scales[i / block]);
                let rows = self.q.chunks(q_stride(self.cols)).flat_map(|row| &row[..self.cols]);
                rows.enumerate().map(scaled).collect()
            }
        }
    }
}

/// `n` rows of ordinary activations, with the outliers that models have.
pub fn activations(n: usize, cols: usize, rng: &mut Rng) -> Vec<f32> {
    (0..n * cols).map(|_| rng.normal() * if rng.byte() == 0 { 20.0 } else { 1.0 }).collect()
}

/// Runs a kernel on tokens `first..first + n`.
pub fn run(kernel: &MatKernel, weights: &[u8], rows: usize, acts: &Acts, first: usize, n: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; rows * n];
    (kernel.mul)(Part { bytes: weights, rows }, Part::default(), &acts.view(), first..first + n, &mut out);
    out
}
