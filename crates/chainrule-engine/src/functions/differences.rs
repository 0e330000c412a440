//! Differences, slopes and integrals of samples along an axis.

use super::attempt::{Attempt, alike, attempt, axis_of, fits, floats, resized, typed};
use crate::tensor::{DType, Shape, Tensor};

/// Where samples lie.
#[derive(Clone, Copy, Debug)]
pub enum Samples<'a> {
    /// At equal distances.
    Every(f64),
    /// At these places, one for each sample of the axis, all different.
    At(&'a Tensor),
}

impl Tensor {
    /// Differences of neighbours along an axis, taken `order` times: each time the axis is shorter by 1. NumPy's `diff`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// assert_eq!(Tensor::from([1, 4, 9, 16]).diff(1, 0).to_vec::<i32>()?, [3, 5, 7]);
    /// assert_eq!(Tensor::from([1, 4, 9, 16]).diff(2, 0).to_vec::<i32>()?, [2, 2]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn diff(&self, order: usize, axis: isize) -> Tensor {
        attempt(|| {
            let at = axis_of("diff", self, axis)?;
            let mut x = self.clone();
            if order >= self.shape()[at] {
                return Ok(self.slice(axis, ..0));
            }
            for _ in 0..order {
                let (after, before) = (x.slice(axis, 1..), x.slice(axis, ..-1));
                // Of truths, whether they differ.
                x = if x.dtype() == DType::Bool { after.not_equal(&before) } else { after - before };
            }
            Ok(x)
        })
    }

    /// The slope of samples along an axis, by differences that are exact for parabolas within and for lines at both ends.
    /// NumPy's `gradient`, for places that are not evenly spaced, too (the weights of Fornberg, "Generation of Finite
    /// Difference Formulas on Arbitrarily Spaced Grids", 1988).
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::Samples};
    /// let x = Tensor::from([1.0, 2.0, 4.0, 7.0]);
    /// assert_eq!(x.slopes(Samples::Every(1.0), 0).to_vec::<f32>()?, [1.0, 1.5, 2.5, 3.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn slopes(&self, samples: Samples<'_>, axis: isize) -> Tensor {
        attempt(|| {
            floats("slopes", self)?;
            let at = axis_of("slopes", self, axis)?;
            let size = self.shape()[at];
            fits("slopes", size >= 2, || format!("axis {at} of {:?} has fewer than 2 samples", self.shape()))?;
            let widths = widths("slopes", self, samples, at)?;
            let steps = self.diff(1, axis) / &widths;
            let (first, last) = (steps.slice(axis, ..1), steps.slice(axis, -1..));
            // Within, the two slopes beside a sample, each weighted by the distance to the other side.
            let (left, right) = (steps.slice(axis, ..-1), steps.slice(axis, 1..));
            let within = match samples {
                Samples::Every(_) => (left + right) / 2.0,
                Samples::At(_) => {
                    let (before, after) = (widths.slice(axis, ..-1), widths.slice(axis, 1..));
                    (left * &after + right * &before) / (before + after)
                }
            };
            Ok(Tensor::concat(&[&first, &within, &last], axis))
        })
    }

    /// The integral of samples along an axis, which is removed, by the trapezoidal rule. NumPy's `trapezoid`.
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::Samples};
    /// let (y, x) = (Tensor::from([1.0, 2.0, 3.0]), Tensor::from([4.0, 6.0, 8.0]));
    /// assert_eq!(y.trapezoid(Samples::Every(1.0), 0).item()?, 4.0);
    /// assert_eq!(y.trapezoid(Samples::At(&x), 0).item()?, 8.0);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn trapezoid(&self, samples: Samples<'_>, axis: isize) -> Tensor {
        attempt(|| {
            let at = axis_of("trapezoid", self, axis)?;
            Ok(areas("trapezoid", self, samples, at)?.sum_over(&[axis]))
        })
    }

    /// The integral from the first sample to each later one along an axis, which is shorter by 1. SciPy's
    /// `cumulative_trapezoid`.
    #[track_caller]
    pub fn cumulative_trapezoid(&self, samples: Samples<'_>, axis: isize) -> Tensor {
        attempt(|| {
            let at = axis_of("cumulative_trapezoid", self, axis)?;
            Ok(areas("cumulative_trapezoid", self, samples, at)?.cumsum(axis))
        })
    }
}

/// The area between each sample and the next.
fn areas(name: &str, y: &Tensor, samples: Samples<'_>, at: usize) -> Attempt {
    floats(name, y)?;
    let axis = at as isize;
    let widths = widths(name, y, samples, at)?;
    Ok((y.slice(axis, ..-1) + y.slice(axis, 1..)) / 2.0 * widths)
}

/// The distance from each sample to the next, repeated along the other axes.
fn widths(name: &str, y: &Tensor, samples: Samples<'_>, at: usize) -> Attempt {
    let shape = resized(y.shape(), at, y.shape()[at].saturating_sub(1));
    match samples {
        Samples::Every(width) => Ok(Tensor::full(shape, width, y.dtype())),
        Samples::At(places) => {
            typed(name, places, "places that are floats", DType::is_float)?;
            alike(name, y, places)?;
            let whole = places.shape() == y.shape();
            let fit = whole || (places.rank() == 1 && places.len() == y.shape()[at]);
            fits(name, fit, || format!("places {:?} for axis {at} of {:?}", places.shape(), y.shape()))?;
            if whole {
                return Ok(places.diff(1, at as isize));
            }
            let mut own: Shape = y.shape().iter().map(|_| 1).collect();
            own[at] = shape[at];
            Ok(places.diff(1, 0).reshape(own).broadcast_to(shape))
        }
    }
}
