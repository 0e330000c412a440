//! Where examples come from: embedded and read data sets, and batches of them.

pub mod batches;
pub mod csv;
pub mod digits;
