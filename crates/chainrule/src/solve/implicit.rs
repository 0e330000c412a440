//! The derivative of what solves equations, by the theorem on implicit functions: where
//! `f(x, p) = 0`, `dx/dp = -(df/dx)^-1 df/dp`.
//!
//! The rule is recorded like everything else, with the inverse of `df/dx` as a function of x and p
//! that has a rule of its own, `d(A^-1) = -A^-1 dA A^-1`. So it can be differentiated again, to any
//! order, forwards, backwards and for batches. It does not solve: that was done by whoever asks.

use super::check_finite;
use super::error::SolveError;
use super::linear::{Lu, Matrix};
use super::recorded::{Compiled, Recorded, Unknowns, again};
use chainrule_engine::ops::CustomRule;
use chainrule_engine::transform::{custom_derivative, jacobian, vjp};
use chainrule_engine::{Data, Error, ErrorKind, Result, Tensor};
use std::sync::Arc;

/// As many equations as unknowns, in one row each, compiled.
pub(super) struct Equations {
    pub unknowns: Unknowns,
    recorded: Recorded,
    values: Compiled,
    jacobian: Compiled,
}

impl Equations {
    /// `function` gives a tensor of the shape of the unknown: what is to be zero.
    pub fn new(guess: &Tensor, function: impl FnOnce(&Tensor) -> Tensor) -> Result<(Equations, Vec<f64>), SolveError> {
        let (unknowns, first) = Unknowns::new(&[guess])?;
        let row = &unknowns.row;
        let result = function(&row.reshape(guess.shape()));
        result.check()?;
        if result.shape() != guess.shape() {
            return Err(SolveError::Shape { expected: guess.shape().to_vec(), found: result.shape().to_vec() });
        }
        if result.dtype() != guess.dtype() {
            let message = format!("equations in {} for an unknown in {}; convert one with `cast`", result.dtype(), guess.dtype());
            return Err(Error::new(ErrorKind::DType, "solve", message).at(result.origin()).into());
        }
        let recorded = Recorded::new(row, result.flatten())?;
        let settled = recorded.settled()?;
        let slopes = jacobian(&settled, row)?;
        let (values, jacobian) = (Compiled::new(&[row], &[&settled])?, Compiled::new(&[row], &[&slopes])?);
        Ok((Equations { unknowns, recorded, values, jacobian }, first))
    }

    pub fn values(&mut self, x: &[f64]) -> Result<Vec<f64>, SolveError> {
        let [values] = self.values.ask(&[&self.unknowns.leaf(x)])?;
        Ok(values)
    }

    /// The unknowns after a part of a step.
    pub fn moved(&self, x: &[f64], step: &[f64], part: f64) -> Vec<f64> {
        self.unknowns.round(x.iter().zip(step).map(|(x, step)| x + part * step).collect())
    }

    /// The factors of the Jacobian.
    pub fn factors(&mut self, x: &[f64], iteration: usize) -> Result<Lu, SolveError> {
        let [values] = self.jacobian.ask(&[&self.unknowns.leaf(x)])?;
        check_finite("the Jacobian", iteration, &values)?;
        Lu::new(&Matrix::new(x.len(), x.len(), values), "the Jacobian", self.unknowns.epsilon())
    }

    /// The solution `x` as a tensor of the shape of the guess that can be differentiated by
    /// whatever the equations were made of.
    pub fn solution(mut self, x: &[f64], iteration: usize, shape: &[usize]) -> Result<Tensor, SolveError> {
        let (n, dtype) = (x.len(), self.unknowns.dtype());
        let inverse = self.factors(x, iteration)?.inverse();
        let inverse = Tensor::from_data(Data::from_f64(dtype, &inverse.values), [n, n]);
        let leaf = self.unknowns.leaf(x);
        let captured = self.recorded.captured.clone();
        // One more step of Newton, recorded: it is lost in rounding, unless the equations have other
        // values by now than when they were solved, as in a captured step whose state they depend
        // on. Where they are a little different, it is the right correction; where it would be no
        // longer, the solution is unknown.
        let correction = inverse.matmul(&self.recorded.of(&leaf, &captured));
        let largest = x.iter().fold(1.0, |largest: f64, x| largest.max(x.abs()));
        let limit = Tensor::scalar(self.unknowns.epsilon().sqrt() * largest, dtype);
        let unknown = Tensor::scalar(f64::NAN, dtype);
        let value = correction.abs().max().less_equal(&limit).select(&(leaf - correction), &unknown);
        let inputs: Vec<&Tensor> = captured.iter().collect();
        let rule = Implicit { equations: Arc::new(self.recorded), inverse };
        Ok(custom_derivative(&value, &inputs, rule).reshape(shape))
    }
}

/// The rule of a solution.
struct Implicit {
    equations: Arc<Recorded>,
    /// The inverse of the Jacobian at the solution.
    inverse: Tensor,
}

impl CustomRule for Implicit {
    fn name(&self) -> &str {
        "implicit"
    }

    fn vjp(&self, inputs: &[Tensor], output: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
        // Nodes of their own, so that a derivative by one of them passes by none of the others: the
        // output depends on the inputs.
        let x = again(output);
        let p: Vec<Tensor> = inputs.iter().map(|input| if input.dtype().is_float() { again(input) } else { input.clone() }).collect();
        let f = self.equations.of(&x, &p);
        let inverse = inverse_near(&jacobian(&f, &x)?, &self.inverse);
        let adjoint = -inverse.t().matmul(cotangent);
        p.iter().map(|p| through(&f, &adjoint, p)).collect()
    }
}

/// The cotangent of `p`, or None if none reaches it: whoever asks for its gradient will hear why.
fn through(f: &Tensor, cotangent: &Tensor, p: &Tensor) -> Result<Option<Tensor>> {
    if !p.dtype().is_float() {
        return Ok(None);
    }
    match vjp(&[f], &[cotangent], &[p]) {
        Ok(mut found) => Ok(Some(found.swap_remove(0))),
        Err(error) if error.kind() == ErrorKind::Disconnected => Ok(None),
        Err(error) => Err(error),
    }
}

/// The inverse of `a` by one step of G. Schulz's iteration (1933) from what is nearly it; its derivative
/// is that of the inverse, not that of the step.
fn inverse_near(a: &Tensor, nearly: &Tensor) -> Tensor {
    let rest = Tensor::eye(a.shape()[0], a.dtype()) - a.matmul(nearly);
    custom_derivative(&(nearly + nearly.matmul(&rest)), &[a], Inverse)
}

/// The rule of an inverse.
struct Inverse;

impl CustomRule for Inverse {
    fn name(&self) -> &str {
        "inverse"
    }

    fn vjp(&self, _: &[Tensor], output: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(-output.t().matmul(cotangent).matmul(&output.t()))])
    }
}
