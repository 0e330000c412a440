//! Minima of a scalar function of many unknowns: the limited-memory method of Broyden, Fletcher,
//! Goldfarb and Shanno. It asks for gradients only and keeps a few of them.

use super::error::SolveError;
use super::line::{self, Line, Trial};
use super::linear::{dot, norm};
use super::minimize::{Minimum, Objective, change, slope};
use super::recorded::{Compiled, Unknowns};
use super::{Stopped, check_finite, check_tolerance};
use chainrule_engine::Tensor;
use std::collections::VecDeque;

/// Quasi-Newton steps whose idea of the curvature comes from the last few gradients, each with a
/// length that fulfils the strong conditions of Wolfe.
///
/// Source: J. Nocedal, S. J. Wright, *Numerical Optimization* (2nd edition, 2006), algorithms 7.4
/// and 7.5; the line search is algorithms 3.5 and 3.6.
///
/// ```
/// use chainrule::prelude::*;
/// use chainrule::solve::Lbfgs;
/// // Rosenbrock's valley of 50 unknowns.
/// let valley = |p: &[Tensor]| {
///     let (x, next) = (p[0].at(..49), p[0].at(1..));
///     (100.0 * (next - x.square()).square() + (1.0 - x).square()).sum()
/// };
/// let start = Tensor::full([50], -0.5, DType::F64);
/// let minimum = Lbfgs::default().minimize(valley, &[&start])?;
/// assert!(minimum.converged() && minimum.value < 1e-12);
/// # Ok::<(), chainrule::solve::SolveError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lbfgs {
    /// How many steps are taken at most.
    pub iterations: usize,
    /// Stops where [`Minimum::slope`] is not above this.
    pub gradient_tolerance: f64,
    /// Stops where no unknown would change by more than this part of itself, or of 1 if that is more.
    pub step_tolerance: f64,
    /// How many steps are remembered.
    pub memory: usize,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Lbfgs { iterations: 2000, gradient_tolerance: 1e-8, step_tolerance: 1e-14, memory: 10 }
    }
}

impl Lbfgs {
    /// Where `function`, a scalar, is least, searched from `guesses`, which must have one float type.
    ///
    /// `function` is called once, with parameters of the shapes of the guesses.
    ///
    /// # Errors
    /// As [`super::Newton::minimize`].
    pub fn minimize(&self, function: impl FnOnce(&[Tensor]) -> Tensor, guesses: &[&Tensor]) -> Result<Minimum, SolveError> {
        check_tolerance("gradient_tolerance", self.gradient_tolerance)?;
        check_tolerance("step_tolerance", self.step_tolerance)?;
        if self.memory == 0 {
            return Err(SolveError::Setting { name: "memory", allowed: "at least 1" });
        }
        let Objective { unknowns, first, value, gradient } = Objective::new(function, guesses)?;
        let compiled = Compiled::new(&[&unknowns.row], &[&value, &gradient])?;
        let mut function = Function { unknowns, compiled };
        let start = function.at(first, 0.0, &[])?;
        check_finite("the function", 0, &[start.value])?;
        check_finite("the gradient", 0, &start.gradient)?;
        self.run(&mut function, start)
    }

    fn run(&self, function: &mut Function, mut point: Trial) -> Result<Minimum, SolveError> {
        let epsilon = function.unknowns.epsilon();
        let mut memory = Memory::default();
        let mut iterations = 0;
        let stopped = loop {
            if slope(&point.x, point.value, &point.gradient) <= self.gradient_tolerance.max(epsilon) {
                break Stopped::Gradient;
            }
            if iterations == self.iterations {
                break Stopped::Iterations;
            }
            iterations += 1;
            let direction = memory.direction(&point.gradient);
            // Nothing is known of lengths yet: the first step changes the unknowns by 1 together at most.
            let first = if memory.pairs.is_empty() { 1.0 / norm(direction.iter().copied()).max(1.0) } else { 1.0 };
            let ahead: Vec<f64> = point.x.iter().zip(&direction).map(|(x, d)| x + first * d).collect();
            let tolerance = self.step_tolerance.max(epsilon);
            if !memory.pairs.is_empty() && change(&point.x, &ahead) <= tolerance {
                break Stopped::Step;
            }
            point.restart(&direction);
            let noise = epsilon * point.value.abs();
            let mut along =
                Line { function: |x: Vec<f64>, at: f64| function.at(x, at, &direction), start: &point, direction: &direction, noise };
            // A step that had to become so short does not help.
            let next = line::search(&mut along, first)?.filter(|next| change(&point.x, &next.x) > tolerance);
            match next {
                Some(next) => {
                    memory.learn(&point, &next, self.memory);
                    point = next;
                }
                None if !memory.pairs.is_empty() => memory.pairs.clear(),
                // What the step that was tried first could gain.
                None if point.slope.abs() * first <= 1e4 * noise => break Stopped::Rounding,
                None => break Stopped::Stalled,
            }
        };
        let slope = slope(&point.x, point.value, &point.gradient);
        Ok(Minimum { parameters: function.unknowns.leaves(&point.x), value: point.value, slope, iterations, stopped })
    }
}

/// A function and its gradient, compiled.
struct Function {
    unknowns: Unknowns,
    compiled: Compiled,
}

impl Function {
    /// The function at `x`, which lies `at` along `direction` from where a line starts.
    fn at(&mut self, x: Vec<f64>, at: f64, direction: &[f64]) -> Result<Trial, SolveError> {
        let x = self.unknowns.round(x);
        let [value, gradient] = self.compiled.ask(&[&self.unknowns.leaf(&x)])?;
        let slope = dot(&gradient, direction);
        Ok(Trial { at, value: value.first().copied().unwrap_or(f64::NAN), slope, x, gradient })
    }
}

/// The last steps and how they changed the gradient, oldest first.
#[derive(Default)]
struct Memory {
    pairs: VecDeque<Pair>,
}

struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// Their product, above 0.
    product: f64,
}

impl Memory {
    /// The way down that the remembered curvature proposes; steeply down if there is none.
    fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut parts = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let part = dot(&pair.step, &q) / pair.product;
            add(&mut q, -part, &pair.change);
            parts.push(part);
        }
        if let Some(last) = self.pairs.back() {
            let scale = last.product / dot(&last.change, &last.change);
            q.iter_mut().for_each(|q| *q *= scale);
        }
        for (pair, part) in self.pairs.iter().zip(parts.into_iter().rev()) {
            let back = dot(&pair.change, &q) / pair.product;
            add(&mut q, part - back, &pair.step);
        }
        q
    }

    fn learn(&mut self, old: &Trial, new: &Trial, most: usize) {
        let minus = |new: &[f64], old: &[f64]| new.iter().zip(old).map(|(new, old)| new - old).collect::<Vec<f64>>();
        let (step, change) = (minus(&new.x, &old.x), minus(&new.gradient, &old.gradient));
        let product = dot(&step, &change);
        // Curvature that is not positive, or lost in rounding, would turn the next direction uphill.
        if product <= f64::EPSILON * dot(&change, &change) || !product.is_finite() {
            return;
        }
        if self.pairs.len() == most {
            self.pairs.pop_front();
        }
        self.pairs.push_back(Pair { step, change, product });
    }
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += factor * what);
}
