//! Mirostat v2 (Basu et al. 2021): keeps the text's surprise, in bits per token, near a target.

use crate::Candidates;
use crate::chain::{Choice, SampleError};
use crate::options::Mirostat;
use crate::state::State;

/// Draws among the tokens whose surprise is at most `mu`, at least one, and moves `mu` towards the target.
pub(crate) fn draw(
    o: Mirostat,
    state: &mut State,
    mut candidates: Candidates,
) -> Result<Choice, SampleError> {
    candidates.sort();
    let mu = f64::from(state.mu);
    let kept = candidates.probabilities().iter().take_while(|p| -p.log2() <= mu).count();
    candidates.keep_best(kept);
    let choice = candidates.draw(&mut state.rng)?;
    let surprise = -choice.logprob / std::f32::consts::LN_2;
    state.mu -= o.eta * (surprise - o.tau);
    Ok(choice)
}
