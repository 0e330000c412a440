//! The engine as a whole: broadcasting against loops of the host, and random programs whose
//! values and derivatives are checked three ways; precision as a value.

#[path = "engine/broadcasting.rs"]
mod broadcasting;
#[path = "engine/precision.rs"]
mod precision;
#[path = "engine/programs.rs"]
mod programs;
#[path = "support/mod.rs"]
mod support;
