//! Least squares: the parameters that make residuals small together, and how well they are known.

use super::error::SolveError;
use super::levenberg::{self, Ended, Residuals, Settings};
use super::linear::{Matrix, Qr, dot};
use super::recorded::{Compiled, Unknowns};
use super::{Stopped, check_tolerance};
use chainrule_engine::transform::{jacobian, jvp};
use chainrule_engine::{DType, Data, ErrorKind, Tensor};

/// The method of Levenberg and Marquardt: steps of Gauss and Newton, damped as much as needed.
///
/// Parameters are scaled by the lengths of the Jacobian's columns (Moré 1978), the damping follows
/// what each step gained against what it promised (Madsen, Nielsen, Tingleff 2004), and steps come
/// from a QR factorisation, never from normal equations, whose condition is the square. Each step
/// is bent by the exact second derivative of the residuals along it, and refused where they bend too
/// much (Transtrum and Sethna 2012): that keeps the search from plateaus and shortens long valleys.
/// A step to where residuals are NaN or infinite is refused, too.
///
/// ```
/// use chainrule::prelude::*;
/// use chainrule::solve::LevenbergMarquardt;
/// // A straight line by least squares: the slope is 1.1, its standard error sqrt(0.7 / 3 / 5).
/// let x = Tensor::f64([0.0, 1.0, 2.0, 3.0]);
/// let y = Tensor::f64([1.0, 2.0, 4.0, 4.0]);
/// let fit = LevenbergMarquardt::default().minimize(|p| &p[0].at(0) + &p[0].at(1) * &x - &y, &[&Tensor::f64([0.0, 0.0])])?;
/// assert!((fit.parameters[0].to_vec::<f64>()?[1] - 1.1).abs() < 1e-12);
/// assert!((fit.residual_sum_of_squares - 0.7).abs() < 1e-12);
/// assert_eq!(fit.degrees_of_freedom, 2);
/// let errors = fit.standard_errors()?[0].to_vec::<f64>()?;
/// assert!((errors[1] - (0.7_f64 / 2.0 / 5.0).sqrt()).abs() < 1e-12);
/// # Ok::<(), chainrule::solve::SolveError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevenbergMarquardt {
    /// How many steps are tried at most, taken or not. With 0 the fit tells of the first guess.
    pub iterations: usize,
    /// Stops where no column of the Jacobian has a cosine with the residuals above this.
    pub gradient_tolerance: f64,
    /// Stops where a step is shorter than this part of the parameters, both scaled. Rounding of
    /// the element type limits it from below.
    pub step_tolerance: f64,
    /// The damping of the first step, as a part of what the scaled Jacobian has: small trusts the
    /// first guess, large is careful. It adapts.
    pub damping: f64,
    /// How long the acceleration may be as a part of the step. `None` takes plain steps, for
    /// functions without a second derivative.
    pub acceleration: Option<f64>,
}

impl Default for LevenbergMarquardt {
    fn default() -> Self {
        LevenbergMarquardt {
            iterations: 2000,
            gradient_tolerance: 1e-12,
            step_tolerance: 1e-12,
            damping: 1e-3,
            // Transtrum and Sethna take 0.375 as the limit of 2 |acceleration| / |velocity|, "less than one".
            acceleration: Some(0.3),
        }
    }
}

/// Parameters found by least squares.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The parameters, in the order and of the shapes of the first guesses, as leaves.
    pub parameters: Vec<Tensor>,
    /// What is left of each residual, as a leaf of shape `[m]`.
    pub residuals: Tensor,
    /// The sum of the squares of the residuals.
    pub residual_sum_of_squares: f64,
    /// How many more residuals there are than parameters.
    pub degrees_of_freedom: usize,
    /// The largest cosine of an angle between the residuals and a column of the Jacobian: 0 at a
    /// minimum, unless the residuals themselves are only rounding.
    pub slope: f64,
    /// How many steps were tried.
    pub iterations: usize,
    /// Why no more were.
    pub stopped: Stopped,
    /// `(J^T J)^-1`, or the column of J that depends on others.
    inverse: Result<Matrix, usize>,
    dtype: DType,
    shapes: Vec<Vec<usize>>,
}

impl LevenbergMarquardt {
    /// The parameters that make the sum of squares of `residuals` least, starting from `guesses`.
    ///
    /// `residuals` is called once, with parameters of the shapes of the guesses, and records a
    /// tensor of any shape. The guesses must have one float type.
    ///
    /// # Errors
    /// If a guess or what the function gives there is not finite, if there are fewer residuals than
    /// parameters, if the function cannot be recorded or does not depend on the parameters, or if a
    /// setting is negative or NaN. That no minimum was found is no error: see [`Fit::stopped`].
    pub fn minimize(&self, residuals: impl FnOnce(&[Tensor]) -> Tensor, guesses: &[&Tensor]) -> Result<Fit, SolveError> {
        self.check()?;
        let (unknowns, first) = Unknowns::new(guesses)?;
        let residuals = unknowns.record(residuals)?.flatten();
        if residuals.len() < unknowns.count() {
            return Err(SolveError::TooFew { residuals: residuals.len(), parameters: unknowns.count() });
        }
        let epsilon = unknowns.epsilon();
        let settings = Settings {
            iterations: self.iterations,
            gradient_tolerance: self.gradient_tolerance.max(epsilon),
            step_tolerance: self.step_tolerance.max(epsilon),
            damping: self.damping,
            acceleration: self.acceleration,
            epsilon,
        };
        let mut problem = Problem::new(unknowns, &residuals, self.acceleration.is_some())?;
        let ended = levenberg::run(&mut problem, first, settings)?;
        Ok(Fit::new(ended, &problem.unknowns, guesses))
    }

    fn check(&self) -> Result<(), SolveError> {
        check_tolerance("gradient_tolerance", self.gradient_tolerance)?;
        check_tolerance("step_tolerance", self.step_tolerance)?;
        check_tolerance("acceleration", self.acceleration.unwrap_or(0.0))?;
        match self.damping > 0.0 && self.damping.is_finite() {
            true => Ok(()),
            false => Err(SolveError::Setting { name: "damping", allowed: "a finite number above 0" }),
        }
    }
}

impl Fit {
    fn new(ended: Ended, unknowns: &Unknowns, guesses: &[&Tensor]) -> Fit {
        let inverse = inverse(&ended.qr, unknowns.epsilon());
        Fit {
            parameters: unknowns.leaves(&ended.x),
            residual_sum_of_squares: dot(&ended.residuals, &ended.residuals),
            degrees_of_freedom: ended.residuals.len() - unknowns.count(),
            residuals: unknowns.leaf(&ended.residuals),
            slope: ended.slope,
            iterations: ended.iterations,
            stopped: ended.stopped,
            inverse,
            dtype: unknowns.dtype(),
            shapes: guesses.iter().map(|guess| guess.shape().to_vec()).collect(),
        }
    }

    /// Whether the search ended at a minimum, as far as it can tell.
    pub fn converged(&self) -> bool {
        self.stopped.is_converged()
    }

    /// The residual standard deviation: the root of the sum of squares over the degrees of freedom.
    /// NaN without any.
    pub fn residual_deviation(&self) -> f64 {
        match self.degrees_of_freedom {
            0 => f64::NAN,
            degrees => (self.residual_sum_of_squares / degrees as f64).sqrt(),
        }
    }

    /// The covariance of the parameters, all elements in one row: `(J^T J)^-1 s^2`, with J the
    /// Jacobian of the residuals at the end and s the residual standard deviation. Shape `[n, n]`.
    ///
    /// This is what the linear model says that touches the residuals at the minimum; it holds where
    /// errors are independent, of one size, and small against the curvature. Elsewhere than at a
    /// minimum it means nothing.
    ///
    /// # Errors
    /// If a column of the Jacobian is a combination of others, so that the data say nothing of a
    /// parameter, or there are as many parameters as residuals.
    pub fn covariance(&self) -> Result<Tensor, SolveError> {
        let covariance = self.covariances()?;
        Ok(Tensor::from_data(Data::from_f64(self.dtype, &covariance.values), [covariance.rows, covariance.columns]))
    }

    /// The standard error of each parameter, the root of its variance, in the shapes of the parameters.
    ///
    /// # Errors
    /// As [`Fit::covariance`].
    pub fn standard_errors(&self) -> Result<Vec<Tensor>, SolveError> {
        let covariance = self.covariances()?;
        let errors: Vec<f64> = (0..covariance.rows).map(|i| covariance.at(i, i).sqrt()).collect();
        let mut rest = errors.as_slice();
        let leaf = |shape: &Vec<usize>| {
            let (here, after) = rest.split_at(shape.iter().product());
            rest = after;
            Tensor::from_data(Data::from_f64(self.dtype, here), shape)
        };
        Ok(self.shapes.iter().map(leaf).collect())
    }

    fn covariances(&self) -> Result<Matrix, SolveError> {
        let mut covariance = self.inverse.clone().map_err(|column| SolveError::Singular { matrix: "the Jacobian", column })?;
        if self.degrees_of_freedom == 0 {
            return Err(SolveError::TooFew { residuals: self.residuals.len(), parameters: covariance.rows });
        }
        let variance = self.residual_sum_of_squares / self.degrees_of_freedom as f64;
        covariance.values.iter_mut().for_each(|value| *value *= variance);
        Ok(covariance)
    }
}

fn inverse(qr: &Qr, epsilon: f64) -> Result<Matrix, usize> {
    qr.dependent(epsilon).map_or_else(|| Ok(qr.inverse_of_normal()), Err)
}

/// Residuals and their derivatives, compiled.
struct Problem {
    unknowns: Unknowns,
    residuals: Compiled,
    jacobian: Compiled,
    /// None where it is zero, or not wanted.
    curvature: Option<Compiled>,
    count: usize,
}

impl Problem {
    fn new(unknowns: Unknowns, residuals: &Tensor, accelerated: bool) -> Result<Problem, SolveError> {
        let row = &unknowns.row;
        let slopes = jacobian(residuals, row)?;
        let mut curvature = None;
        if accelerated {
            let direction = Tensor::placeholder([row.len()], row.dtype());
            let along = jvp(&[residuals], &[row], &[&direction])?;
            curvature = match jvp(&[&along[0]], &[row], &[&direction]) {
                Ok(twice) => Some(Compiled::new(&[row, &direction], &[&twice[0]])?),
                // The residuals are linear: they do not bend.
                Err(error) if error.kind() == ErrorKind::Disconnected => None,
                Err(error) => return Err(error.into()),
            };
        }
        Ok(Problem {
            residuals: Compiled::new(&[row], &[residuals])?,
            jacobian: Compiled::new(&[row], &[&slopes])?,
            curvature,
            count: residuals.len(),
            unknowns,
        })
    }
}

impl Residuals for Problem {
    fn round(&self, x: Vec<f64>) -> Vec<f64> {
        self.unknowns.round(x)
    }

    fn residuals(&mut self, x: &[f64]) -> Result<Vec<f64>, SolveError> {
        let [residuals] = self.residuals.ask(&[&self.unknowns.leaf(x)])?;
        Ok(residuals)
    }

    fn jacobian(&mut self, x: &[f64]) -> Result<Matrix, SolveError> {
        let [values] = self.jacobian.ask(&[&self.unknowns.leaf(x)])?;
        Ok(Matrix::new(self.count, self.unknowns.count(), values))
    }

    fn curvature(&mut self, x: &[f64], direction: &[f64]) -> Result<Vec<f64>, SolveError> {
        match &mut self.curvature {
            Some(curvature) => {
                let [values] = curvature.ask(&[&self.unknowns.leaf(x), &self.unknowns.leaf(direction)])?;
                Ok(values)
            }
            None => Ok(vec![0.0; self.count]),
        }
    }
}
