//! Vector kernels.

use crate::data::{Rng, all};
use chord_cpu::kernels::{QUERIES, SLOTS};
use half::f16;

const LENGTHS: &[usize] = &[0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 64, 100, 128, 257, 1000];

/// Distance in representable f32s of `got` from the exact `want`; results that underflow count absolutely.
fn ulps(got: f32, want: f64) -> f64 {
    if f64::from(got) == want || (got.is_infinite() && want > f64::from(f32::MAX) && got > 0.0) {
        return 0.0;
    }
    let exponent = (want.abs().max(f64::from(f32::MIN_POSITIVE))).log2().floor();
    (f64::from(got) - want).abs() / 2f64.powf(exponent - 23.0)
}

fn numbers(n: usize, rng: &mut Rng) -> Vec<f32> {
    (0..n).map(|_| rng.normal()).collect()
}

fn halves(n: usize, rng: &mut Rng) -> Vec<u16> {
    (0..n).map(|_| f16::from_f32(rng.normal()).to_bits()).collect()
}

/// `(n, SLOTS)` scores of queries on transposed keys, by the definition.
fn exact_scores(q: &[f32], keys: &[f64], dim: usize) -> Vec<(f64, f64)> {
    let score = |q: &[f32], t: usize| {
        let terms = (0..dim).map(|d| f64::from(q[d]) * keys[d * SLOTS + t]);
        terms.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()))
    };
    q.chunks_exact(dim).flat_map(|q| (0..SLOTS).map(|t| score(q, t)).collect::<Vec<_>>()).collect()
}

#[test]
fn scores_of_queries_on_a_page() {
    let mut rng = Rng::new(1);
    for k in all().iter().map(|k| k.vecs) {
        for dim in [1, 3, 16, 64, 80, 128, 256] {
            for n in 1..=QUERIES {
                let (q, h) = (numbers(n * dim, &mut rng), halves(dim * SLOTS, &mut rng));
                let f: Vec<f32> = h.iter().map(|h| f16::from_bits(*h).to_f32()).collect();
                let want = exact_scores(&q, &f.iter().map(|x| f64::from(*x)).collect::<Vec<_>>(), dim);
                let (mut from_f16, mut from_f32) = (vec![f32::NAN; n * SLOTS], vec![f32::NAN; n * SLOTS]);
                (k.scores_f16)(&q, &h, &h, &mut from_f16);
                (k.scores_f32)(&q, &f, &[], &mut from_f32);
                assert_eq!(from_f16, from_f32, "{} {n}x{dim}", k.isa);
                for (got, (sum, size)) in from_f16.iter().zip(want) {
                    let error = (f64::from(*got) - sum).abs();
                    assert!(error <= 1e-5 * size, "{} {n}x{dim}: {got} for {sum}", k.isa);
                }
                for (q, all) in q.chunks_exact(dim).zip(from_f16.chunks_exact(SLOTS)) {
                    let mut alone = [0.0; SLOTS];
                    (k.scores_f16)(q, &h, &[], &mut alone);
                    assert_eq!(alone, all, "{} a query alone of {n}x{dim}", k.isa);
                }
            }
        }
    }
}

#[test]
fn weighted_sums_of_the_values_of_a_page() {
    let mut rng = Rng::new(2);
    for k in all().iter().map(|k| k.vecs) {
        for (dim, slots) in
            [1, 5, 16, 40, 64, 80, 128, 250].into_iter().zip([0..64, 3..4, 0..0, 7..50].iter().cycle())
        {
            for n in 1..=QUERIES {
                let (w, y) = (numbers(n * SLOTS, &mut rng), numbers(n * dim, &mut rng));
                let mut h = halves(SLOTS * dim, &mut rng);
                // What is not asked for is not read.
                for (t, row) in h.chunks_exact_mut(dim).enumerate().filter(|(t, _)| !slots.contains(t)) {
                    row.fill(if t % 2 == 0 { 0x7e00 } else { 0x7c00 });
                }
                let f: Vec<f32> = h.iter().map(|h| f16::from_bits(*h).to_f32()).collect();
                let (mut from_f16, mut from_f32) = (y.clone(), y.clone());
                (k.weigh_f16)(&w, &h, &h, slots.clone(), &mut from_f16);
                (k.weigh_f32)(&w, &f, &[], slots.clone(), &mut from_f32);
                assert_eq!(from_f16, from_f32, "{} {n}x{dim} {slots:?}", k.isa);
                for (i, got) in from_f16.iter().enumerate() {
                    let terms = slots.clone().map(|t| w[i / dim * SLOTS + t] * f[t * dim + i % dim]);
                    let want = terms.fold(f64::from(y[i]), |sum, x| sum + f64::from(x));
                    assert!((f64::from(*got) - want).abs() <= 1e-4, "{} {n}x{dim}: {got} for {want}", k.isa);
                }
                for (i, all) in from_f16.chunks_exact(dim).enumerate() {
                    let mut alone = y[i * dim..][..dim].to_vec();
                    (k.weigh_f16)(&w[i * SLOTS..][..SLOTS], &h, &[], slots.clone(), &mut alone);
                    assert_eq!(alone, all, "{} a query alone of {n}x{dim}", k.isa);
                }
            }
        }
    }
}

#[test]
fn scaling() {
    let mut rng = Rng::new(3);
    for k in all().iter().map(|k| k.vecs) {
        for &n in LENGTHS {
            let mut x = numbers(n, &mut rng);
            let scaled: Vec<f32> = x.iter().map(|x| x * -2.5).collect();
            (k.scale)(-2.5, &mut x);
            assert_eq!(x, scaled, "{} scale {n}", k.isa);
        }
    }
}

#[test]
fn every_f16_converts_exactly() {
    let h: Vec<u16> = (0..=u16::MAX).filter(|h| !f16::from_bits(*h).is_nan()).collect();
    let x: Vec<f32> = h.iter().map(|h| f16::from_bits(*h).to_f32()).collect();
    for k in all().iter().map(|k| k.vecs) {
        let mut back = vec![0; h.len()];
        (k.to_f16)(&x, &mut back);
        assert_eq!(back, h, "{}", k.isa);
        // Each value of 64 slots of one element, weighed by 1.
        for (h, x) in h.chunks(SLOTS).zip(x.chunks(SLOTS)) {
            let mut page = [0; SLOTS];
            page[..h.len()].copy_from_slice(h);
            for (t, x) in x.iter().enumerate() {
                let mut sum = [0.0];
                (k.weigh_f16)(&[1.0; SLOTS], &page, &[], t..t + 1, &mut sum);
                assert_eq!(sum[0].to_bits(), (x + 0.0).to_bits(), "{} {x}", k.isa);
            }
            // The same as lanes.
            let mut sums = [0.0; SLOTS];
            (k.weigh_f16)(&[1.0; SLOTS], &page.repeat(SLOTS), &[], 0..1, &mut sums);
            assert!(sums.iter().zip(x).all(|(s, x)| s == x), "{} {h:?}", k.isa);
        }
    }
}

#[test]
fn f16_rounds_to_nearest_even() {
    let mut rng = Rng::new(3);
    let mut x: Vec<f32> = (0..20_000).map(|_| f32::from_bits(rng.bits() as u32)).collect();
    x.extend((0..20_000).map(|_| rng.normal()));
    x.extend((0..2048).map(|i| 1.0 + i as f32 / 4096.0));
    x.extend([65504.0, 65519.9, 65520.0, -65520.0, 5.96e-8, 2.98e-8, 2.981e-8, 1e-30, f32::INFINITY]);
    x.retain(|x| !x.is_nan());
    let want: Vec<u16> = x.iter().map(|x| f16::from_f32(*x).to_bits()).collect();
    for k in all().iter().map(|k| k.vecs) {
        let mut got = vec![0; x.len()];
        (k.to_f16)(&x, &mut got);
        assert_eq!(got, want, "{}", k.isa);
        (k.to_f16)(&[f32::NAN; 17], &mut got[..17]);
        assert!(got[..17].iter().all(|h| f16::from_bits(*h).is_nan()), "{}", k.isa);
    }
}

#[test]
fn weights_are_exp_within_2_ulp() {
    let mut rng = Rng::new(4);
    let mut x: Vec<f32> = (0..100_000).map(|_| rng.unit() * 104.0).collect();
    x.extend((0..100_000).map(|_| rng.unit() * 2.0));
    x.extend([0.0, -0.0, 1e-30, -1e-30, 88.7, 88.73, 200.0, -87.3, -87.4, -103.0, -104.5, -1e30]);
    x.resize(x.len().next_multiple_of(SLOTS), 1.0);
    x.iter_mut().for_each(|x| *x = -x.abs());
    for k in all().iter().map(|k| k.vecs) {
        for x in x.as_chunks::<SLOTS>().0 {
            let (mut got, mut max, mut sum) = (*x, [0.0], [0.0]);
            (k.softmax)(&mut got, 0..SLOTS, &mut max, &mut sum, &mut [1.0]);
            assert_eq!(max, [0.0], "{}", k.isa);
            for (x, got) in x.iter().zip(got) {
                let error = ulps(got, f64::from(*x).exp());
                assert!(error <= 2.0, "{}: exp({x}) = {got} is {error} ulp off", k.isa);
            }
        }
    }
}

#[test]
fn the_largest_score_is_found_anywhere() {
    for k in all().iter().map(|k| k.vecs) {
        let largest = |scores: [f32; SLOTS]| {
            let mut max = [f32::NEG_INFINITY];
            (k.softmax)(&mut scores.clone(), 0..SLOTS, &mut max, &mut [0.0], &mut [0.0]);
            max[0]
        };
        for at in 0..SLOTS {
            let mut scores = [-2.0; SLOTS];
            scores[at] = -1.0;
            assert_eq!(largest(scores), -1.0, "{} at {at}", k.isa);
            // A number that is none is passed over.
            scores[at] = f32::NAN;
            scores[(at + 16) % SLOTS] = 3.0;
            assert_eq!(largest(scores), 3.0, "{} beside NaN at {at}", k.isa);
        }
        assert_eq!(largest([f32::INFINITY; SLOTS]), f32::INFINITY, "{}", k.isa);
    }
}

/// Against the definition, page by page; queries alone get the same bits as together.
#[test]
fn softmax_over_pages() {
    let mut rng = Rng::new(5);
    for k in all().iter().map(|k| k.vecs) {
        for (dim, n) in [1, 5, 16, 40, 64, 80].into_iter().zip((1..=QUERIES).cycle()) {
            let (mut maxima, mut sums) = (vec![f32::NEG_INFINITY; n], vec![0.0f32; n]);
            // One value, 1, in all elements: weighted sums are the sums of the weights.
            let mut acc = vec![0.0f32; n * dim];
            let mut seen: Vec<Vec<f64>> = vec![Vec::new(); n];
            for slots in [60..64, 0..64, 0..0, 7..50, 0..64, 0..1] {
                let mut scores: Vec<f32> = (0..n * SLOTS).map(|_| rng.normal() * 10.0).collect();
                scores[slots.start.min(SLOTS - 1)] = f32::NEG_INFINITY;
                for (row, seen) in scores.chunks_exact_mut(SLOTS).zip(&mut seen) {
                    seen.extend(row[slots.clone()].iter().map(|s| f64::from(*s)));
                    // What is not asked for is not read.
                    row[..slots.start].fill(f32::NAN);
                    row[slots.end..].fill(f32::INFINITY);
                }
                for i in 0..n {
                    let alone = (&mut scores.clone()[i * SLOTS..][..SLOTS], &mut [maxima[i]], &mut [sums[i]]);
                    let mut acc_alone = acc[i * dim..][..dim].to_vec();
                    (k.softmax)(alone.0, slots.clone(), alone.1, alone.2, &mut acc_alone);
                    let mut all = (scores.clone(), maxima.clone(), sums.clone(), acc.clone());
                    (k.softmax)(&mut all.0, slots.clone(), &mut all.1, &mut all.2, &mut all.3);
                    assert_eq!(*alone.0, all.0[i * SLOTS..][..SLOTS], "{} {n}x{dim}", k.isa);
                    assert_eq!((alone.1[0], alone.2[0]), (all.1[i], all.2[i]), "{} {n}x{dim}", k.isa);
                    assert_eq!(acc_alone, all.3[i * dim..][..dim], "{} {n}x{dim}", k.isa);
                }
                (k.softmax)(&mut scores, slots.clone(), &mut maxima, &mut sums, &mut acc);
                for (row, acc) in scores.chunks_exact(SLOTS).zip(acc.chunks_exact_mut(dim)) {
                    assert!(
                        row[..slots.start].iter().chain(&row[slots.end..]).all(|w| *w == 0.0),
                        "{}",
                        k.isa
                    );
                    acc.iter_mut().for_each(|y| *y += row.iter().sum::<f32>());
                }
                for (i, seen) in seen.iter().enumerate() {
                    let max = seen.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let want: f64 = seen.iter().map(|s| (s - max).exp()).filter(|w| w.is_finite()).sum();
                    let close = |got: f32| (f64::from(got) - want).abs() <= 2e-6 * want;
                    assert_eq!(f64::from(maxima[i]), max, "{} {n}x{dim} {slots:?}", k.isa);
                    assert!(close(sums[i]), "{} {n}x{dim} {slots:?}: {} for {want}", k.isa, sums[i]);
                    assert!(acc[i * dim..][..dim].iter().all(|y| close(*y)), "{} {n}x{dim} {slots:?}", k.isa);
                }
            }
        }
    }
}

#[test]
fn sums_of_squares_are_accurate() {
    let mut rng = Rng::new(6);
    for k in all().iter().map(|k| k.vecs) {
        for n in LENGTHS.iter().copied().chain([16384, 16389]) {
            for scale in [1.0, 1e-6, 1e12] {
                let x: Vec<f32> = (0..n).map(|_| rng.normal() * scale + scale).collect();
                let want: f64 = x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
                let got = f64::from((k.sum_squares)(&x));
                assert!((got - want).abs() <= 1e-6 * want, "{} {n}: {got} for {want}", k.isa);
            }
        }
    }
}

#[test]
fn gated_units() {
    let mut rng = Rng::new(7);
    let mut gate: Vec<f32> = (0..50_000).map(|_| rng.unit() * 12.0).collect();
    gate.extend((0..10_000).map(|_| rng.unit() * 110.0));
    gate.extend([0.0, -0.0, 1e-20, -1e-20, 1e30, -1e30, 87.0, -87.0, -100.0, -104.0]);
    let ones = vec![1.0; gate.len()];
    for k in all().iter().map(|k| k.vecs) {
        let mut y = vec![f32::NAN; gate.len()];
        (k.silu_mul)(&gate, &ones, &mut y);
        for (g, y) in gate.iter().zip(&y) {
            let x = f64::from(*g);
            let want = if x < -700.0 { 0.0 } else { x / (1.0 + (-x).exp()) };
            // Beyond exp's range the result is below the smallest normal number times the gate.
            let error = if *g < -88.0 { (f64::from(*y) - want).abs() / 1e-36 } else { ulps(*y, want) };
            assert!(error <= 4.0, "{}: silu({g}) = {y} for {want}: {error} ulp", k.isa);
        }
        (k.gelu_mul)(&gate, &ones, &mut y);
        for (g, y) in gate.iter().zip(&y) {
            let x = f64::from(*g);
            let want =
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh());
            let bound = 4.0 * x.abs() * 2f64.powi(-23);
            assert!((f64::from(*y) - want).abs() <= bound, "{}: gelu({g}) = {y} for {want}", k.isa);
        }
        for &n in LENGTHS {
            let up: Vec<f32> = (0..n).map(|_| rng.normal()).collect();
            let (mut part, mut whole) = (vec![f32::NAN; n], vec![f32::NAN; n]);
            (k.silu_mul)(&gate[..n], &up, &mut part);
            (k.silu_mul)(&gate[..n], &ones[..n], &mut whole);
            assert!(part.iter().zip(&whole).zip(&up).all(|((p, w), u)| *p == w * u), "{} {n}", k.isa);
        }
    }
}

/// Scale = largest / 127, every element within half a step, sums exact; the same planes from every instruction set.
#[test]
fn quantised_rows() {
    let mut rng = Rng::new(8);
    for block in [32, 256] {
        for n in [block, 3 * block, 2048] {
            let mut x: Vec<f32> = (0..n).map(|_| rng.normal()).collect();
            x[..block].fill(0.0);
            let mut first: Option<(Vec<i8>, Vec<f32>, Vec<i16>)> = None;
            for k in all().iter().map(|k| k.vecs) {
                let (mut q, mut scales, mut sums) = (vec![99; n], vec![9.0; n / block], vec![99; n / 16]);
                let quantise = if block == 32 { k.quantise_q8x32 } else { k.quantise_q8x256 };
                quantise(&x, &mut q, &mut scales, &mut sums);
                for (b, x) in x.chunks(block).enumerate() {
                    let largest = x.iter().fold(0.0f32, |m, x| m.max(x.abs()));
                    assert_eq!(scales[b], largest / 127.0, "{}", k.isa);
                    let q = &q[b * block..][..block];
                    let off = x.iter().zip(q).map(|(x, q)| (x - f32::from(*q) * scales[b]).abs());
                    assert!(off.fold(0.0, f32::max) <= scales[b] * 0.5001, "{}", k.isa);
                    assert!(q.iter().all(|q| *q >= -127));
                }
                for (s, q) in sums.iter().zip(q.chunks(16)) {
                    assert_eq!(i32::from(*s), q.iter().map(|q| i32::from(*q)).sum::<i32>(), "{}", k.isa);
                }
                let planes = (q, scales, sums);
                assert_eq!(first.get_or_insert_with(|| planes.clone()), &planes, "{} block {block}", k.isa);
            }
        }
    }
}
