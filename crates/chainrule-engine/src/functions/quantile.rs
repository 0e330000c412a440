//! Medians, quantiles and percentiles: numbers at a place of the sorted elements, or between two of them.
//!
//! A NaN among the elements makes the result NaN, as in NumPy. The derivative goes to the elements that the result lies
//! between, by their weights; of equal elements to those whose place it is.

use super::attempt::{Attempt, allowed, attempt, attempt_two, axes_of, axis_of, fits, floats, nan};
use super::sort::sorted_last;
use super::{kept_shape, wide};
use crate::ops::movement::Axes;
use crate::tensor::{Shape, Tensor};

/// What a quantile is that lies between two elements `a <= b`, a part `t` of the way from one to the other: the names
/// and meanings of NumPy's methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Between {
    /// `a + (b - a) t`: method 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages" (1996).
    #[default]
    Linear,
    /// `a`.
    Lower,
    /// `b`.
    Higher,
    /// The nearer one; in the middle, the one at an even place.
    Nearest,
    /// `(a + b) / 2`.
    Midpoint,
}

impl Tensor {
    /// The median of all elements, a scalar: the one in the middle, or the mean of the two.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([7.0, 1.0, 3.0, 4.0]);
    /// assert_eq!(x.median().item()?, 3.5);
    /// assert_eq!(x.median().grad(&[&x])?[0].to_vec::<f32>()?, [0.0, 0.0, 0.5, 0.5]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn median(&self) -> Tensor {
        attempt(|| median(self, &all(self), false))
    }

    /// The median along the axes, which are removed.
    #[track_caller]
    pub fn median_over(&self, axes: &[isize]) -> Tensor {
        attempt(|| median(self, axes, false))
    }

    /// The median along the axes, which are kept with size 1.
    #[track_caller]
    pub fn median_keep(&self, axes: &[isize]) -> Tensor {
        attempt(|| median(self, axes, true))
    }

    /// The median along an axis, which is removed, and its position (i64), as PyTorch has it: of an even number of
    /// elements the lower one of the two in the middle, so that it is an element. Of integers, too.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let (value, position) = Tensor::from([7, 1, 3, 4]).lower_median(0);
    /// assert_eq!((value.item()?, position.item()?), (3.0, 2.0));
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn lower_median(&self, axis: isize) -> (Tensor, Tensor) {
        attempt_two(|| {
            let at = axis_of("lower_median", self, axis)?;
            let size = self.shape()[at];
            fits("lower_median", size > 0, || format!("axis {at} of {:?} has no element", self.shape()))?;
            let (value, position) = self.kthvalue(size.div_ceil(2), axis);
            if !self.dtype().is_float() {
                return Ok((value, position));
            }
            // NaN, if there is one, is the last of all.
            let (last, where_last) = self.kthvalue(size, axis);
            let found = nan(&last);
            Ok((found.select(&last, &value), found.select(&where_last, &position)))
        })
    }

    /// The number below which a part `q`, from 0 to 1, of all elements lies, a scalar.
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::Between};
    /// let x = Tensor::from([0.0, 10.0, 20.0, 30.0]);
    /// assert_eq!(x.quantile(0.5, Between::Linear).item()?, 15.0);
    /// assert_eq!(x.quantile(0.5, Between::Lower).item()?, 10.0);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn quantile(&self, q: f64, between: Between) -> Tensor {
        attempt(|| Ok(quantiles("quantile", self, &[q], &all(self), between, false)?.reshape(())))
    }

    /// Several quantiles along the axes, which are removed: one per entry of a new first axis.
    #[track_caller]
    pub fn quantiles_over(&self, q: &[f64], axes: &[isize], between: Between) -> Tensor {
        attempt(|| quantiles("quantile", self, q, axes, between, false))
    }

    /// Several quantiles along the axes, which are kept with size 1: one per entry of a new first axis.
    #[track_caller]
    pub fn quantiles_keep(&self, q: &[f64], axes: &[isize], between: Between) -> Tensor {
        attempt(|| quantiles("quantile", self, q, axes, between, true))
    }

    /// Several percentiles, from 0 to 100, along the axes, which are removed: one per entry of a new first axis.
    #[track_caller]
    pub fn percentiles_over(&self, percent: &[f64], axes: &[isize], between: Between) -> Tensor {
        let q: Vec<f64> = percent.iter().map(|percent| percent / 100.0).collect();
        attempt(|| quantiles("percentile", self, &q, axes, between, false))
    }
}

fn all(x: &Tensor) -> Vec<isize> {
    (0..x.rank() as isize).collect()
}

fn median(x: &Tensor, axes: &[isize], keep: bool) -> Attempt {
    let found = quantiles("median", x, &[0.5], axes, Between::Midpoint, keep)?;
    Ok(found.squeeze(0))
}

fn quantiles(name: &str, x: &Tensor, q: &[f64], axes: &[isize], between: Between, keep: bool) -> Attempt {
    floats(name, x)?;
    allowed(name, q.iter().all(|q| (0.0..=1.0).contains(q)), || format!("{q:?}: a part is from 0 to 1 (a percentage from 0 to 100)"))?;
    let axes = axes_of(name, x, axes)?;
    let (rows, mut shape) = rows(x, &axes);
    let size = *rows.shape().last().unwrap_or(&1);
    fits(name, size > 0, || format!("axes {axes:?} of {:?} have no elements", x.shape()))?;
    let (sorted, _) = sorted_last(&rows, false);
    let last = sorted.index(-1, -1);
    if keep {
        shape = kept_shape(x.shape(), &axes);
    }
    let found: Vec<Tensor> = q
        .iter()
        .map(|q| {
            let value = at_place(&sorted, q * (size - 1) as f64, between);
            nan(&last).select(&last, &value).reshape(&shape)
        })
        .collect();
    if found.is_empty() {
        let none: Shape = std::iter::once(0).chain(shape).collect();
        return Ok(Tensor::full(none, 0.0, x.dtype()));
    }
    Ok(Tensor::stack(&found.iter().collect::<Vec<_>>(), 0))
}

/// The axes gathered into one last one, and the shape of the others.
fn rows(x: &Tensor, axes: &Axes) -> (Tensor, Shape) {
    let kept: Axes = (0..x.rank()).filter(|axis| !axes.contains(axis)).collect();
    let shape: Shape = kept.iter().map(|&axis| x.shape()[axis]).collect();
    let size = axes.iter().map(|&axis| x.shape()[axis]).product();
    let order: Axes = kept.iter().chain(axes).copied().collect();
    let rows: Shape = shape.iter().copied().chain([size]).collect();
    (x.permute(order).reshape(rows), shape)
}

/// What lies at a place of the last axis, counted from 0.
fn at_place(sorted: &Tensor, place: f64, between: Between) -> Tensor {
    let below = place.floor();
    let part = match between {
        _ if place == below => 0.0,
        Between::Linear => place - below,
        Between::Lower => 0.0,
        Between::Higher => 1.0,
        Between::Nearest => place.round_ties_even() - below,
        Between::Midpoint => 0.5,
    };
    let element = |place: f64| sorted.index(-1, place as isize);
    match part {
        0.0 => element(below),
        1.0 => element(below + 1.0),
        part => {
            let (a, b) = (wide(&element(below)), wide(&element(below + 1.0)));
            // Two infinities of one sign are that infinity, and not what lies between.
            let way = &b - &a;
            let way = (a.equal(&b) & nan(&way)).select(&way.zeros_like(), &way);
            (a + way * part).cast(sorted.dtype())
        }
    }
}
