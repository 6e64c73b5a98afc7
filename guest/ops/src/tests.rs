//! Tests of the crate as a whole, by subject.

mod experts;
mod fuse;
mod layout;
mod props;
mod reference;
mod rope;
mod sketch;
mod step;
mod text;
mod validate;
