//! Kernels per instruction set.
