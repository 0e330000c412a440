//! The CPU backend: six kinds of kernels, a team of threads, vector instructions chosen at run time.
//!
//! Refuses to know operations by name, gradients, or where a buffer comes from.

mod alike;
pub mod contract;
pub mod control;
pub mod executor;
pub mod fault;
pub mod fold;
pub mod host;
pub mod level;
mod loops;
mod machine;
pub mod math;
pub mod region;
pub mod scatter;
pub mod sort;
pub mod team;
