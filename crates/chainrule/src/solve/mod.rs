//! Solvers for small problems, with the derivatives that the graph gives.
//!
//! | You have | Use | It takes |
//! |---|---|---|
//! | residuals, to fit a model to data | [`LevenbergMarquardt`] | their Jacobian, and the second derivative along a step |
//! | a scalar of a few unknowns | [`Newton`] | gradient and Hessian |
//! | a scalar of many unknowns | [`Lbfgs`] | the gradient |
//! | equations `f(x) = 0` | [`Root`] | the Jacobian |
//! | `x = g(x)` | [`FixedPoint`] | values of `g` |
//!
//! The function is recorded once, its derivatives too; both are compiled once and then only run.
//! What happens between two runs is plain arithmetic on the host, in f64, with matrices whose size
//! is the number of unknowns: hundreds are fine, many thousands are for [`Lbfgs`] or for
//! [`crate::optim`]. The function is asked in the element type of the first guesses; use f64 ones
//! ([`Tensor::f64`](chainrule_engine::Tensor::f64)) for more than five or six digits.
//!
//! A root and a fixed point are tensors that can be differentiated, to any order, by whatever they
//! depend on. A minimum is not: what was found is a leaf.
//!
//! ```
//! use chainrule::prelude::*;
//! use chainrule::solve::LevenbergMarquardt;
//! // y = a exp(-b t), with a = 2 and b = 0.5, measured without a mistake.
//! let t = Tensor::linspace(0.0, 4.0, 9, DType::F64);
//! let y = 2.0 * (-0.5 * &t).exp();
//! let fit = LevenbergMarquardt::default()
//!     .minimize(|p| &p[0] * (-&p[1] * &t).exp() - &y, &[&Tensor::f64(1.0), &Tensor::f64(1.0)])?;
//! assert!(fit.converged());
//! assert!((fit.parameters[0].item()? - 2.0).abs() < 1e-10);
//! assert!((fit.parameters[1].item()? - 0.5).abs() < 1e-10);
//! # Ok::<(), chainrule::solve::SolveError>(())
//! ```

mod error;
mod fixed_point;
mod implicit;
mod lbfgs;
mod least_squares;
mod levenberg;
mod line;
mod linear;
mod minimize;
mod recorded;
mod region;
mod root;
mod search;

pub use error::SolveError;
pub use fixed_point::FixedPoint;
pub use lbfgs::Lbfgs;
pub use least_squares::{Fit, LevenbergMarquardt};
pub use minimize::{Minimum, Newton};
pub use root::Root;
pub use search::Solution;

/// Why a solver stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stopped {
    /// The gradient is small: a minimum, as far as the first derivative tells.
    Gradient,
    /// The next step is small.
    Step,
    /// What the next step could gain is less than the rounding of the function.
    Rounding,
    /// As many iterations were done as allowed.
    Iterations,
    /// No step, however short, makes the function less, though its gradient says that one should:
    /// the function is not smooth here, not finite nearby, or its derivative is wrong.
    Stalled,
}

impl Stopped {
    /// Whether this is what was looked for, and not a failure.
    pub fn is_converged(self) -> bool {
        matches!(self, Stopped::Gradient | Stopped::Step | Stopped::Rounding)
    }
}

fn is_finite(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_finite())
}

/// Numbers that a search cannot go on from unless all are finite.
fn check_finite(what: &'static str, iteration: usize, values: &[f64]) -> Result<(), SolveError> {
    match is_finite(values) {
        true => Ok(()),
        false => Err(SolveError::NotFinite { what, iteration }),
    }
}

/// A setting that must be a finite number, not negative.
fn check_tolerance(name: &'static str, value: f64) -> Result<(), SolveError> {
    match value.is_finite() && value >= 0.0 {
        true => Ok(()),
        false => Err(SolveError::Setting { name, allowed: "a finite number, 0 or more" }),
    }
}
