//! Failures met in other systems, each by name: none of them here.
//!
//! What concerns single operations and the engine; what concerns layers, losses and attention is
//! tested beside those functions.

#[path = "known_failures/absurd.rs"]
mod absurd;
#[path = "known_failures/cuts.rs"]
mod cuts;
#[path = "known_failures/engine.rs"]
mod engine;
#[path = "known_failures/errors.rs"]
mod errors;
#[path = "known_failures/gradients.rs"]
mod gradients;
#[path = "known_failures/narrow.rs"]
mod narrow;
#[path = "known_failures/rules.rs"]
mod rules;
#[path = "support/mod.rs"]
mod support;
