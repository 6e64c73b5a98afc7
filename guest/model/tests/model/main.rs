//! What becomes of a file's metadata and tensors: specs key by key, plans as whole texts, refusals.

mod draft;
mod keys;
mod refusals;
mod snapshots;
mod tensors;
