//! The passes of the compiler: text in, text out; every way to compile gives the same values.

#[path = "passes/examples.rs"]
mod examples;
#[path = "passes/programs.rs"]
mod programs;
#[path = "passes/rules.rs"]
mod rules;
#[path = "support/mod.rs"]
mod shared;
#[path = "passes/support.rs"]
mod support;
