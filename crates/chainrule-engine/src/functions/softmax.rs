//! Softmax and its relatives, shifted by the maximum so that nothing overflows.
//!
//! The maximum is detached: shifting by any constant leaves value and derivatives of every order
//! as they are, and the derivative of the shift would cancel. An element of -inf is masked: it
//! has weight 0 and, where others of its row are finite, passes no NaN. A row of -inf alone has
//! softmax 0 everywhere, log-sum-exp -inf, and derivative 0.

use super::{max, misfit, of_wide_floats, resolve_axes, spread, sum};
use crate::ops::movement::Axes;
use crate::tensor::{DType, Tensor};

/// Added to sums of exponentials. A row that has a finite element has a sum of at least 1, which
/// this leaves as it is to the last bit; in a row that has none it keeps 0 / 0 away.
const NEXT_TO_NOTHING: f64 = 1e-20;

impl Tensor {
    /// `e^x` divided by its sum along an axis. A row of -inf alone gives zeros.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from_slice(&[1000.0f64, 1000.0, f64::NEG_INFINITY], [3]);
    /// assert_eq!(x.softmax(0).to_vec::<f64>()?, [0.5, 0.5, 0.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn softmax(&self, axis: isize) -> Tensor {
        along("softmax", self, axis, |x, axes| {
            let row = Shifted::new(x, axes);
            // A division for each row, not for each element: next to exponentials those count.
            &row.exponentials * spread(&(1.0 / &row.sum), axes, x.shape())
        })
    }

    /// [`Tensor::softmax`] of `-x`.
    #[track_caller]
    pub fn softmin(&self, axis: isize) -> Tensor {
        along("softmin", self, axis, |x, _| (-x).softmax(axis))
    }

    /// The logarithm of [`Tensor::softmax`], without underflow. A row of -inf alone gives -inf.
    #[track_caller]
    pub fn log_softmax(&self, axis: isize) -> Tensor {
        along("log_softmax", self, axis, |x, axes| {
            let row = Shifted::new(x, axes);
            &row.x - spread(&row.sum.log(), axes, x.shape())
        })
    }
}

#[track_caller]
fn along(name: &str, x: &Tensor, axis: isize, body: impl FnOnce(&Tensor, &Axes) -> Tensor) -> Tensor {
    match resolve_axes(name, x, &[axis]) {
        Err(mistake) => mistake,
        // Nothing to shift by, and nothing to compute.
        Ok(_) if x.is_empty() && x.dtype().is_float() => x.clone(),
        Ok(axes) => of_wide_floats(name, x, |x| body(x, &axes)),
    }
}

/// Rows shifted by their maximum.
pub(super) struct Shifted {
    /// The maximum of each row, detached.
    pub max: Tensor,
    /// `x` less its row's maximum.
    pub x: Tensor,
    /// `e` to the power of that.
    pub exponentials: Tensor,
    /// Their sum, at least 1 unless the row is -inf alone.
    pub sum: Tensor,
}

impl Shifted {
    /// Shifts the rows that lie along `axes`.
    pub fn new(x: &Tensor, axes: &Axes) -> Shifted {
        let max = max(x, axes).detach();
        // -inf less -inf would be NaN: a row of nothing else is shifted by a finite number.
        let shift = max.maximum(&bound(&max, -1.0));
        let shifted = x - spread(&shift, axes, x.shape());
        let exponentials = shifted.exp();
        let sum = sum(&exponentials, axes) + NEXT_TO_NOTHING;
        Shifted { max, x: shifted, exponentials, sum }
    }
}

/// The largest finite number, times `sign`.
fn bound(like: &Tensor, sign: f64) -> Tensor {
    let largest = if like.dtype() == DType::F64 { f64::MAX } else { f32::MAX as f64 };
    Tensor::full(like.shape(), sign * largest, like.dtype())
}

/// `log(sum(exp(x)))` along axes, to full precision also where the result is next to 0.
///
/// With `z = x - max`, the sum of `e^z` is 1 + r, where r holds all but one of the maxima. Summing
/// `e^z - w`, where w shares 1 among the maxima, gives r itself, and `log1p(r)` loses none of it.
pub(super) fn logsumexp(x: &Tensor, axes: &Axes) -> Tensor {
    if super::count(x, axes) == 0 {
        return misfit("logsumexp", format!("axes {axes:?} of {:?} have no elements", x.shape()));
    }
    let max = max(x, axes).detach();
    let shift = max.maximum(&bound(&max, -1.0)).minimum(&bound(&max, 1.0));
    let shifted = x - spread(&shift, axes, x.shape());
    let hit = shifted.equal(&shifted.zeros_like()).cast(x.dtype());
    let hits = sum(&hit, axes) + NEXT_TO_NOTHING;
    let share = (hit / spread(&hits, axes, x.shape())).detach();
    sum(&(shifted.exp() - share), axes).log1p() + max
}
