//! Results of a device next to those of the reference.

use crate::device::{DeviceError, Picked};
use crate::validate::ValidPlan;
use alloc::format;
use alloc::string::String;

/// Compares the results of two scripts over `plan`, step by step. Fails if a step succeeded on one device only, if
/// shapes or errors differ, or if the squared error over the squared norm of a step's values is larger than devices
/// may have: 1e-6, and 2e-2 where weights are quantised, since activations are then quantised to 8 bits too.
/// Returns how many steps were compared: those before the first for which `found` had no room, because devices may
/// round tokens up to pages.
pub fn compare(
    plan: &ValidPlan,
    found: &[Result<Picked, DeviceError>],
    expected: &[Result<Picked, DeviceError>],
) -> Result<usize, String> {
    let quantised = plan.plan().tensors.iter().any(|t| t.dtype.is_quantised());
    let bound = if quantised { 2e-2 } else { 1e-6 };
    let mut steps = 0;
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        match (found, expected) {
            (Err(DeviceError::CacheFull { .. }), _) => break,
            (Ok(f), Ok(e)) => {
                let shape = |p: &Picked| (p.k, p.values.len(), p.indices.len());
                if shape(f) != shape(e) {
                    return Err(format!("step {i}: shape {:?} instead of {:?}", shape(f), shape(e)));
                }
                let error = nmse(&f.values, &e.values);
                if error.is_nan() || error > bound {
                    return Err(format!("step {i}: NMSE {error:e}, expected at most {bound:e}"));
                }
                steps += 1;
            }
            (Err(f), Err(e)) if f == e => {}
            (f, e) => return Err(format!("step {i}: {f:?} instead of {e:?}")),
        }
    }
    Ok(steps)
}

/// Squared error over squared norm.
fn nmse(found: &[f32], expected: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let error: f64 = found.iter().zip(expected).map(|(f, e)| square(f64::from(f - e))).sum();
    let norm: f64 = expected.iter().map(|&e| square(f64::from(e))).sum();
    error / norm.max(1e-6)
}
