//! Parts of an axis by number: NumPy's `take` with its three ways to read a number outside.

use super::attempt::{attempt, axis_of, from_start, positions, sound, whole};
use crate::tensor::Tensor;

/// What a position outside an axis of `n` elements means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Outside {
    /// From -1 to -n it counts from the end; any other is an error when it is evaluated.
    #[default]
    Raise,
    /// It goes round: -1 is the last, `n` the first.
    Wrap,
    /// The nearest there is: below 0 the first (-1, too), from `n` the last.
    Clip,
}

impl Tensor {
    /// The parts of an axis that an integer tensor names: its axes take the place of `axis`. NumPy's `take`.
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::Outside};
    /// let (x, index) = (Tensor::from([10, 20, 30]), Tensor::from([-1, 4]));
    /// assert_eq!(x.take(&index, 0, Outside::Wrap).to_vec::<i32>()?, [30, 20]);
    /// assert_eq!(x.take(&index, 0, Outside::Clip).to_vec::<i32>()?, [10, 30]);
    /// assert!(x.take(&index, 0, Outside::Raise).eval().is_err());
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn take(&self, index: &Tensor, axis: isize, outside: Outside) -> Tensor {
        attempt(|| {
            let at = axis_of("take", self, axis)?;
            positions("take", index)?;
            let size = self.shape()[at];
            let inside = match outside {
                Outside::Raise => from_start(index, size),
                // Of an empty axis there is nothing to take, and a position is an error.
                Outside::Wrap => index % whole(size.max(1), index),
                Outside::Clip => index.minimum(&(whole(size.max(1), index) - 1)).maximum(&index.zeros_like()),
            };
            Ok(self.index_select(axis, &inside))
        })
    }

    /// As [`Tensor::take`], of the flattened tensor: the result has the shape of the index.
    #[track_caller]
    pub fn take_flat(&self, index: &Tensor, outside: Outside) -> Tensor {
        attempt(|| {
            sound(&[self])?;
            positions("take_flat", index)?;
            Ok(self.flatten().take(index, 0, outside))
        })
    }
}
