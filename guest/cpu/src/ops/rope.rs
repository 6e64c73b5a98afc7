//! Rotary embedding. The angles of a step's tokens are computed once per rotation and shared by all layers.

use super::{Compiler, Stage, rows_per_piece};
use crate::exec::{Run, Slot, Worker};
use chord_ops::op::{self, RopeParams, RopeStyle, Rotation};
use chord_ops::{Charge, DeviceError, ValueId};

/// Where the angles of a rotation lie in `Memory::angles`: for each token of the step `pairs` cosines, then as many
/// sines. All of a token's rotations stand together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnglesAt {
    /// First element within a token.
    pub(crate) offset: usize,
    /// Rotated pairs of a head.
    pub(crate) pairs: usize,
}

/// A rotation of the plan.
pub(crate) struct Angles {
    pub(crate) params: RopeParams,
    pub(crate) rotation: Rotation,
    pub(crate) at: AnglesAt,
    pub(crate) _charge: Charge,
}

/// Computes the angles of the step's tokens.
pub(crate) struct AllAngles {
    pub(crate) rotations: alloc::vec::Vec<Angles>,
}

/// Rotates heads by angles that are there.
pub(crate) struct Rotator {
    angles: AnglesAt,
    style: RopeStyle,
    head_dim: usize,
}

pub(crate) struct Rope {
    x: Slot,
    out: Slot,
    rotator: Rotator,
}

impl Stage for AllAngles {
    fn run(&self, _: usize, worker: &mut Worker<'_>) {
        let (run, positions) = (worker.run, worker.run.step.positions);
        let n = run.memory.angles_per_token;
        worker.each(positions.len(), 1, |mut piece, _| {
            let token = piece.items.start;
            let angles = piece.write(&run.memory.angles, token * n..(token + 1) * n);
            for Angles { rotation, at, .. } in &self.rotations {
                if run.poll() {
                    return;
                }
                let (cos, sin) = angles[at.offset..][..2 * at.pairs].split_at_mut(at.pairs);
                for (pair, (cos, sin)) in cos.iter_mut().zip(sin).enumerate() {
                    (*cos, *sin) = rotation.cos_sin(pair, positions[token]);
                }
            }
        });
    }
}

impl Rotator {
    pub(crate) fn new(cx: &mut Compiler<'_>, params: &RopeParams) -> Result<Rotator, DeviceError> {
        let angles = cx.angles(params)?;
        Ok(Rotator { angles, style: params.style, head_dim: params.head_dim as usize })
    }

    /// Rotates the heads of one token in place.
    pub(crate) fn rotate(&self, run: &Run<'_>, token: usize, heads: &mut [f32]) {
        let (n, AnglesAt { offset, pairs }) = (run.memory.angles_per_token, self.angles);
        let start = token * n + offset;
        let (cos, sin) = run.read(&run.memory.angles, start..start + 2 * pairs).split_at(pairs);
        for head in heads.chunks_exact_mut(self.head_dim) {
            match self.style {
                RopeStyle::Interleaved => {
                    for ((xy, cos), sin) in head.as_chunks_mut::<2>().0.iter_mut().zip(cos).zip(sin) {
                        let [x, y] = *xy;
                        *xy = [x * cos - y * sin, x * sin + y * cos];
                    }
                }
                RopeStyle::Halves => {
                    let (xs, ys) = head.split_at_mut(pairs);
                    for (((x, y), cos), sin) in xs.iter_mut().zip(ys).zip(cos).zip(sin) {
                        (*x, *y) = (*x * cos - *y * sin, *x * sin + *y * cos);
                    }
                }
            }
        }
    }
}

impl Rope {
    pub(crate) fn new(cx: &mut Compiler<'_>, op: &op::Rope, outs: &[ValueId]) -> Result<Rope, DeviceError> {
        let rotator = Rotator::new(cx, &op.params)?;
        Ok(Rope { x: cx.slot(op.x), out: cx.slot(outs[0]), rotator })
    }
}

impl Stage for Rope {
    fn run(&self, _: usize, worker: &mut Worker<'_>) {
        let (run, cols) = (worker.run, self.out.cols);
        let n = run.rows(&self.out);
        worker.each(n, rows_per_piece(n, cols, worker.threads()), |mut piece, _| {
            let tokens = piece.items.clone();
            let x = run.value(&self.x, tokens.clone());
            let out = piece.rows(run, &self.out);
            out.copy_from_slice(x);
            for (token, row) in tokens.zip(out.chunks_exact_mut(cols)) {
                self.rotator.rotate(run, token, row);
            }
        });
    }
}
