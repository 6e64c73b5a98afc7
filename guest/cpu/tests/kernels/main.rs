//! Every kernel of every instruction set found here, against f64.

mod data;
mod mat;
mod vec;
