//! One thing that is measured, and how often it was.

use anyhow::Result;
use chord_runtime::{Event, GenerateOptions, Generation, Instance, Model, OpProfile, Prompt, Session};
use std::time::{Duration, Instant};

/// Tokens read at once or generated one by one, after `depth` others, by each of `parallel` sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Case {
    /// A prompt is read; else tokens are generated.
    pub(super) prompt: bool,
    pub(super) tokens: u32,
    pub(super) depth: u32,
    pub(super) parallel: u32,
}

/// All counted runs of a case.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) case: Case,
    /// Tokens per second of all sequences together, one per run.
    pub(super) samples: Vec<f64>,
    /// The fastest run: the one that other programs disturbed least.
    pub(super) best: Option<Counts>,
}

/// What was counted in a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) time: Duration,
    /// Of it, in the device.
    pub(super) device_time: Duration,
    pub(super) steps: u64,
    /// Tokens that steps read.
    pub(super) tokens: u64,
    /// Every op of the plan; empty unless ops are timed.
    pub(super) ops: Vec<OpProfile>,
}

impl Case {
    /// `prefill` or `decode`.
    pub(super) fn name(&self) -> &'static str {
        if self.prompt { "prefill" } else { "decode" }
    }
}

impl Outcome {
    pub(super) fn new(case: Case) -> Outcome {
        Outcome { case, samples: Vec::new(), best: None }
    }

    /// Counts a run.
    pub(super) fn add(&mut self, run: Counts) {
        let tokens = f64::from(self.case.tokens) * f64::from(self.case.parallel);
        self.samples.push(tokens / run.time.as_secs_f64());
        if self.best.as_ref().is_none_or(|best| run.time < best.time) {
            self.best = Some(run);
        }
    }

    /// Tokens per second of all sequences: the median.
    pub(super) fn tok_s(&self) -> f64 {
        median(&self.samples)
    }
}

impl Counts {
    /// Milliseconds of a step: the mean.
    pub(super) fn step_ms(&self) -> f64 {
        self.per_step(self.time)
    }

    /// Milliseconds of a step, of some time in all steps.
    pub(super) fn per_step(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e3 / self.steps.max(1) as f64
    }
}

/// Open sessions that have all read as many tokens.
pub(super) struct Sessions {
    sessions: Vec<Session>,
    depth: u32,
    vocabulary: u32,
}

impl Sessions {
    /// `count` sessions that have read `depth` tokens each, of their own.
    pub(super) fn open(
        instance: &mut Instance,
        model: &Model,
        count: u32,
        depth: u32,
        vocabulary: u32,
    ) -> Result<Sessions> {
        let mut sessions = Vec::with_capacity(count as usize);
        let tokens = random_tokens(count as usize * depth as usize, vocabulary);
        for i in 0..count as usize {
            let session = instance.open(model)?;
            if depth > 0 {
                instance.append(&session, &tokens[i * depth as usize..][..depth as usize])?;
            }
            sessions.push(session);
        }
        Ok(Sessions { sessions, depth, vocabulary })
    }

    /// Runs a case once; the sessions are then as before.
    pub(super) fn run(&self, instance: &mut Instance, case: Case) -> Result<Counts> {
        let sessions = &self.sessions[..case.parallel as usize];
        let before = instance.stats();
        instance.reset_profile();
        let time = match case.prompt {
            true => self.prefill(instance, &sessions[0], case.tokens)?,
            false => self.decode(instance, sessions, case.tokens)?,
        };
        let after = instance.stats();
        for session in sessions {
            instance.truncate(session, self.depth)?;
        }
        Ok(Counts {
            time,
            device_time: after.device_time - before.device_time,
            steps: after.steps - before.steps,
            tokens: after.tokens - before.tokens,
            ops: instance.profile().into_iter().flatten().collect(),
        })
    }

    fn prefill(&self, instance: &mut Instance, session: &Session, n: u32) -> Result<Duration> {
        let tokens = random_tokens(n as usize, self.vocabulary);
        let start = Instant::now();
        // The last row is wanted, as it is before a first token.
        instance.evaluate(session, &tokens, &[n - 1])?;
        Ok(start.elapsed())
    }

    fn decode(&self, instance: &mut Instance, sessions: &[Session], n: u32) -> Result<Duration> {
        let options = GenerateOptions {
            max_tokens: Some(n),
            temperature: Some(0.0),
            ignore_eos: Some(true),
            ..GenerateOptions::default()
        };
        let first = random_tokens(sessions.len(), self.vocabulary);
        let start = |(session, token)| instance.generate(session, &Prompt::Tokens(vec![token]), &options);
        let generations = sessions.iter().zip(first).map(start).collect::<Result<Vec<_>, _>>()?;
        let start = Instant::now();
        let tokens = finish(instance, &generations)?;
        let time = start.elapsed();
        for generation in generations {
            instance.close_generation(generation)?;
        }
        let expected = u64::from(n) * sessions.len() as u64;
        anyhow::ensure!(tokens == expected, "the engine generated {tokens} tokens, expected {expected}");
        Ok(time)
    }

    pub(super) fn close(self, instance: &mut Instance) -> Result<()> {
        for session in self.sessions {
            instance.close_session(session)?;
        }
        Ok(())
    }
}

/// Runs generations to their end, together: a step of one is a step of all. Returns their tokens.
fn finish(instance: &mut Instance, generations: &[Generation]) -> Result<u64> {
    let mut tokens = 0;
    loop {
        let mut ended = true;
        for generation in generations {
            let events = instance.next(generation)?;
            ended &= events.is_empty();
            tokens += events.iter().filter(|e| matches!(e, Event::Token(_))).count() as u64;
        }
        if ended {
            return Ok(tokens);
        }
    }
}

/// Always the same ids for one vocabulary: a multiplicative generator, so that embeddings are spread.
fn random_tokens(n: usize, vocabulary: u32) -> Vec<u32> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % u64::from(vocabulary.max(1))) as u32
    };
    (0..n).map(|_| next()).collect()
}

/// 0 of no samples.
fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mid = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[mid],
        _ => (sorted[mid - 1] + sorted[mid]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn bench_tokens_are_in_the_vocabulary_and_repeat() {
        let tokens = random_tokens(1000, 77);
        assert!(tokens.iter().all(|&t| t < 77));
        assert_eq!(tokens, random_tokens(1000, 77));
        assert!(tokens.windows(2).any(|w| w[0] != w[1]));
    }

    #[test]
    fn the_fastest_run_is_kept() {
        let mut outcome = Outcome::new(Case { prompt: false, tokens: 10, depth: 0, parallel: 3 });
        for seconds in [2, 1, 3] {
            let time = Duration::from_secs(seconds);
            outcome.add(Counts { time, device_time: time, steps: 10, tokens: 30, ops: Vec::new() });
        }
        assert_eq!(outcome.samples, [15.0, 30.0, 10.0]);
        assert_eq!(outcome.tok_s(), 15.0);
        assert_eq!(outcome.best.unwrap().step_ms(), 100.0);
    }
}
