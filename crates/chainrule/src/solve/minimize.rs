//! Minima of a scalar function of a few unknowns: Newton's method within a region of trust.

use super::error::SolveError;
use super::linear::Matrix;
use super::recorded::{Compiled, Unknowns};
use super::region::{Lowest, Quadratic};
use super::{Stopped, check_finite, check_tolerance};
use chainrule_engine::transform::hessian;
use chainrule_engine::{Error, ErrorKind, Tensor};

/// Newton's method: each step goes to the lowest point, within a radius that adapts, of the
/// quadratic function with the same gradient and Hessian. Where the function curves downwards it
/// goes that way, so it does not stop at a saddle.
///
/// Sources: J. Nocedal, S. J. Wright, *Numerical Optimization* (2nd edition, 2006), algorithm 4.1;
/// the step itself after Moré and Sorensen (1983). Each step takes the eigenvectors of the Hessian:
/// for up to some hundred unknowns. For more, see [`super::Lbfgs`].
///
/// ```
/// use chainrule::prelude::*;
/// use chainrule::solve::Newton;
/// // Rosenbrock's valley, whose floor is at (1, 1).
/// let valley = |p: &[Tensor]| (1.0 - &p[0]).square() + 100.0 * (&p[1] - p[0].square()).square();
/// let minimum = Newton::default().minimize(valley, &[&Tensor::f64(-1.2), &Tensor::f64(1.0)])?;
/// assert!(minimum.converged());
/// assert!((minimum.parameters[0].item()? - 1.0).abs() < 1e-9);
/// # Ok::<(), chainrule::solve::SolveError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Newton {
    /// How many steps are tried at most, taken or not.
    pub iterations: usize,
    /// Stops where [`Minimum::slope`] is not above this and the function does not curve downwards.
    pub gradient_tolerance: f64,
    /// Stops where no unknown would change by more than this part of itself, or of 1 if that is more.
    pub step_tolerance: f64,
    /// The length of the first step at most, in the unit of the unknowns.
    pub radius: f64,
}

impl Default for Newton {
    fn default() -> Self {
        Newton { iterations: 500, gradient_tolerance: 1e-10, step_tolerance: 1e-14, radius: 1.0 }
    }
}

/// Where a function was found to be least.
#[derive(Clone, Debug)]
pub struct Minimum {
    /// The unknowns, in the order and of the shapes of the first guesses, as leaves.
    pub parameters: Vec<Tensor>,
    /// The function there.
    pub value: f64,
    /// The largest relative change of the function for a relative change of one unknown:
    /// `|g_i| max(|x_i|, 1) / max(|f|, 1)` (J. E. Dennis, R. B. Schnabel, *Numerical Methods for
    /// Unconstrained Optimization and Nonlinear Equations*, 1983, §7.2).
    pub slope: f64,
    /// How many steps were tried.
    pub iterations: usize,
    /// Why no more were.
    pub stopped: Stopped,
}

impl Minimum {
    /// Whether the search ended at a minimum, as far as it can tell.
    pub fn converged(&self) -> bool {
        self.stopped.is_converged()
    }
}

impl Newton {
    /// Where `function`, a scalar, is least, searched from `guesses`, which must have one float type.
    ///
    /// `function` is called once, with parameters of the shapes of the guesses.
    ///
    /// # Errors
    /// If a guess or what the function gives there is not finite, if the function is no scalar,
    /// cannot be recorded or does not depend on the parameters, or if a setting is out of range.
    /// That no minimum was found is no error: see [`Minimum::stopped`].
    pub fn minimize(&self, function: impl FnOnce(&[Tensor]) -> Tensor, guesses: &[&Tensor]) -> Result<Minimum, SolveError> {
        check_tolerance("gradient_tolerance", self.gradient_tolerance)?;
        check_tolerance("step_tolerance", self.step_tolerance)?;
        if !(self.radius > 0.0 && self.radius.is_finite()) {
            return Err(SolveError::Setting { name: "radius", allowed: "a finite number above 0" });
        }
        let Objective { unknowns, first, value, gradient } = Objective::new(function, guesses)?;
        let curvature = hessian(&value, &unknowns.row)?;
        let mut function = Function {
            value: Compiled::new(&[&unknowns.row], &[&value])?,
            derivatives: Compiled::new(&[&unknowns.row], &[&gradient, &curvature])?,
            unknowns,
        };
        let start = function.value(&first)?;
        check_finite("the function", 0, &[start])?;
        let Some(point) = function.point(first, start)? else {
            return Err(SolveError::NotFinite { what: "the gradient or the Hessian", iteration: 0 });
        };
        self.run(&mut function, point)
    }

    fn run(&self, function: &mut Function, mut point: Point) -> Result<Minimum, SolveError> {
        let epsilon = function.unknowns.epsilon();
        let (mut radius, mut iterations) = (self.radius, 0);
        let stopped = loop {
            let level = point.slope <= self.gradient_tolerance.max(epsilon);
            if level && !point.quadratic.curves_down() {
                break Stopped::Gradient;
            }
            if iterations == self.iterations {
                break Stopped::Iterations;
            }
            iterations += 1;
            let Lowest { step, length, gain } = point.quadratic.lowest(radius);
            let next = function.unknowns.round(point.x.iter().zip(&step).map(|(x, step)| x + step).collect());
            if change(&point.x, &next) <= self.step_tolerance.max(epsilon) {
                // A step that is short because longer ones did not help tells nothing by itself.
                let helped = length < 0.99 * radius || point.slope <= LEVEL;
                break if helped { Stopped::Step } else { Stopped::Stalled };
            }
            let noise = epsilon * point.value.abs();
            let value = function.value(&next)?;
            let ratio = (point.value - value) / gain;
            // Where the gain is lost in rounding, the gradient still tells whether it is a better place.
            let lost = gain <= HARDLY * noise && value <= point.value + HARDLY * noise;
            let next = if ratio > 1e-4 || lost { function.point(next, value)? } else { None };
            let next = next.filter(|next| ratio > 1e-4 || next.slope < 0.9 * point.slope);
            match ratio {
                _ if lost => (),
                ratio if ratio > 0.75 && length > 0.9 * radius => radius *= 2.0,
                ratio if ratio >= 0.25 => (),
                _ => radius = length / 4.0,
            }
            match next {
                Some(next) => point = next,
                None if lost && gain <= noise => break Stopped::Rounding,
                None => radius = radius.min(length / 4.0),
            }
        };
        Ok(Minimum { parameters: function.unknowns.leaves(&point.x), value: point.value, slope: point.slope, iterations, stopped })
    }
}

/// How many times the rounding of a value a gain may be for the gradient to be asked as well.
const HARDLY: f64 = 1e4;

/// A [`Minimum::slope`] that is no gradient any more where values are much less exact than their type.
const LEVEL: f64 = 1e-5;

/// A function to be minimised, recorded, with the unknowns at the first guesses.
pub(super) struct Objective {
    pub unknowns: Unknowns,
    pub first: Vec<f64>,
    /// One float.
    pub value: Tensor,
    /// In a row, as the unknowns are.
    pub gradient: Tensor,
}

impl Objective {
    pub fn new(function: impl FnOnce(&[Tensor]) -> Tensor, guesses: &[&Tensor]) -> Result<Objective, SolveError> {
        let (unknowns, first) = Unknowns::new(guesses)?;
        let value = unknowns.record(function)?;
        if value.rank() > 0 {
            let message = format!("a function of shape {:?} has no minimum: reduce it with `sum` or `mean`", value.shape());
            return Err(Error::new(ErrorKind::Shape, "minimize", message).at(value.origin()).into());
        }
        let gradient = value.grad(&[&unknowns.row])?.swap_remove(0);
        Ok(Objective { unknowns, first, value, gradient })
    }
}

/// The relative gradient; see [`Minimum::slope`].
pub(super) fn slope(x: &[f64], value: f64, gradient: &[f64]) -> f64 {
    let relative = |(g, x): (&f64, &f64)| g.abs() * x.abs().max(1.0) / value.abs().max(1.0);
    gradient.iter().zip(x).map(relative).fold(0.0, f64::max)
}

/// The largest change of an unknown, as a part of itself or of 1.
pub(super) fn change(x: &[f64], next: &[f64]) -> f64 {
    x.iter().zip(next).map(|(x, next)| (next - x).abs() / x.abs().max(1.0)).fold(0.0, f64::max)
}

/// A function and its derivatives, compiled.
struct Function {
    unknowns: Unknowns,
    value: Compiled,
    derivatives: Compiled,
}

struct Point {
    x: Vec<f64>,
    value: f64,
    slope: f64,
    quadratic: Quadratic,
}

impl Function {
    fn value(&mut self, x: &[f64]) -> Result<f64, SolveError> {
        let [value] = self.value.ask(&[&self.unknowns.leaf(x)])?;
        Ok(value.first().copied().unwrap_or(f64::NAN))
    }

    /// None where a derivative is not finite.
    fn point(&mut self, x: Vec<f64>, value: f64) -> Result<Option<Point>, SolveError> {
        let [gradient, hessian] = self.derivatives.ask(&[&self.unknowns.leaf(&x)])?;
        let slope = slope(&x, value, &gradient);
        let quadratic = Quadratic::new(gradient, Matrix::new(x.len(), x.len(), hessian));
        Ok(quadratic.map(|quadratic| Point { x, value, slope, quadratic }))
    }
}
