//! From a graph to a program, by small passes.
pub mod kernel;
