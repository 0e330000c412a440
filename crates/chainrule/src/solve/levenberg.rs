//! The iteration of Levenberg and Marquardt on host numbers. It knows no tensors: residuals and
//! derivatives come from whoever implements [`Residuals`].
//!
//! Sources: K. Madsen, H. B. Nielsen, O. Tingleff, *Methods for Non-Linear Least Squares Problems*
//! (2nd edition, 2004), algorithm 3.16 with the damping of equation 2.21; J. J. Moré, *The
//! Levenberg-Marquardt algorithm: implementation and theory* (1978), for the scaling by the longest
//! columns of the Jacobian so far, the step from a QR factorisation with rows added to it, and the
//! predicted reduction as a sum of squares; M. K. Transtrum, J. P. Sethna, *Improvements to the
//! Levenberg-Marquardt algorithm for nonlinear least-squares minimization* (2012,
//! arXiv:1201.5885), for the acceleration along the step and the bound on it.

use super::error::SolveError;
use super::linear::{Matrix, Qr, dot, norm};
use super::{Stopped, check_finite, is_finite};

/// What is minimised: half the sum of the squares of residuals.
pub(super) trait Residuals {
    /// The nearest point that the function can be asked at.
    fn round(&self, x: Vec<f64>) -> Vec<f64>;
    fn residuals(&mut self, x: &[f64]) -> Result<Vec<f64>, SolveError>;
    fn jacobian(&mut self, x: &[f64]) -> Result<Matrix, SolveError>;
    /// The second derivative of the residuals along a direction, twice the same.
    fn curvature(&mut self, x: &[f64], direction: &[f64]) -> Result<Vec<f64>, SolveError>;
}

/// When to stop, and how careful to begin; see the fields of [`super::LevenbergMarquardt`].
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub iterations: usize,
    pub gradient_tolerance: f64,
    pub step_tolerance: f64,
    pub damping: f64,
    /// The bound on the acceleration as a part of the step; none for steps without acceleration.
    pub acceleration: Option<f64>,
    /// The distance from 1 to the next number that residuals can have.
    pub epsilon: f64,
}

/// Where the iteration ended.
pub(super) struct Ended {
    pub x: Vec<f64>,
    pub residuals: Vec<f64>,
    pub qr: Qr,
    pub slope: f64,
    pub iterations: usize,
    pub stopped: Stopped,
}

/// How many times the rounding of the sum of squares an increase may be that a lesser slope outweighs.
const HARDLY: f64 = 1e5;

/// Minimises from `x`. An iteration is one step that was tried, taken or not.
pub(super) fn run(problem: &mut impl Residuals, x: Vec<f64>, settings: Settings) -> Result<Ended, SolveError> {
    let mut point = Point::first(problem, x)?;
    let (mut damping, mut growth, mut iterations) = (settings.damping, 2.0, 0);
    let stopped = loop {
        if point.slope <= settings.gradient_tolerance {
            break Stopped::Gradient;
        }
        if iterations == settings.iterations {
            break Stopped::Iterations;
        }
        iterations += 1;
        let step = point.step(problem, damping, settings.acceleration)?;
        if step.length <= settings.step_tolerance * scaled(&point.x, &point.scale) || step.next == point.x {
            // A step that is short because longer ones did not help tells nothing by itself.
            let helped = growth == 2.0 || point.is_level(settings.epsilon);
            break if helped { Stopped::Step } else { Stopped::Stalled };
        }
        let noise = settings.epsilon * dot(&point.residuals, &point.residuals);
        let next = if step.bends { None } else { point.better(problem, step.next, noise)? };
        match next {
            Some((next, reduction)) => {
                damping *= (1.0 - (2.0 * reduction / step.predicted - 1.0).powi(3)).max(1.0 / 3.0);
                growth = 2.0;
                point = next;
            }
            None if !step.bends && step.predicted <= noise => break Stopped::Rounding,
            None => {
                damping *= growth;
                growth *= 2.0;
            }
        }
        if !damping.is_finite() {
            break Stopped::Stalled;
        }
    };
    Ok(Ended { x: point.x, residuals: point.residuals, qr: point.qr, slope: point.slope, iterations, stopped })
}

/// A point with all that is known there.
struct Point {
    x: Vec<f64>,
    residuals: Vec<f64>,
    /// The Jacobian's factors, its triangle, and the residuals in the space of its columns.
    qr: Qr,
    triangle: Matrix,
    projected: Vec<f64>,
    /// For each unknown the length of the longest column that the Jacobian had for it; 1 if all
    /// were zero.
    scale: Vec<f64>,
    /// The largest cosine of an angle between the residuals and a column of the Jacobian: 0 where
    /// the residuals stand upright on all of them.
    slope: f64,
}

/// A step from a point.
struct Step {
    next: Vec<f64>,
    /// Its scaled length, without the acceleration.
    length: f64,
    /// By how much half the sum of squares would be less if the residuals were linear.
    predicted: f64,
    /// Whether the residuals bend so much along it that their slope says little of where it ends.
    bends: bool,
}

impl Point {
    fn first(problem: &mut impl Residuals, x: Vec<f64>) -> Result<Point, SolveError> {
        let residuals = problem.residuals(&x)?;
        check_finite("the residuals", 0, &residuals)?;
        let jacobian = problem.jacobian(&x)?;
        check_finite("the Jacobian", 0, &jacobian.values)?;
        let zeros = vec![0.0; x.len()];
        Ok(Point::new(x, residuals, jacobian, &zeros))
    }

    fn new(x: Vec<f64>, residuals: Vec<f64>, jacobian: Matrix, scale_before: &[f64]) -> Point {
        let lengths = jacobian.column_norms();
        let slope = slope(&jacobian, &residuals, &lengths);
        let longest = lengths.iter().zip(scale_before).map(|(now, before)| now.max(*before));
        let scale = longest.map(|length| if length > 0.0 { length } else { 1.0 }).collect();
        let qr = Qr::new(jacobian);
        let projected = qr.project(&residuals).into_iter().take(x.len()).collect();
        Point { triangle: qr.triangle(), x, residuals, qr, projected, scale, slope }
    }

    /// Whether the residuals hardly lean on any column, or are little more than what the rounding
    /// of the unknowns makes of them.
    fn is_level(&self, epsilon: f64) -> bool {
        self.slope <= 1e-4 || norm(self.residuals.iter().copied()) <= 1e3 * epsilon * scaled(&self.x, &self.scale)
    }

    fn step(&self, problem: &mut impl Residuals, damping: f64, acceleration: Option<f64>) -> Result<Step, SolveError> {
        let system = damped(&self.triangle, &self.scale, damping);
        let velocity = solve(&system, &self.projected);
        let length = scaled(&velocity, &self.scale);
        let along = self.triangle.times(&velocity);
        let predicted = 0.5 * dot(&along, &along) + damping * length * length;
        let mut next: Vec<f64> = self.x.iter().zip(&velocity).map(|(x, step)| x + step).collect();
        let mut bends = false;
        if let Some(bound) = acceleration {
            let curvature = problem.curvature(&self.x, &velocity)?;
            let acceleration = solve(&system, &self.qr.project(&curvature)[..self.x.len()]);
            let ratio = scaled(&acceleration, &self.scale) / length;
            bends = ratio.is_nan() || ratio > bound;
            next.iter_mut().zip(acceleration).for_each(|(x, acceleration)| *x += 0.5 * acceleration);
        }
        Ok(Step { next: problem.round(next), length, predicted, bends })
    }

    /// The point at `next`, and by how much half the sum of squares is less there. None if it is
    /// not less, or something is not finite there, as where an exponential overflows.
    ///
    /// Near the minimum the sum changes by less than its rounding, which can be much more than
    /// `noise` where residuals are differences of large numbers. Its slope, which is zero there, is
    /// still known: what lessens the slope and hardly changes the sum is better, too.
    fn better(&self, problem: &mut impl Residuals, next: Vec<f64>, noise: f64) -> Result<Option<(Point, f64)>, SolveError> {
        let residuals = problem.residuals(&next)?;
        // As differences, so that a reduction far below the sum itself is not lost.
        let reduction: f64 = self.residuals.iter().zip(&residuals).map(|(old, new)| 0.5 * (old - new) * (old + new)).sum();
        if !is_finite(&residuals) || reduction.is_nan() || reduction < -HARDLY * noise {
            return Ok(None);
        }
        let jacobian = problem.jacobian(&next)?;
        if !jacobian.is_finite() {
            return Ok(None);
        }
        let point = Point::new(next, residuals, jacobian, &self.scale);
        let better = reduction > noise || point.slope < 0.9 * self.slope;
        Ok(better.then_some((point, reduction)))
    }
}

fn slope(jacobian: &Matrix, residuals: &[f64], lengths: &[f64]) -> f64 {
    let size = norm(residuals.iter().copied());
    if size == 0.0 {
        return 0.0;
    }
    let cosine = |(j, length): (usize, &f64)| match *length {
        0.0 => 0.0,
        length => residuals.iter().enumerate().map(|(i, r)| jacobian.at(i, j) / length * (r / size)).sum::<f64>().abs(),
    };
    lengths.iter().enumerate().map(cosine).fold(0.0, f64::max)
}

/// The factors of R with the rows of `sqrt(damping) D` below it, D the diagonal of `scale`.
fn damped(triangle: &Matrix, scale: &[f64], damping: f64) -> Qr {
    let n = scale.len();
    let mut tall = Matrix::new(2 * n, n, triangle.values.clone());
    for (j, scale) in scale.iter().enumerate() {
        *tall.at_mut(n + j, j) = damping.sqrt() * scale;
    }
    Qr::new(tall)
}

/// The step s that makes `|R s + q|^2 + damping |D s|^2` least.
fn solve(damped: &Qr, projected: &[f64]) -> Vec<f64> {
    let n = projected.len();
    let right: Vec<f64> = projected.iter().map(|q| -q).chain(std::iter::repeat_n(0.0, n)).collect();
    damped.solve_triangle(&damped.project(&right))
}

/// The length of a vector with its numbers scaled.
fn scaled(x: &[f64], scale: &[f64]) -> f64 {
    norm(x.iter().zip(scale).map(|(x, scale)| x * scale))
}
