//! The library as its users see it. One program: linking the engine costs more than most of these
//! tests.

mod anomaly;
mod batches;
mod buffers;
mod check;
mod learning;
#[cfg(feature = "linalg")]
mod linalg;
mod module;
mod nist;
mod optimizers;
mod rules;
mod solve;
mod training;
mod weights;
