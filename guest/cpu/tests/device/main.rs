//! The device against the scalar reference, and against itself where results must be the same bit by bit.

mod allocations;
mod cache;
mod invariants;
mod late;
mod profile;
mod random;
mod steps;
mod threads;
