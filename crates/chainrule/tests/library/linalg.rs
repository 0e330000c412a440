//! Linear algebra: what decompositions promise, what NumPy computes, every derivative against differences, and matrices
//! that have no decomposition.

mod batches;
mod cases;
mod derivatives;
mod edges;
mod mistakes;
#[path = "../../../chainrule-engine/tests/support/mod.rs"]
mod support;
mod table;
mod values;

use chainrule::prelude::*;

/// Numbers between -1 and 1 that depend on the seed, and look like nothing.
pub fn numbers(shape: &[usize], seed: u64) -> Tensor {
    let one = |i: usize| ((i as f64 + 1.0) * (12.9898 + seed as f64 * 0.7171)).sin() * 43758.5453;
    let values: Vec<f64> = (0..shape.iter().product()).map(|i| 2.0 * (one(i) - one(i).floor()) - 1.0).collect();
    Tensor::from_slice(&values, shape)
}

/// Square matrices whose eigenvalues and singular values are apart: what the seed gives, and 1, 3, 5 .. on the diagonal.
pub fn apart(shape: &[usize], seed: u64) -> Tensor {
    let (m, n) = (shape[shape.len() - 2], shape[shape.len() - 1]);
    let diagonal: Vec<f64> = (0..m * n).map(|i| if i / n == i % n { 1.0 + 2.0 * (i / n) as f64 } else { 0.0 }).collect();
    numbers(shape, seed) * 0.5 + Tensor::from_slice(&diagonal, [m, n])
}

/// A leaf with the values of a tensor.
pub fn leaf(x: &Tensor) -> Tensor {
    Tensor::from_data(x.to_data().unwrap(), x.shape())
}

pub fn values(x: &Tensor) -> Vec<f64> {
    x.to_data().unwrap_or_else(|error| panic!("{error}")).to_f64()
}

/// The largest number of a tensor, without its sign; NaN if there is one.
pub fn largest(x: &Tensor) -> f64 {
    values(x).iter().fold(0.0, |most: f64, v| if v.is_nan() || most.is_nan() { f64::NAN } else { most.max(v.abs()) })
}

/// Whether all numbers of two tensors are as near as that.
#[track_caller]
pub fn near(what: &str, got: &Tensor, want: &Tensor, distance: f64) {
    assert_eq!(got.shape(), want.shape(), "{what}: shapes");
    let off = largest(&(got.cast(DType::F64) - want.cast(DType::F64)));
    assert!(off <= distance, "{what}: {off:e} apart, at most {distance:e} allowed");
}
