//! Solutions of equations, `f(x) = 0` and `x = g(x)`, as tensors that can be differentiated.
//!
//! Neither minimises: where there is no solution nearby, that is an error.

use super::error::SolveError;
use super::implicit::Equations;
use super::linear::{Matrix, Qr, norm};
use super::minimize::change;
use super::{check_tolerance, is_finite};
use chainrule_engine::Tensor;
use std::collections::VecDeque;

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

/// Newton's method for as many equations as unknowns, with steps that are halved until they help.
///
/// Source: J. E. Dennis, R. B. Schnabel, *Numerical Methods for Unconstrained Optimization and
/// Nonlinear Equations* (1983), algorithm 6.1.1 with the halving of §6.3.
///
/// ```
/// use chainrule::prelude::*;
/// use chainrule::solve::Root;
/// // Kepler's equation E - e sin E = M: dE/de = sin E / (1 - e cos E).
/// let (eccentricity, anomaly) = (Tensor::f64(0.3), Tensor::f64(1.0));
/// let kepler = |x: &Tensor, p: &[&Tensor]| x - p[0] * x.sin() - p[1];
/// let e = Root::default().solve(kepler, &Tensor::f64(1.0), &[&eccentricity, &anomaly])?.value;
/// let slope = e.grad(&[&eccentricity])?.remove(0);
/// let expected = e.sin() / (1.0 - &eccentricity * e.cos());
/// assert!((slope.item()? - expected.item()?).abs() < 1e-14);
/// # Ok::<(), chainrule::solve::SolveError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Root {
    /// How many steps are taken at most.
    pub iterations: usize,
    /// Stops when no unknown changes by more than this part of itself, or of 1 if that is more.
    pub tolerance: f64,
}

impl Default for Root {
    fn default() -> Self {
        Root { iterations: 100, tolerance: 1e-12 }
    }
}

impl Root {
    /// Where `function(x, parameters)`, of the shape of x, is zero, searched from `guess`.
    ///
    /// `function` is called once. Tensors that it captures count as parameters, too: nothing is
    /// taken for a constant because it was not named.
    ///
    /// # Errors
    /// If the guess or what the function gives there is not finite or of another shape or type, if
    /// the function cannot be recorded or a parameter has no value, if the Jacobian is singular on
    /// the way or at the end (a root where the function only touches zero), or if no root is found.
    pub fn solve(
        &self,
        function: impl FnOnce(&Tensor, &[&Tensor]) -> Tensor,
        guess: &Tensor,
        parameters: &[&Tensor],
    ) -> Result<Solution, SolveError> {
        check_tolerance("tolerance", self.tolerance)?;
        let (mut equations, mut x) = Equations::new(guess, |x| function(x, parameters))?;
        let mut values = first_values(&mut equations, &x)?;
        let tolerance = self.tolerance.max(2.0 * equations.unknowns.epsilon());
        let close = equations.unknowns.epsilon().sqrt();
        let mut last = f64::INFINITY;
        for iteration in 1..=self.iterations {
            let residual = largest(&values);
            let step: Vec<f64> = equations.factors(&x, iteration)?.solve(&values).into_iter().map(|step| -step).collect();
            let next = moved(&equations, &x, &step, 1.0);
            let length = change(&x, &next);
            // Close to the root a step that shrinks no more is rounding.
            if length <= tolerance || (length <= close && length > 0.5 * last) {
                let value = equations.solution(&next, iteration, guess.shape())?;
                return Ok(Solution { value, residual, iterations: iteration });
            }
            last = length;
            (x, values) = match length <= close {
                true => (next.clone(), equations.values(&next)?),
                false => match shorter(&mut equations, &x, &step, &values)? {
                    Some(next) => next,
                    None => return Err(SolveError::NoConvergence { iterations: iteration, residual }),
                },
            };
        }
        Err(SolveError::NoConvergence { iterations: self.iterations, residual: largest(&values) })
    }
}

/// Unknowns, and what the equations give there.
type Place = (Vec<f64>, Vec<f64>);

/// The first of the step, its half, its quarter and so on that makes the equations' length less.
fn shorter(equations: &mut Equations, x: &[f64], step: &[f64], values: &[f64]) -> Result<Option<Place>, SolveError> {
    let length = norm(values.iter().copied());
    let mut part = 1.0;
    while part > 1e-12 {
        let next = moved(equations, x, step, part);
        let there = equations.values(&next)?;
        if is_finite(&there) && norm(there.iter().copied()) <= (1.0 - 1e-4 * part) * length {
            return Ok(Some((next, there)));
        }
        part *= 0.5;
    }
    Ok(None)
}

fn moved(equations: &Equations, x: &[f64], step: &[f64], part: f64) -> Vec<f64> {
    equations.unknowns.round(x.iter().zip(step).map(|(x, step)| x + part * step).collect())
}

fn first_values(equations: &mut Equations, x: &[f64]) -> Result<Vec<f64>, SolveError> {
    let values = equations.values(x)?;
    match is_finite(&values) {
        true => Ok(values),
        false => Err(SolveError::NotFinite { what: "the function", iteration: 0 }),
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

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
    /// As [`Root::solve`]; a Jacobian of `x - g(x)` that is singular at the end is one, too.
    pub fn solve(
        &self,
        function: impl FnOnce(&Tensor, &[&Tensor]) -> Tensor,
        guess: &Tensor,
        parameters: &[&Tensor],
    ) -> Result<Solution, SolveError> {
        check_tolerance("tolerance", self.tolerance)?;
        let (mut equations, mut x) = Equations::new(guess, |x| x - function(x, parameters))?;
        let tolerance = self.tolerance.max(2.0 * equations.unknowns.epsilon());
        let mut values = first_values(&mut equations, &x)?;
        let mut history = History { memory: self.memory.min(x.len()), ..History::default() };
        for iteration in 1..=self.iterations {
            let plain = moved(&equations, &x, &values, -1.0);
            if change(&x, &plain) <= tolerance {
                let residual = largest(&values);
                let value = equations.solution(&plain, iteration, guess.shape())?;
                return Ok(Solution { value, residual, iterations: iteration });
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
            if !is_finite(&there) {
                return Err(SolveError::NotFinite { what: "the function", iteration });
            }
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
