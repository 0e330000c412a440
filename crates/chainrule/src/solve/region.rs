//! The lowest point of a quadratic function within a ball: one step of a trust-region method, on
//! host numbers. It knows no function, only its gradient and Hessian.
//!
//! Source: J. J. Moré, D. C. Sorensen, *Computing a trust region step* (1983), as in J. Nocedal,
//! S. J. Wright, *Numerical Optimization* (2nd edition, 2006), §4.3. The matrices are small, so the
//! secular equation is solved in the eigenvectors' coordinates, where its hard case is an easy one.

use super::is_finite;
use super::linear::{Cholesky, Matrix, dot, eigen, norm};
use std::cell::OnceCell;

/// A quadratic function by its gradient and Hessian at 0.
pub(super) struct Quadratic {
    gradient: Vec<f64>,
    hessian: Matrix,
    /// The lowest point of all, if the function curves upwards everywhere.
    free: Option<Vec<f64>>,
    spectrum: OnceCell<Option<Spectrum>>,
}

/// The function in the coordinates of the Hessian's eigenvectors.
struct Spectrum {
    values: Vec<f64>,
    vectors: Matrix,
    gradient: Vec<f64>,
}

/// The lowest point.
pub(super) struct Lowest {
    pub step: Vec<f64>,
    pub length: f64,
    /// How much lower it is than 0.
    pub gain: f64,
}

impl Quadratic {
    /// None if a number is not finite.
    pub fn new(gradient: Vec<f64>, hessian: Matrix) -> Option<Quadratic> {
        if !hessian.is_finite() || !is_finite(&gradient) {
            return None;
        }
        let down: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let free = Cholesky::new(&hessian).ok().map(|factors| factors.solve(&down)).filter(|step| is_finite(step));
        Some(Quadratic { gradient, hessian, free, spectrum: OnceCell::new() })
    }

    /// Whether it curves downwards somewhere, by more than rounding.
    pub fn curves_down(&self) -> bool {
        self.free.is_none() && self.spectrum().is_some_and(Spectrum::curves_down)
    }

    /// The lowest point not further than `radius`. Most steps near a minimum need no eigenvectors.
    pub fn lowest(&self, radius: f64) -> Lowest {
        let within = self.free.as_ref().filter(|step| norm(step.iter().copied()) <= radius);
        let step = within.cloned().or_else(|| Some(self.spectrum()?.lowest(radius)));
        let step = step.unwrap_or_else(|| vec![0.0; self.gradient.len()]);
        let gain = -dot(&self.gradient, &step) - 0.5 * dot(&self.hessian.times(&step), &step);
        Lowest { length: norm(step.iter().copied()), step, gain }
    }

    fn spectrum(&self) -> Option<&Spectrum> {
        let find = || {
            let (values, vectors) = eigen(&self.hessian)?;
            Some(Spectrum { gradient: vectors.times(&self.gradient), values, vectors })
        };
        self.spectrum.get_or_init(find).as_ref()
    }
}

impl Spectrum {
    fn curves_down(&self) -> bool {
        let largest = self.values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        self.values[0] < -f64::EPSILON.sqrt() * largest
    }

    fn lowest(&self, radius: f64) -> Vec<f64> {
        if self.values[0] > 0.0 {
            let free = self.damped(0.0, 0.0);
            if norm(free.iter().copied()) <= radius {
                return self.back(&free);
            }
        }
        // The damping is `least` and some more: at the upper end the step is certainly not too long.
        let least = (-self.values[0]).max(0.0);
        let mut high = norm(self.gradient.iter().copied()) / radius;
        let mut low = high * 1e-20;
        let longest = self.damped(least, low);
        let reached = norm(longest.iter().copied());
        if high == 0.0 || reached < radius {
            return self.back(&self.along_lowest(longest, reached.min(radius), radius));
        }
        while high > low * (1.0 + 1e-12) {
            let middle = low * (high / low).sqrt();
            if middle <= low || middle >= high {
                break;
            }
            match norm(self.damped(least, middle).into_iter()) > radius {
                true => low = middle,
                false => high = middle,
            }
        }
        self.back(&self.damped(least, high))
    }

    /// The step with a damping of `least + more`, in the eigenvectors' coordinates.
    fn damped(&self, least: f64, more: f64) -> Vec<f64> {
        let part = |(value, g): (&f64, &f64)| if *g == 0.0 { 0.0 } else { -g / ((value + least) + more) };
        self.values.iter().zip(&self.gradient).map(part).collect()
    }

    /// The hard case: the gradient has nothing in the direction of the lowest curvature, and what
    /// else it has is used up within the ball; the rest of the way is in that direction.
    fn along_lowest(&self, mut step: Vec<f64>, reached: f64, radius: f64) -> Vec<f64> {
        let rest = (radius * radius - reached * reached).max(0.0).sqrt();
        step[0] += if self.gradient[0] > 0.0 { -rest } else { rest };
        step
    }

    /// A step in the coordinates of the unknowns.
    fn back(&self, step: &[f64]) -> Vec<f64> {
        let n = step.len();
        (0..n).map(|j| (0..n).map(|i| self.vectors.at(i, j) * step[i]).sum()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(gradient: &[f64], hessian: &Matrix, x: &[f64]) -> f64 {
        dot(gradient, x) + 0.5 * dot(&hessian.times(x), x)
    }

    /// No point of a fine net over the disc is lower: definite, indefinite, without a gradient, and
    /// the hard case, where the gradient has no part in the lowest direction.
    #[test]
    fn no_point_of_the_disc_is_lower() {
        let cases = [
            ([1.0, -0.5], [3.0, 1.0, 1.0, 2.0]),
            ([1.0, 0.2], [-2.0, 0.5, 0.5, 1.0]),
            ([0.0, 0.0], [1.0, 0.0, 0.0, -1.0]),
            ([0.5, 0.0], [1.0, 0.0, 0.0, -1.0]),
            ([0.5, 1e-14], [1.0, 0.0, 0.0, -1.0]),
            ([1.0, 1.0], [0.0, 0.0, 0.0, 0.0]),
            ([1e-3, 0.0], [2.0, 2.0, 2.0, 2.0]),
        ];
        for (gradient, hessian) in cases {
            let hessian = Matrix::new(2, 2, hessian.to_vec());
            for radius in [1e-3, 0.3, 1.0, 50.0] {
                let lowest = Quadratic::new(gradient.to_vec(), hessian.clone()).unwrap().lowest(radius);
                assert!(lowest.length <= radius * (1.0 + 1e-9), "{gradient:?} {hessian:?} {radius} {}", lowest.length);
                let found = value(&gradient, &hessian, &lowest.step);
                let size = 1e-9 * radius * (1.0 + radius);
                assert!((found + lowest.gain).abs() < size);
                for turn in 0..2000 {
                    let angle = f64::from(turn) * std::f64::consts::TAU / 2000.0;
                    for part in 0..=20 {
                        let length = radius * f64::from(part) / 20.0;
                        let there = value(&gradient, &hessian, &[length * angle.cos(), length * angle.sin()]);
                        assert!(found <= there + size, "{gradient:?} {hessian:?} {radius}: {found} but {there}");
                    }
                }
            }
        }
    }
}
