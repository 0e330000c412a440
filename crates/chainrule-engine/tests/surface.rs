//! What users write and read: conversions from and to host values, indexing, text.
//!
//! The oracles are NumPy's stored results (`data/numpy_surface.py` made them) and nested loops
//! over indices.

// An index range may well run from a literal to a smaller one: -1 counts from the end.
#![allow(clippy::reversed_empty_ranges)]

#[path = "surface/arranging.rs"]
mod arranging;
#[path = "surface/conversions.rs"]
mod conversions;
#[path = "surface/host.rs"]
mod host;
#[path = "surface/indexing.rs"]
mod indexing;
#[path = "surface/linear.rs"]
mod linear;
#[path = "surface/text.rs"]
mod text;

use chainrule_engine::Tensor;

/// The error a tensor stands for, as text.
fn mistake(tensor: &Tensor) -> String {
    match tensor.eval() {
        Ok(value) => panic!("expected a mistake, found {value}"),
        Err(error) => error.to_string(),
    }
}
