//! Rotations against `tests/golden/rope.tsv`, which `rope.py` beside it computes in float64.

use crate::op::{Rope, RopeParams, RopeStyle, Yarn};

const TABLE: &str = include_str!("../../../../tests/golden/rope.tsv");

/// A row of the table: parameters, magnitude, radians per position by pair.
fn case(line: &str) -> (RopeParams, f64, Vec<f64>) {
    let numbers = |text: &str| text.split_whitespace().map(|n| n.parse().unwrap()).collect::<Vec<f64>>();
    let [params, magnitude, frequencies] =
        line.split('|').map(numbers).collect::<Vec<_>>().try_into().unwrap();
    let [dims, base, factor, original, ext, attn, fast, slow] = params[..] else { panic!("{line}") };
    let yarn = (original > 0.0).then_some(Yarn {
        orig_ctx: original as u32,
        ext_factor: ext as f32,
        attn_factor: attn as f32,
        beta_fast: fast as f32,
        beta_slow: slow as f32,
    });
    let params = RopeParams {
        head_dim: dims as u32,
        rot_dims: dims as u32,
        style: RopeStyle::Halves,
        base: base as f32,
        freq_scale: 1.0 / factor as f32,
        factors: None,
        yarn,
    };
    (params, magnitude[0], frequencies)
}

fn cases() -> impl Iterator<Item = (RopeParams, f64, Vec<f64>)> {
    TABLE.lines().filter(|line| !line.starts_with('#')).map(case)
}

/// Equal but for the rounding of parameters to f32.
fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 5e-7 * expected.abs()
}

#[test]
fn frequencies_and_magnitudes() {
    let mut yarns = 0;
    for (params, magnitude, frequencies) in cases() {
        let found = params.rotation(None);
        assert!(near(found.magnitude, magnitude), "{params:?}: {}, expected {magnitude}", found.magnitude);
        assert_eq!(found.frequencies.len(), frequencies.len());
        for (pair, (&f, &e)) in found.frequencies.iter().zip(&frequencies).enumerate() {
            assert!(near(f, e), "{params:?}, pair {pair}: {f}, expected {e}");
        }
        yarns += usize::from(params.yarn.is_some_and(|y| y.ext_factor > 0.0));
    }
    assert!(yarns >= 10);
}

/// Factors divide frequencies before they are mixed, whatever the scaling.
#[test]
fn factors_divide_every_frequency() {
    for (params, magnitude, frequencies) in cases() {
        let factors: Vec<f32> = (0..frequencies.len()).map(|pair| 1.0 + pair as f32 / 4.0).collect();
        let found = params.rotation(Some(&factors));
        assert!(near(found.magnitude, magnitude));
        for (pair, (&f, &e)) in found.frequencies.iter().zip(&frequencies).enumerate() {
            let expected = e / f64::from(factors[pair]);
            assert!(near(f, expected), "{params:?}, pair {pair}: {f}, expected {expected}");
        }
    }
}

/// Cosines and sines times the magnitude.
#[test]
fn vectors_turn_and_grow() {
    for (params, magnitude, frequencies) in cases() {
        let n = frequencies.len();
        let head: Vec<f32> = (0..2 * n).map(|i| 1.0 + i as f32).collect();
        for position in [0, 1, 1000] {
            let found = Rope::reference(&params, &head, &[position], None);
            for (pair, frequency) in frequencies.iter().enumerate() {
                let (x, y) = (f64::from(head[pair]), f64::from(head[pair + n]));
                let (sin, cos) = (frequency * f64::from(position)).sin_cos();
                let expected = [(x * cos - y * sin) * magnitude, (x * sin + y * cos) * magnitude];
                let apart = expected
                    .iter()
                    .zip([found[pair], found[pair + n]])
                    .map(|(e, f)| (e - f64::from(f)).abs());
                // Of a thousand radians, 5e-7 of each are half a thousandth.
                let bound = 1e-3 * x.hypot(y);
                assert!(apart.fold(0.0, f64::max) <= bound, "{params:?}, pair {pair}, position {position}");
            }
        }
    }
}
