//! Scripts: the same random steps, forks and cuts on any device.

use super::{Rng, tensor_bytes};
use crate::device::{Device, DeviceError, Pick, Picked, SeqId, Span, Step};
use crate::step::StepLimits;
use crate::validate::ValidPlan;
use alloc::vec::Vec;

/// Compiles `plan` over random tensors and plays a script of twelve moves on `device`. Tensors and moves follow from
/// the seed and the plan alone, so two devices can be compared: one result per step, refused steps included.
///
/// # Panics
/// If a sequence does not have the length that it must have, in particular after a refused step.
pub fn play<D: Device>(
    device: &D,
    plan: &ValidPlan,
    seed: u64,
) -> Result<Vec<Result<Picked, DeviceError>>, DeviceError> {
    let mut rng = Rng::new(seed);
    let upload = |decl| device.upload(decl, &tensor_bytes(decl, &mut rng));
    let tensors = plan.plan().tensors.iter().map(upload).collect::<Result<Vec<_>, _>>()?;
    let compiled = device.compile(plan, &tensors.iter().collect::<Vec<_>>())?;
    let cache = device.new_cache(&plan.plan().cache)?;
    let limits = plan.step_limits();
    let mut player = Player { device, compiled, cache, limits, rng, seqs: Vec::new(), results: Vec::new() };
    for _ in 0..12 {
        player.turn()?;
    }
    Ok(player.results)
}

struct Player<'a, D: Device> {
    device: &'a D,
    compiled: D::Plan,
    cache: D::Cache,
    limits: StepLimits,
    rng: Rng,
    /// Open sequences and how many tokens each must hold.
    seqs: Vec<(SeqId, u32)>,
    results: Vec<Result<Picked, DeviceError>>,
}

impl<D: Device> Player<'_, D> {
    fn turn(&mut self) -> Result<(), DeviceError> {
        if self.seqs.is_empty() || (self.seqs.len() < 3 && self.rng.chance(15)) {
            self.seqs.push((self.device.open(&mut self.cache)?, 0));
        }
        let which = self.rng.below(self.seqs.len() as u32) as usize;
        let (seq, held) = self.seqs[which];
        let keep = self.rng.below(held + 1);
        match self.rng.below(10) {
            0 if self.seqs.len() < 4 => {
                self.seqs.push((self.device.fork(&mut self.cache, seq, keep)?, keep));
            }
            1 => {
                self.device.truncate(&mut self.cache, seq, keep)?;
                self.seqs[which].1 = keep;
            }
            2 if self.seqs.len() > 1 => {
                self.device.close(&mut self.cache, seq)?;
                self.seqs.swap_remove(which);
            }
            _ => self.step(),
        }
        self.check_lengths()
    }

    fn check_lengths(&self) -> Result<(), DeviceError> {
        for &(seq, held) in &self.seqs {
            assert_eq!(self.device.len(&self.cache, seq)?, held, "length of sequence {seq:?}");
        }
        Ok(())
    }

    fn step(&mut self) {
        let (mut spans, mut positions) = (Vec::new(), Vec::new());
        let mut room = self.limits.tokens;
        for (seq, held) in self.seqs.clone() {
            let len = self.rng.below(room + 1);
            if len > 0 {
                spans.push(Span { seq, len });
                positions.extend(held..held + len);
                room -= len;
            }
        }
        if spans.is_empty() {
            spans.push(Span { seq: self.seqs[0].0, len: 1 });
            positions.push(self.seqs[0].1);
        }
        self.run(&spans, &positions);
    }

    fn run(&mut self, spans: &[Span], positions: &[u32]) {
        let (rng, n) = (&mut self.rng, positions.len() as u32);
        let vocabulary = u32::try_from(self.limits.vocabulary).unwrap_or(u32::MAX);
        let mut tokens: Vec<u32> = (0..n).map(|_| rng.below(vocabulary)).collect();
        if rng.chance(10) {
            tokens[0] = vocabulary;
        }
        let wanted: Vec<u32> = (0..n).filter(|_| rng.chance(60)).collect();
        let pick = if rng.chance(70) { Pick::All } else { Pick::Top(1 + rng.below(6)) };
        let step = Step { tokens: &tokens, positions, spans, wanted: &wanted, pick };
        let result = self.device.run(&mut self.compiled, &mut self.cache, &step);
        if result.is_ok() {
            for (seq, held) in &mut self.seqs {
                *held += spans.iter().filter(|s| s.seq == *seq).map(|s| s.len).sum::<u32>();
            }
        }
        self.results.push(result);
    }
}
