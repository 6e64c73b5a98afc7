//! Tokenizers as their users see them.

mod data;
mod errors;
mod expected_ids;
mod round_trip;
mod special;
mod speed;
