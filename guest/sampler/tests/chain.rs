//! The chain against hand-computed cases, and against anything.

use chord_sampler::{Candidates, Chain, Mirostat, SampleError, SamplerOptions};
use proptest::prelude::*;

/// All samplers off.
fn off() -> SamplerOptions {
    SamplerOptions { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, ..SamplerOptions::default() }
}

fn ln(p: &[f32]) -> Vec<f32> {
    p.iter().map(|p| p.ln()).collect()
}

/// How often each token comes in `n` draws.
fn frequencies(options: &SamplerOptions, logits: &[f32], n: usize) -> Vec<f64> {
    let mut chain = Chain::new(options).unwrap();
    let mut counts = vec![0usize; logits.len()];
    for _ in 0..n {
        counts[chain.sample(Candidates::from_logits(logits)).unwrap().token as usize] += 1;
    }
    counts.into_iter().map(|c| c as f64 / n as f64).collect()
}

fn assert_close(found: &[f64], expected: &[f64]) {
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() < 0.015, "token {i}: expected {e}, found {f} in {found:?}");
    }
}

#[test]
fn without_samplers_draws_follow_the_softmax() {
    assert_close(&frequencies(&off(), &ln(&[0.1, 0.2, 0.3, 0.4]), 20_000), &[0.1, 0.2, 0.3, 0.4]);
}

#[test]
fn temperature_sharpens() {
    // Squares of the probabilities, normalised.
    let options = SamplerOptions { temperature: 0.5, ..off() };
    let expected = [0.01 / 0.3, 0.04 / 0.3, 0.09 / 0.3, 0.16 / 0.3];
    assert_close(&frequencies(&options, &ln(&[0.1, 0.2, 0.3, 0.4]), 20_000), &expected);
}

#[test]
fn top_k_keeps_k() {
    let options = SamplerOptions { top_k: 2, ..off() };
    let expected = [0.0, 0.0, 3.0 / 7.0, 4.0 / 7.0];
    assert_close(&frequencies(&options, &ln(&[0.1, 0.2, 0.3, 0.4]), 20_000), &expected);
}

#[test]
fn top_p_keeps_the_fewest_that_reach_p() {
    let options = SamplerOptions { top_p: 0.65, ..off() };
    let expected = [0.0, 0.0, 3.0 / 7.0, 4.0 / 7.0];
    assert_close(&frequencies(&options, &ln(&[0.1, 0.2, 0.3, 0.4]), 20_000), &expected);
    let all = SamplerOptions { top_p: 0.95, ..off() };
    assert_close(&frequencies(&all, &ln(&[0.1, 0.2, 0.3, 0.4]), 20_000), &[0.1, 0.2, 0.3, 0.4]);
}

#[test]
fn min_p_compares_with_the_best() {
    let options = SamplerOptions { min_p: 0.6, ..off() };
    let expected = [0.0, 0.0, 3.0 / 7.0, 4.0 / 7.0];
    assert_close(&frequencies(&options, &ln(&[0.1, 0.2, 0.3, 0.4]), 20_000), &expected);
}

#[test]
fn penalties_lower_what_occurred() {
    let greedy = |o: SamplerOptions, seen: &[u32], logits: &[f32]| {
        let mut chain = Chain::new(&SamplerOptions { temperature: 0.0, ..o }).unwrap();
        seen.iter().for_each(|&t| chain.accept(t));
        chain.sample(Candidates::from_logits(logits)).unwrap()
    };
    let repeat = SamplerOptions { repeat_penalty: 2.0, ..off() };
    let c = greedy(repeat.clone(), &[1], &[1.5, 2.0, -1.0]);
    assert_eq!((c.token, c.logit), (0, 1.5), "2.0 became 1.0");
    let c = greedy(repeat, &[0, 1, 2], &[-3.0, -1.0, -4.0]);
    assert_eq!((c.token, c.logit), (1, -2.0), "below zero the penalty multiplies");
    let frequency = SamplerOptions { frequency_penalty: 0.5, presence_penalty: 0.25, ..off() };
    let c = greedy(frequency.clone(), &[1, 1, 1], &[0.2, 2.0, 0.0]);
    assert_eq!((c.token, c.logit), (1, 2.0 - 1.5 - 0.25));
    let window = SamplerOptions { repeat_last_n: 2, ..frequency };
    let c = greedy(window, &[1, 1, 1, 0, 0], &[0.2, 2.0, 0.0]);
    assert_eq!((c.token, c.logit), (1, 2.0), "what left the window is forgotten");
}

#[test]
fn greedy_takes_the_first_of_equals() {
    let mut chain = Chain::new(&SamplerOptions { temperature: 0.0, ..off() }).unwrap();
    assert_eq!(chain.sample(Candidates::from_logits(&[1.0, 3.0, 3.0, 2.0])).unwrap().token, 1);
}

#[test]
fn the_seed_decides() {
    let draws = |seed| {
        let mut chain = Chain::new(&SamplerOptions { seed, ..SamplerOptions::default() }).unwrap();
        let logits: Vec<f32> = (0..100).map(|i| (i as f32 * 0.37).sin()).collect();
        (0..50).map(|_| chain.sample(Candidates::from_logits(&logits)).unwrap().token).collect::<Vec<_>>()
    };
    assert_eq!(draws(1), draws(1));
    assert_ne!(draws(1), draws(2));
}

#[test]
fn logits_that_are_no_numbers_end_with_a_reason() {
    let mut chain = Chain::new(&SamplerOptions::default()).unwrap();
    let mut sample = |logits: &[f32]| chain.sample(Candidates::from_logits(logits));
    assert_eq!(sample(&[0.0, f32::NAN]), Err(SampleError::NotFinite { token: 1 }));
    assert_eq!(sample(&[f32::INFINITY, 0.0]), Err(SampleError::NotFinite { token: 0 }));
    assert_eq!(sample(&[f32::NEG_INFINITY; 3]), Err(SampleError::Empty));
    assert_eq!(sample(&[]), Err(SampleError::Empty));
    assert_eq!(sample(&[f32::NEG_INFINITY, 0.0]).map(|c| c.token), Ok(1));
}

#[test]
fn options_out_of_range_are_named() {
    let name = |o: SamplerOptions| Chain::new(&o).unwrap_err().option;
    assert_eq!(name(SamplerOptions { temperature: f32::NAN, ..off() }), "temperature");
    assert_eq!(name(SamplerOptions { temperature: -0.1, ..off() }), "temperature");
    assert_eq!(name(SamplerOptions { top_p: 1.5, ..off() }), "top_p");
    assert_eq!(name(SamplerOptions { min_p: f32::NAN, ..off() }), "min_p");
    assert_eq!(name(SamplerOptions { repeat_penalty: 0.0, ..off() }), "repeat_penalty");
    assert_eq!(name(SamplerOptions { presence_penalty: f32::INFINITY, ..off() }), "presence_penalty");
}

fn any_options() -> impl Strategy<Value = SamplerOptions> {
    let common = (0.0f32..3.0, 0u32..20, 0.0f32..=1.0, 0.0f32..=1.0, 0.5f32..2.0, any::<u64>());
    let others = (0.0f32..2.0, 0.0f32..=1.0, 0.0f32..4.0, 0.0f32..=1.0, 0.0f32..=0.5, 0.0f32..3.0);
    let mirostat = prop::option::of((0.0f32..9.0, 0.0f32..1.0));
    (common, others, mirostat).prop_map(|(common, others, mirostat)| {
        let (temperature, top_k, top_p, min_p, repeat_penalty, seed) = common;
        let (dynatemp_range, typical_p, top_n_sigma, xtc_probability, xtc_threshold, dry_multiplier) = others;
        SamplerOptions {
            temperature,
            top_k,
            top_p,
            min_p,
            repeat_penalty,
            seed,
            dynatemp_range,
            typical_p,
            top_n_sigma,
            xtc_probability,
            xtc_threshold,
            dry_multiplier,
            mirostat: mirostat.map(|(tau, eta)| Mirostat { tau, eta }),
            ..SamplerOptions::default()
        }
    })
}

fn any_logit() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => -30.0f32..30.0,
        1 => Just(f32::NEG_INFINITY),
        1 => Just(f32::MAX),
        1 => Just(f32::MIN),
        1 => Just(f32::MIN_POSITIVE),
    ]
}

proptest! {
    #[test]
    fn a_choice_is_in_range_and_not_masked(
        options in any_options(),
        logits in prop::collection::vec(any_logit(), 1..60),
        seen in prop::collection::vec(0u32..60, 0..20),
    ) {
        let mut chain = Chain::new(&options).unwrap();
        seen.iter().for_each(|&t| chain.accept(t));
        match chain.sample(Candidates::from_logits(&logits)) {
            Ok(c) => prop_assert!(logits[c.token as usize] > f32::NEG_INFINITY),
            Err(e) => {
                prop_assert_eq!(e, SampleError::Empty);
                prop_assert!(logits.iter().all(|&l| l == f32::NEG_INFINITY));
            }
        }
    }

    #[test]
    fn the_top_k_is_enough_where_the_chain_says_so(
        options in any_options(),
        logits in prop::collection::vec(-9.0f32..9.0, 1..60),
    ) {
        let options = SamplerOptions {
            repeat_penalty: 1.0,
            dry_multiplier: 0.0,
            top_n_sigma: 0.0,
            mirostat: None,
            ..options
        };
        let mut whole = Chain::new(&options).unwrap();
        let mut top = whole.clone();
        if let Some(k) = whole.top_k_suffices() {
            let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
            ids.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
            ids.truncate(k as usize);
            let best: Vec<f32> = ids.iter().map(|&i| logits[i as usize]).collect();
            for _ in 0..5 {
                let a = whole.sample(Candidates::from_logits(&logits)).unwrap();
                let b = top.sample(Candidates::from_top(&ids, &best)).unwrap();
                prop_assert_eq!(a.token, b.token);
            }
        }
    }
}
