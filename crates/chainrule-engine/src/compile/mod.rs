//! From a graph to a program, by small passes.
//!
//! `graph` numbers what was recorded, `simplify` applies the table of `rules`, `loops` and `stages` let a loop run once and hold
//! what belongs in its steps alone, `one_hot` compares where a number would be scattered into each row, `sums` makes one
//! product of several that are added up, `view` turns movements into strides, `fuse` groups, `lower`, `product` and `emit` write kernels
//! (`chunks` says whose chunks of a sum readers add up), `seats` leaves out copies, `schedule` orders them
//! in waves and places buffers in memory. `pipeline` is the list of all of them. `text` prints what they make
//! (and reads graphs back), `verify` says what must hold of it.

mod addends;
mod chunks;
mod control;
mod early;
pub mod emit;
pub mod fuse;
pub mod graph;
pub mod kernel;
pub mod layout;
mod loops;
pub mod lower;
pub mod one_hot;
mod parts;
pub mod pipeline;
pub mod product;
pub mod program;
pub mod reach;
pub mod recompute;
pub mod remake;
pub mod repeated;
pub mod rules;
pub mod schedule;
pub mod seats;
pub mod simplify;
mod sort;
mod stages;
pub mod step;
pub mod sums;
mod taps;
pub mod text;
pub mod verify;
pub mod view;
pub mod windows;
