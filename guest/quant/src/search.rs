//! Scales by search: for each of some scales near the largest one, round, fit the scale (and minimum) to the rounded
//! values by weighted least squares, and keep what has the least weighted error. The method of ggml's K-quants.

use crate::block::{inverse, largest, pack_scale_mins, range, round};
use half::f16;

/// What is smaller counts as 0: its inverse would be no number.
const TINY: f32 = 1e-15;

/// Scale and minimum with their weighted error.
struct Fit {
    scale: f32,
    min: f32,
    error: f32,
}

/// Which scales to try: `(levels + first + i * 0.1) / range` for i in 0..=steps.
#[derive(Clone, Copy)]
pub(crate) struct Candidates {
    pub(crate) first: f32,
    pub(crate) steps: u32,
}

/// Scale and minimum (as a positive offset) so that `x ~ scale * q - min` with q in `0..=levels`. Elements weigh their
/// magnitude plus the root mean square.
pub(crate) fn affine(x: &[f32; 32], levels: i32, candidates: Candidates) -> (f32, f32) {
    let mean_square = x.iter().map(|v| v * v).sum::<f32>() / 32.0;
    let rms = libm::sqrtf(mean_square);
    let weights = x.map(|v| rms + v.abs());
    let (low, high) = range(x);
    let low = low.min(0.0);
    let range = high - low;
    if range <= TINY || !range.is_finite() {
        return (0.0, if low.is_finite() { -low } else { 0.0 });
    }
    let scale = range / levels as f32;
    let mut best = Fit {
        scale,
        min: low,
        error: affine_error(x, &weights, &affine_levels(x, levels, scale, low), scale, low),
    };
    for i in 0..=candidates.steps {
        let tried = range / (levels as f32 + candidates.first + 0.1 * i as f32);
        let q = affine_levels(x, levels, tried, low);
        if let Some(fit) = affine_fit(x, &weights, &q).filter(|fit| fit.error < best.error) {
            best = fit;
        }
    }
    (best.scale, -best.min)
}

fn affine_levels(x: &[f32; 32], levels: i32, scale: f32, min: f32) -> [f32; 32] {
    let inverse = inverse(scale);
    x.map(|v| round((v - min) * inverse).clamp(0, levels) as f32)
}

fn affine_error(x: &[f32; 32], w: &[f32; 32], q: &[f32; 32], scale: f32, min: f32) -> f32 {
    (0..32).map(|i| w[i] * (scale * q[i] + min - x[i]) * (scale * q[i] + min - x[i])).sum()
}

/// The best scale and minimum for given levels; the minimum is at most 0.
fn affine_fit(x: &[f32; 32], w: &[f32; 32], q: &[f32; 32]) -> Option<Fit> {
    let sum = |f: &dyn Fn(usize) -> f32| (0..32).map(f).sum::<f32>();
    let (sw, sx) = (sum(&|i| w[i]), sum(&|i| w[i] * x[i]));
    let (sq, sqq, sqx) = (sum(&|i| w[i] * q[i]), sum(&|i| w[i] * q[i] * q[i]), sum(&|i| w[i] * q[i] * x[i]));
    let determinant = sw * sqq - sq * sq;
    if determinant.is_nan() || determinant <= 0.0 {
        return None;
    }
    let (mut scale, mut min) = ((sw * sqx - sx * sq) / determinant, (sqq * sx - sq * sqx) / determinant);
    if min > 0.0 {
        (scale, min) = (sqx / sqq, 0.0);
    }
    Some(Fit { scale, min, error: affine_error(x, w, q, scale, min) })
}

/// Scale so that `x ~ scale * q` with q in `-half..half`. Elements weigh their square.
pub(crate) fn symmetric(x: &[f32; 16], half: i32) -> f32 {
    let largest = largest(x);
    if largest.abs() <= TINY || !largest.is_finite() {
        return 0.0;
    }
    let mut best = (0.0f32, 0.0f32);
    for i in -9..=9 {
        let inverse = -(half as f32 + 0.1 * i as f32) / largest;
        let (mut xq, mut qq) = (0.0, 0.0);
        for &v in x {
            let q = round(v * inverse).clamp(-half, half - 1) as f32;
            xq += v * v * v * q;
            qq += v * v * q * q;
        }
        // The fit's gain is its error's complement.
        if qq > 0.0 && xq * xq / qq > best.1 {
            best = (xq / qq, xq * xq / qq);
        }
    }
    best.0
}

/// What Q4_K and Q5_K write of 256 elements.
pub(crate) struct AffineBlock {
    d: f16,
    dmin: f16,
    scales: [u8; 8],
    mins: [u8; 8],
    pub(crate) levels: [u8; 256],
}

impl AffineBlock {
    /// Levels in `0..=levels`, with 6-bit scales and minima of groups of 32.
    pub(crate) fn new(x: &[f32; 256], levels: i32, candidates: Candidates) -> AffineBlock {
        let groups = x.as_chunks::<32>().0;
        let mut fits = [(0f32, 0f32); 8];
        groups.iter().zip(&mut fits).for_each(|(x, fit)| *fit = affine(x, levels, candidates));
        let most = |part: fn(&(f32, f32)) -> f32| fits.iter().map(part).fold(0.0, f32::max);
        let d = f16::from_f32(most(|f| f.0) / 63.0);
        let dmin = f16::from_f32(most(|f| f.1) / 63.0);
        let part = |v: f32, unit: f16| round(v * inverse(unit.to_f32())).clamp(0, 63) as u8;
        let scales = fits.map(|f| part(f.0, d));
        let mins = fits.map(|f| part(f.1, dmin));
        let mut block = AffineBlock { d, dmin, scales, mins, levels: [0; 256] };
        for (group, x) in groups.iter().enumerate() {
            let inverse = inverse(d.to_f32() * f32::from(scales[group]));
            let min = dmin.to_f32() * f32::from(mins[group]);
            for (i, &v) in x.iter().enumerate() {
                block.levels[32 * group + i] = round((v + min) * inverse).clamp(0, levels) as u8;
            }
        }
        block
    }

    /// d, dmin, packed scales and minima.
    pub(crate) fn header(&self) -> [u8; 16] {
        let mut header = [0; 16];
        header[..2].copy_from_slice(&self.d.to_le_bytes());
        header[2..4].copy_from_slice(&self.dmin.to_le_bytes());
        header[4..].copy_from_slice(&pack_scale_mins(&self.scales, &self.mins));
        header
    }
}
