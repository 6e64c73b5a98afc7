//! Dynamic temperature, typical, top-n-sigma, XTC, DRY, logit bias and mirostat against cases worked by hand.

use chord_sampler::{Candidates, Chain, Choice, Mirostat, SampleError, SamplerKind, SamplerOptions};

/// All samplers off.
fn off() -> SamplerOptions {
    SamplerOptions { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, ..SamplerOptions::default() }
}

fn ln(p: &[f32]) -> Vec<f32> {
    p.iter().map(|p| p.ln()).collect()
}

fn sample(options: &SamplerOptions, logits: &[f32]) -> Choice {
    Chain::new(options).unwrap().sample(Candidates::from_logits(logits)).unwrap()
}

/// Probabilities of a chain without memory: of each token that comes in 2000 draws, as the chain reports it.
fn probabilities(options: &SamplerOptions, logits: &[f32]) -> Vec<f32> {
    let mut chain = Chain::new(options).unwrap();
    let mut found = vec![0.0; logits.len()];
    for _ in 0..2000 {
        let choice = chain.sample(Candidates::from_logits(logits)).unwrap();
        found[choice.token as usize] = choice.logprob.exp();
    }
    found
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() < 1e-4, "expected {expected:?}, found {found:?}");
    }
}

#[test]
fn dynamic_temperature_follows_the_entropy() {
    // Entropy of (0.8, 0.2): 0.7219 bits of 1 possible. 4^(1/t) = odds at temperature t.
    let odds = |t: f32| 4f32.powf(1.0 / t);
    let expected = |t: f32| [odds(t) / (1.0 + odds(t)), 1.0 / (1.0 + odds(t))];
    let linear = SamplerOptions { dynatemp_range: 0.5, ..off() };
    assert_close(&probabilities(&linear, &ln(&[0.8, 0.2])), &expected(0.5 + 0.721_928));
    let squared = SamplerOptions { dynatemp_exponent: 2.0, ..linear.clone() };
    assert_close(&probabilities(&squared, &ln(&[0.8, 0.2])), &expected(0.5 + 0.721_928 * 0.721_928));
    // The least temperature is 0, and there the best is left.
    let wide = SamplerOptions { dynatemp_range: 3.0, ..off() };
    assert_close(&probabilities(&wide, &[90.0, 0.0, 0.0]), &[1.0, 0.0, 0.0]);
    assert_close(&probabilities(&linear, &[1.0]), &[1.0]);
}

#[test]
fn typical_keeps_what_is_as_surprising_as_the_entropy_says() {
    // Entropy 1.75 bits; distances of the surprises from it: 0.75, 0.25, 1.25, 1.25.
    let logits = ln(&[0.5, 0.25, 0.125, 0.125]);
    let keep = |p: f32| probabilities(&SamplerOptions { typical_p: p, ..off() }, &logits);
    assert_close(&keep(0.2), &[0.0, 1.0, 0.0, 0.0]);
    assert_close(&keep(0.7), &[2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0]);
    assert_close(&keep(0.8), &[0.5 / 0.875, 0.25 / 0.875, 0.125 / 0.875, 0.0]);
    assert_close(&keep(1.0), &[0.5, 0.25, 0.125, 0.125]);
}

#[test]
fn top_n_sigma_measures_in_standard_deviations() {
    // Mean 1, standard deviation sqrt(3): one of them below the best is 2.27, two are 0.54, three are -1.2.
    let logits = [0.0, 0.0, 0.0, 4.0];
    let keep = |n: f32| probabilities(&SamplerOptions { top_n_sigma: n, ..off() }, &logits);
    let rest = 4f32.exp() + 3.0;
    assert_close(&keep(1.0), &[0.0, 0.0, 0.0, 1.0]);
    assert_close(&keep(2.0), &[0.0, 0.0, 0.0, 1.0]);
    assert_close(&keep(3.0), &[1.0 / rest, 1.0 / rest, 1.0 / rest, 4f32.exp() / rest]);
    assert_close(&keep(0.0), &keep(3.0));
}

#[test]
fn xtc_leaves_the_least_of_the_likely() {
    let logits = ln(&[0.4, 0.3, 0.2, 0.1]);
    let always = SamplerOptions { xtc_probability: 1.0, xtc_threshold: 0.15, ..off() };
    assert_close(&probabilities(&always, &logits), &[0.0, 0.0, 2.0 / 3.0, 1.0 / 3.0]);
    // One likely token alone stays.
    let high = SamplerOptions { xtc_threshold: 0.35, ..always.clone() };
    assert_close(&probabilities(&high, &logits), &[0.4, 0.3, 0.2, 0.1]);
    let off_by_threshold = SamplerOptions { xtc_threshold: 0.6, ..always.clone() };
    assert_close(&probabilities(&off_by_threshold, &logits), &[0.4, 0.3, 0.2, 0.1]);
    // Half of the time: the best comes in half of its share.
    let mut chain = Chain::new(&SamplerOptions { xtc_probability: 0.5, ..always }).unwrap();
    let mut best = 0;
    for _ in 0..20_000 {
        best += u32::from(chain.sample(Candidates::from_logits(&logits)).unwrap().token == 0);
    }
    assert!((f64::from(best) / 20_000.0 - 0.2).abs() < 0.01, "{best}");
}

/// The logits after DRY: greedy choices, the best so far banned each time.
fn dried(options: &SamplerOptions, text: &[u32], count: u32) -> Vec<f32> {
    let mut found = vec![0.0; count as usize];
    let mut banned = Vec::new();
    for _ in 0..count {
        let options = SamplerOptions { temperature: 0.0, logit_bias: banned.clone(), ..options.clone() };
        let mut chain = Chain::new(&options).unwrap();
        text.iter().for_each(|&t| chain.accept(t));
        let choice = chain.sample(Candidates::from_logits(&vec![0.0; count as usize])).unwrap();
        found[choice.token as usize] = choice.logit;
        banned.push((choice.token, f32::NEG_INFINITY));
    }
    found
}

#[test]
fn dry_punishes_going_on_with_a_repetition() {
    // The example in llama.cpp's source: a b c c b c y a b c, with a = 0, b = 1, c = 2, y = 3. The end `a b c` occurred
    // before a c, `b c` before a y; `c` before a b is shorter than what is allowed.
    let text = [0, 1, 2, 2, 1, 2, 3, 0, 1, 2];
    let dry = SamplerOptions { dry_multiplier: 0.5, dry_base: 3.0, ..off() };
    assert_eq!(dried(&dry, &text, 5), [0.0, 0.0, -0.5 * 3.0, -0.5, 0.0]);
    let one = SamplerOptions { dry_allowed_length: 1, ..dry.clone() };
    assert_eq!(dried(&one, &text, 5), [0.0, -0.5, -0.5 * 9.0, -0.5 * 3.0, 0.0]);
    // Looking back on six tokens only: b c y a b c.
    let near = SamplerOptions { dry_last_n: 6, ..dry.clone() };
    assert_eq!(dried(&near, &text, 5), [0.0, 0.0, 0.0, -0.5, 0.0]);
    // A breaker in the end shortens what counts as repeated; a breaker is not punished itself.
    let broken = SamplerOptions { dry_breakers: vec![vec![0]], ..dry.clone() };
    assert_eq!(dried(&broken, &text, 5), [0.0, 0.0, -0.5, -0.5, 0.0]);
    let pair = SamplerOptions { dry_breakers: vec![vec![0, 1]], ..dry.clone() };
    assert_eq!(dried(&pair, &text, 5), [0.0; 5], "one token since the breaker");
    let next = SamplerOptions { dry_breakers: vec![vec![3]], ..dry };
    assert_eq!(dried(&next, &text, 5), [0.0, 0.0, -0.5 * 3.0, 0.0, 0.0]);
}

#[test]
fn dry_counts_repetitions_that_overlap() {
    // 1 1 1 1: the end of length 3 occurred before a 1.
    let dry = SamplerOptions { dry_multiplier: 1.0, dry_base: 2.0, ..off() };
    assert_eq!(dried(&dry, &[1, 1, 1, 1], 2), [0.0, -2.0]);
    // So long that the power overflows: the least number, not a NaN.
    let long = vec![1; 3000];
    let mut chain = Chain::new(&dry).unwrap();
    long.iter().for_each(|&t| chain.accept(t));
    assert_eq!(chain.sample(Candidates::from_logits(&[0.0, 50.0])).unwrap().token, 0);
}

#[test]
fn bias_moves_and_bans() {
    let moved = SamplerOptions { logit_bias: vec![(0, 3f32.ln())], ..off() };
    assert_close(&probabilities(&moved, &[0.0, 0.0]), &[0.75, 0.25]);
    let banned = SamplerOptions { logit_bias: vec![(1, f32::NEG_INFINITY)], ..off() };
    assert_close(&probabilities(&banned, &[0.0, 9.0]), &[1.0, 0.0]);
    assert_eq!(sample(&SamplerOptions { temperature: 0.0, ..banned.clone() }, &[0.0, 9.0]).token, 0);
    let none = Chain::new(&banned).unwrap().sample(Candidates::from_top(&[1], &[0.0]));
    assert_eq!(none, Err(SampleError::Empty));
}

#[test]
fn mirostat_bounds_the_surprise() {
    // mu starts at 2 tau, a little above 2 bits.
    let options = SamplerOptions { mirostat: Some(Mirostat { tau: 1.01, eta: 0.0 }), ..off() };
    let logits = ln(&[0.5, 0.25, 0.125, 0.125]);
    assert_close(&probabilities(&options, &logits), &[2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0]);
    // However low the bound, the best stays.
    let low = SamplerOptions { mirostat: Some(Mirostat { tau: 0.0, eta: 0.0 }), ..off() };
    assert_close(&probabilities(&low, &logits), &[1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn mirostat_reaches_its_target() {
    // Zipf's law over 2000 tokens has far more than 3 bits.
    let logits: Vec<f32> = (1..=2000).map(|rank| -(rank as f32).ln()).collect();
    let options = SamplerOptions { mirostat: Some(Mirostat { tau: 3.0, eta: 0.1 }), ..off() };
    let mut chain = Chain::new(&options).unwrap();
    let mut surprise = 0.0;
    for step in 0..3000 {
        let choice = chain.sample(Candidates::from_logits(&logits)).unwrap();
        surprise += if step < 500 { 0.0 } else { -choice.logprob / std::f32::consts::LN_2 };
    }
    let mean = surprise / 2500.0;
    assert!((mean - 3.0).abs() < 0.1, "{mean} bits");
}

#[test]
fn the_order_is_the_callers() {
    // Top-k after the temperature or before it keeps the same two; top-p first keeps other ones than after top-k.
    let logits = ln(&[0.4, 0.3, 0.2, 0.1]);
    let order = |names: &[&str]| SamplerOptions {
        top_k: 3,
        top_p: 0.8,
        order: names.iter().map(|n| SamplerKind::from_name(n).unwrap()).collect(),
        ..off()
    };
    // 0.4 + 0.3 of 0.9 is 0.78, below 0.8; of 1.0 it is 0.7, and 0.2 more are needed as well.
    assert_close(
        &probabilities(&order(&["top_k", "top_p"]), &logits),
        &[0.4 / 0.9, 0.3 / 0.9, 0.2 / 0.9, 0.0],
    );
    let two = |names| SamplerOptions { top_k: 2, top_p: 0.5, ..order(names) };
    // Of the best two, 0.4 is 0.57 of what is left.
    assert_close(&probabilities(&two(&["top_k", "top_p"]), &logits), &[1.0, 0.0, 0.0, 0.0]);
    assert_close(&probabilities(&two(&["top_p", "top_k"]), &logits), &[0.4 / 0.7, 0.3 / 0.7, 0.0, 0.0]);
    assert_close(&probabilities(&order(&[]), &logits), &[0.4, 0.3, 0.2, 0.1]);
}

#[test]
fn samplers_have_names() {
    for (name, kind) in SamplerKind::names().zip(SamplerOptions::default().order) {
        assert_eq!(SamplerKind::from_name(name), Some(kind));
        assert_eq!(SamplerKind::from_name(&name.replace('_', "-")), Some(kind));
    }
    assert_eq!(SamplerKind::from_name("typical"), Some(SamplerKind::Typical));
    assert_eq!(SamplerKind::from_name("greedy"), None);
}

#[test]
fn options_out_of_range_are_named() {
    let name = |o: SamplerOptions| Chain::new(&o).unwrap_err().option;
    assert_eq!(name(SamplerOptions { typical_p: 1.5, ..off() }), "typical_p");
    assert_eq!(name(SamplerOptions { top_n_sigma: f32::NAN, ..off() }), "top_n_sigma");
    assert_eq!(name(SamplerOptions { dynatemp_range: -1.0, ..off() }), "dynatemp_range");
    assert_eq!(name(SamplerOptions { xtc_probability: 2.0, ..off() }), "xtc_probability");
    assert_eq!(name(SamplerOptions { xtc_threshold: f32::NAN, ..off() }), "xtc_threshold");
    assert_eq!(name(SamplerOptions { dry_multiplier: f32::INFINITY, ..off() }), "dry_multiplier");
    assert_eq!(name(SamplerOptions { dry_base: 0.5, ..off() }), "dry_base");
    assert_eq!(name(SamplerOptions { logit_bias: vec![(0, f32::INFINITY)], ..off() }), "logit_bias");
    let mirostat = Some(Mirostat { tau: -1.0, eta: 0.1 });
    assert_eq!(name(SamplerOptions { mirostat, ..off() }), "mirostat tau");
}
