//! What runs: the reference, obvious and slow, and the CPU backend.

pub mod cpu;
pub mod reference;
pub mod runtime;

pub use runtime::Runtime;
