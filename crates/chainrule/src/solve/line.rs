//! A search along a line for a point that fulfils the strong conditions of Wolfe: lower by enough,
//! and hardly sloping any more. It knows no direction's origin.
//!
//! Source: J. Nocedal, S. J. Wright, *Numerical Optimization* (2nd edition, 2006), algorithms 3.5
//! and 3.6, with cubic interpolation (equation 3.59) kept inside the interval. Where the decrease
//! is lost in the rounding of values, slopes decide: the approximate conditions of W. W. Hager and
//! H. Zhang, *A new conjugate gradient method with guaranteed descent and an efficient line search*
//! (2005).

use super::error::SolveError;
use super::is_finite;
use super::linear::dot;

/// A point on a line, and what the function is there.
#[derive(Clone)]
pub(super) struct Trial {
    /// How far along the line.
    pub at: f64,
    pub value: f64,
    /// The derivative along the line.
    pub slope: f64,
    pub x: Vec<f64>,
    pub gradient: Vec<f64>,
}

impl Trial {
    /// Makes this point the start of a line.
    pub fn restart(&mut self, direction: &[f64]) {
        self.at = 0.0;
        self.slope = dot(&self.gradient, direction);
    }

    fn is_finite(&self) -> bool {
        self.value.is_finite() && is_finite(&self.gradient)
    }
}

/// A function along a line.
pub(super) struct Line<'a, F> {
    /// The trial at a point that lies so far along the line.
    pub function: F,
    pub start: &'a Trial,
    pub direction: &'a [f64],
    /// By how much values are uncertain.
    pub noise: f64,
}

/// Wolfe's constants, as Nocedal and Wright take them for quasi-Newton steps.
const DECREASE: f64 = 1e-4;
const FLATTER: f64 = 0.9;

/// How often an interval is widened, and narrowed.
const WIDENED: usize = 60;
const NARROWED: usize = 60;

/// A point with a lower value and a flatter slope than the start, looked for first at `length`.
/// None if there is none, or the line does not lead down.
pub(super) fn search<F>(line: &mut Line<'_, F>, length: f64) -> Result<Option<Trial>, SolveError>
where
    F: FnMut(Vec<f64>, f64) -> Result<Trial, SolveError>,
{
    if line.start.slope.is_nan() || line.start.slope >= 0.0 {
        return Ok(None);
    }
    let mut before = line.start.clone();
    let mut length = length;
    for _ in 0..WIDENED {
        let trial = line.try_at(length)?;
        if !trial.is_finite() || !line.lower(&trial) || (before.at > 0.0 && trial.value > before.value + line.noise) {
            return line.narrow(before, trial);
        }
        if line.flat(&trial) {
            return Ok(Some(trial));
        }
        if trial.slope >= 0.0 {
            return line.narrow(trial, before);
        }
        before = trial;
        length *= 2.0;
    }
    // Down and down: what was reached is better than the start.
    Ok(Some(before))
}

impl<F> Line<'_, F>
where
    F: FnMut(Vec<f64>, f64) -> Result<Trial, SolveError>,
{
    fn try_at(&mut self, at: f64) -> Result<Trial, SolveError> {
        (self.function)(self.start.x.iter().zip(self.direction).map(|(x, d)| x + at * d).collect(), at)
    }

    /// Whether a value is lower than at the start by a part of what the slope there promises, or,
    /// if that is lost in rounding, the slope says so.
    fn lower(&self, trial: &Trial) -> bool {
        let (start, fall) = (self.start, trial.value - self.start.value);
        let approximately = fall <= self.noise && trial.slope <= (2.0 * DECREASE - 1.0) * start.slope;
        fall <= DECREASE * trial.at * start.slope || approximately
    }

    fn flat(&self, trial: &Trial) -> bool {
        trial.slope.abs() <= FLATTER * self.start.slope.abs()
    }

    /// The same within an interval: `low` is the better end and slopes down towards `high`.
    fn narrow(&mut self, mut low: Trial, mut high: Trial) -> Result<Option<Trial>, SolveError> {
        for _ in 0..NARROWED {
            let trial = self.try_at(between(&low, &high))?;
            if trial.at == low.at || trial.at == high.at {
                break;
            }
            if !trial.is_finite() || !self.lower(&trial) || trial.value > low.value + self.noise {
                high = trial;
                continue;
            }
            if self.flat(&trial) {
                return Ok(Some(trial));
            }
            if trial.slope * (high.at - low.at) >= 0.0 {
                high = low;
            }
            low = trial;
        }
        Ok(Some(low).filter(|low| low.at > 0.0))
    }
}

/// Where the cubic function with the values and slopes of both ends is least, or the middle if that
/// is not well inside.
fn between(low: &Trial, high: &Trial) -> f64 {
    let width = high.at - low.at;
    let middle = low.at + 0.5 * width;
    if !high.is_finite() {
        return low.at + 0.1 * width;
    }
    let first = low.slope + high.slope - 3.0 * (high.value - low.value) / width;
    let root = (first * first - low.slope * high.slope).sqrt().copysign(width);
    let cubic = high.at - width * (high.slope + root - first) / (high.slope - low.slope + 2.0 * root);
    let part = (cubic - low.at) / width;
    if part > 0.05 && part < 0.95 { cubic } else { middle }
}
