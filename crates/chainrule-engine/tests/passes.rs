//! The passes of the compiler: text in, text out; every way to compile gives the same values.

#![allow(
    clippy::erasing_op,
    clippy::type_complexity,
    clippy::single_range_in_vec_init,
    clippy::needless_range_loop,
    reason = "tables of deliberately odd cases"
)]

#[path = "passes/addends.rs"]
mod addends;
#[path = "passes/chunks.rs"]
mod chunks;
#[path = "passes/empty.rs"]
mod empty;
#[path = "passes/equal.rs"]
mod equal;
#[path = "passes/examples.rs"]
mod examples;
#[path = "passes/found.rs"]
mod found;
#[path = "passes/golden.rs"]
mod golden;
#[path = "passes/laid_out.rs"]
mod laid_out;
#[path = "passes/nearly.rs"]
mod nearly;
#[path = "passes/one_hot.rs"]
mod one_hot;
#[path = "passes/parts.rs"]
mod parts;
#[path = "passes/programs.rs"]
mod programs;
#[path = "passes/readers.rs"]
mod readers;
#[path = "passes/recomputed.rs"]
mod recomputed;
#[path = "passes/reductions.rs"]
mod reductions;
#[path = "passes/remade.rs"]
mod remade;
#[path = "passes/rules.rs"]
mod rules;
#[path = "passes/seats.rs"]
mod seats;
#[path = "support/mod.rs"]
mod shared;
#[path = "passes/sums.rs"]
mod sums;
#[path = "passes/support.rs"]
mod support;
#[path = "passes/text.rs"]
mod text;
#[path = "passes/windows.rs"]
mod windows;
