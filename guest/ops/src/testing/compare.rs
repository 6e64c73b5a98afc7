//! Results of a device next to those of the reference.

use super::play;
use crate::device::{Device, DeviceError, Picked};
use crate::reference::Reference;
use crate::validate::ValidPlan;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

type Results = Vec<Result<Picked, DeviceError>>;

/// Plays the script of `seed` over `plan` on `device` and on the reference, and compares the results step by step.
/// Fails if a step succeeded on one of the two only, if shapes or errors differ, or if the squared error over the
/// squared norm of a step's values is larger than a device may have: 1e-6, or 2e-2 where weights are quantised, since
/// activations are then quantised to 8 bits too. Steps that such rounding alone throws further (a plan can amplify it
/// without bound, as a norm of two nearly equal columns does) are compared by shape only.
///
/// Returns how many steps were compared by value, of those before the first for which `device` had no room, because
/// devices may round tokens up to pages.
pub fn compare<D: Device>(device: &D, plan: &ValidPlan, seed: u64) -> Result<usize, String> {
    let run = |noise| play(&Reference { fused: false, noise }, plan, seed).map_err(|e| e.to_string());
    let expected = run(None)?;
    let found = play(device, plan, seed).map_err(|e| e.to_string())?;
    let quantised = plan.plan().tensors.iter().any(|t| t.dtype.is_quantised());
    let bound = if quantised { 2e-2 } else { 1e-6 };
    let mut noisy: Option<Vec<Results>> = None;
    let mut steps = 0;
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        match (found, expected) {
            (Err(DeviceError::CacheFull { .. }), _) => break,
            (Ok(f), Ok(e)) => {
                let shape = |p: &Picked| (p.k, p.values.len(), p.indices.len());
                if shape(f) != shape(e) {
                    return Err(format!("step {i}: shape {:?} instead of {:?}", shape(f), shape(e)));
                }
                let error = nmse(&f.values, &e.values);
                if error <= bound {
                    steps += 1;
                    continue;
                }
                let noisy = match &mut noisy {
                    Some(results) => results,
                    none => none.insert((1..=8).map(|seed| run(Some(seed))).collect::<Result<_, _>>()?),
                };
                let by_rounding = spread(noisy, i, &e.values);
                if error.is_nan() || error > 30.0 * by_rounding {
                    let limits = format!("at most {bound:e}; rounding alone gives {by_rounding:e}");
                    return Err(format!("step {i}: NMSE {error:e}, expected {limits}"));
                }
            }
            (Err(f), Err(e)) if f == e => {}
            (f, e) => return Err(format!("step {i}: {f:?} instead of {e:?}")),
        }
    }
    Ok(steps)
}

/// The largest error of step `i` among results under noise.
fn spread(noisy: &[Results], i: usize, expected: &[f32]) -> f64 {
    let of = |results: &Results| results[i].as_ref().map_or(0.0, |p| nmse(&p.values, expected));
    noisy.iter().map(of).fold(0.0, f64::max)
}

/// Squared error over squared norm.
fn nmse(found: &[f32], expected: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let error: f64 = found.iter().zip(expected).map(|(f, e)| square(f64::from(f - e))).sum();
    let norm: f64 = expected.iter().map(|&e| square(f64::from(e))).sum();
    error / norm.max(1e-6)
}
