//! Roots of equations, `f(x) = 0`, as tensors that can be differentiated.
//!
//! Minimises nothing: where there is no root nearby, that is an error.

use super::error::SolveError;
use super::implicit::Equations;
use super::is_finite;
use super::linear::norm;
use super::minimize::change;
use super::search::{Search, Solution, largest};
use chainrule_engine::Tensor;

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
        let Search { mut equations, mut x, mut values, tolerance } = Search::new(self.tolerance, guess, |x| function(x, parameters))?;
        let close = equations.unknowns.epsilon().sqrt();
        let mut last = f64::INFINITY;
        for iteration in 1..=self.iterations {
            let residual = largest(&values);
            let step: Vec<f64> = equations.factors(&x, iteration)?.solve(&values).into_iter().map(|step| -step).collect();
            let next = equations.moved(&x, &step, 1.0);
            let length = change(&x, &next);
            // Close to the root a step that shrinks no more is rounding.
            if length <= tolerance || (length <= close && length > 0.5 * last) {
                return Solution::new(equations, &next, iteration, guess, residual);
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
        let next = equations.moved(x, step, part);
        let there = equations.values(&next)?;
        if is_finite(&there) && norm(there.iter().copied()) <= (1.0 - 1e-4 * part) * length {
            return Ok(Some((next, there)));
        }
        part *= 0.5;
    }
    Ok(None)
}
