//! What the search for a root and for a fixed point begin with and end in.
//!
//! How the search goes is theirs.

use super::error::SolveError;
use super::implicit::Equations;
use super::{check_finite, check_tolerance};
use chainrule_engine::Tensor;

/// What solves equations.
#[derive(Clone, Debug)]
pub struct Solution {
    /// The unknown, of the shape of the first guess: a tensor that depends, with its derivatives,
    /// on whatever the equations do.
    ///
    /// Derivatives come from the theorem on implicit functions and can be taken again, to any
    /// order. The value belongs to the values that the parameters have when it is looked for; in a
    /// captured [`Step`](chainrule_engine::Step) or a [`Trainer`](crate::train::Trainer) that
    /// changes them it follows by one step of Newton's method as far as that is exact, and is NaN
    /// from there on: solve again, outside.
    pub value: Tensor,
    /// The largest difference of an equation from zero, before the last step.
    pub residual: f64,
    /// How many steps were taken.
    pub iterations: usize,
}

impl Solution {
    pub(super) fn new(equations: Equations, x: &[f64], iterations: usize, guess: &Tensor, residual: f64) -> Result<Solution, SolveError> {
        Ok(Solution { value: equations.solution(x, iterations, guess.shape())?, residual, iterations })
    }
}

/// A search at its start.
pub(super) struct Search {
    pub equations: Equations,
    /// The unknowns.
    pub x: Vec<f64>,
    /// What the equations give there.
    pub values: Vec<f64>,
    /// The tolerance asked for, or what the element type allows.
    pub tolerance: f64,
}

impl Search {
    /// `function` gives what is to be zero.
    pub fn new(tolerance: f64, guess: &Tensor, function: impl FnOnce(&Tensor) -> Tensor) -> Result<Search, SolveError> {
        check_tolerance("tolerance", tolerance)?;
        let (mut equations, x) = Equations::new(guess, function)?;
        let values = equations.values(&x)?;
        check_finite("the function", 0, &values)?;
        let tolerance = tolerance.max(2.0 * equations.unknowns.epsilon());
        Ok(Search { equations, x, values, tolerance })
    }
}

/// How far the equations are from zero.
pub(super) fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}
