//! Failures met in other systems, each by name: none of them here.
//!
//! What concerns single operations and the engine; what concerns layers, losses and attention is
//! tested beside those functions.

#[path = "known_failures/engine.rs"]
mod engine;
#[path = "known_failures/errors.rs"]
mod errors;
#[path = "known_failures/gradients.rs"]
mod gradients;
#[path = "support/mod.rs"]
mod support;
