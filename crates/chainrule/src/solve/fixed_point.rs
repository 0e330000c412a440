//! Fixed points, `x = g(x)`, as tensors that can be differentiated.
//!
//! Minimises nothing: where the iteration comes to no end, that is an error.

use super::error::SolveError;
use super::linear::{Matrix, Qr, norm};
use super::minimize::change;
use super::search::{Search, Solution, largest};
use super::{check_finite, is_finite};
use chainrule_engine::Tensor;
use std::collections::VecDeque;

/// Iteration of `x = g(x)`, with the acceleration of Anderson: each step combines the last few so
/// that what is left of the equation would cancel if g were linear.
///
/// Source: H. F. Walker, P. Ni, *Anderson acceleration for fixed-point iterations* (2011), with the
/// least squares solved by QR.
///
/// ```
/// use chainrule::prelude::*;
/// use chainrule::solve::FixedPoint;
/// // The square root of 2, as Heron found it.
/// let two = Tensor::f64(2.0);
/// let root = FixedPoint::default().solve(|x, p| 0.5 * (x + p[0] / x), &Tensor::f64(1.0), &[&two])?.value;
/// assert!((root.item()? - 2f64.sqrt()).abs() < 1e-15);
/// assert!((root.grad(&[&two])?[0].item()? - 0.5 / 2f64.sqrt()).abs() < 1e-15);
/// # Ok::<(), chainrule::solve::SolveError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FixedPoint {
    /// How many steps are taken at most.
    pub iterations: usize,
    /// Stops when no unknown changes by more than this part of itself, or of 1 if that is more.
    pub tolerance: f64,
    /// How many steps are combined; 0 iterates plainly.
    pub memory: usize,
}

impl Default for FixedPoint {
    fn default() -> Self {
        FixedPoint { iterations: 1000, tolerance: 1e-12, memory: 5 }
    }
}

impl FixedPoint {
    /// Where `function(x, parameters)` gives x again, iterated from `guess`.
    ///
    /// `function` is called once. Tensors that it captures count as parameters, too.
    ///
    /// # Errors
    /// As [`super::Root::solve`]; a Jacobian of `x - g(x)` that is singular at the end is one, too.
    pub fn solve(
        &self,
        function: impl FnOnce(&Tensor, &[&Tensor]) -> Tensor,
        guess: &Tensor,
        parameters: &[&Tensor],
    ) -> Result<Solution, SolveError> {
        let Search { mut equations, mut x, mut values, tolerance } = Search::new(self.tolerance, guess, |x| x - function(x, parameters))?;
        let mut history = History { memory: self.memory.min(x.len()), ..History::default() };
        for iteration in 1..=self.iterations {
            let plain = equations.moved(&x, &values, -1.0);
            if change(&x, &plain) <= tolerance {
                return Solution::new(equations, &plain, iteration, guess, largest(&values));
            }
            let (mut next, mut there) = (history.propose(&x, &values), Vec::new());
            if let Some(proposed) = &mut next {
                *proposed = equations.unknowns.round(std::mem::take(proposed));
                there = equations.values(proposed)?;
            }
            // A combination that makes it much worse is forgotten with what it was made of.
            let helps = is_finite(&there) && norm(there.iter().copied()) <= 2.0 * norm(values.iter().copied());
            let next = match next.filter(|_| helps) {
                Some(next) => next,
                None => {
                    history.pairs.clear();
                    there = equations.values(&plain)?;
                    plain
                }
            };
            check_finite("the function", iteration, &there)?;
            history.learn(&x, &next, &values, &there);
            (x, values) = (next, there);
        }
        Err(SolveError::NoConvergence { iterations: self.iterations, residual: largest(&values) })
    }
}

/// How the last steps changed the unknowns and the residuals `x - g(x)`, oldest first.
#[derive(Default)]
struct History {
    memory: usize,
    pairs: VecDeque<(Vec<f64>, Vec<f64>)>,
}

impl History {
    /// The next point that the last steps propose together, if there are any that tell something.
    fn propose(&mut self, x: &[f64], values: &[f64]) -> Option<Vec<f64>> {
        while !self.pairs.is_empty() {
            let (n, count) = (x.len(), self.pairs.len());
            let mut changes = Matrix::zeros(n, count);
            for (j, (_, change)) in self.pairs.iter().enumerate() {
                change.iter().enumerate().for_each(|(i, change)| *changes.at_mut(i, j) = *change);
            }
            if let Ok(parts) = Qr::new(changes).solve(values, "the history") {
                let mut next: Vec<f64> = x.iter().zip(values).map(|(x, value)| x - value).collect();
                for ((step, change), part) in self.pairs.iter().zip(parts) {
                    next.iter_mut().zip(step).zip(change).for_each(|((next, step), change)| *next -= part * (step - change));
                }
                return Some(next);
            }
            self.pairs.pop_front();
        }
        None
    }

    fn learn(&mut self, x: &[f64], next: &[f64], values: &[f64], there: &[f64]) {
        if self.memory == 0 {
            return;
        }
        if self.pairs.len() == self.memory {
            self.pairs.pop_front();
        }
        let minus = |new: &[f64], old: &[f64]| new.iter().zip(old).map(|(new, old)| new - old).collect::<Vec<f64>>();
        self.pairs.push_back((minus(next, x), minus(there, values)));
    }
}
