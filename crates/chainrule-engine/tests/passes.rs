//! The passes of the compiler: text in, text out; every way to compile gives the same values.

#[path = "passes/programs.rs"]
mod programs;
#[path = "support/mod.rs"]
mod support;
