//! More of a tensor around it: repeated edges, mirrored and continued.

use super::attempt::{attempt, fits, listed, sound};
use crate::tensor::Tensor;

/// What is put around a tensor `a b c d`, as [`Tensor::pad_mode`] does it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode {
    /// A number.
    Constant(f64),
    /// The element at the edge: `a a | a b c d | d d`. PyTorch's `replicate`.
    Edge,
    /// A mirror at the edge's element, which is not repeated: `c b | a b c d | c b`.
    Reflect,
    /// A mirror beside the edge's element, which is: `b a | a b c d | d c`.
    Symmetric,
    /// The other end: `c d | a b c d | a b`. PyTorch's `circular`.
    Wrap,
}

impl Tensor {
    /// More elements around: for each axis, how many before and after. Widths may be larger than the axis, which is then
    /// mirrored or continued several times. NumPy's `pad`.
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::PadMode};
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!(x.pad_mode(&[(2, 1)], PadMode::Reflect).to_vec::<i32>()?, [3, 2, 1, 2, 3, 2]);
    /// assert_eq!(x.pad_mode(&[(1, 1)], PadMode::Wrap).to_vec::<i32>()?, [3, 1, 2, 3, 1]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn pad_mode(&self, widths: &[(usize, usize)], mode: PadMode) -> Tensor {
        attempt(|| {
            sound(&[self])?;
            if let PadMode::Constant(value) = mode {
                return Ok(self.pad_with(widths, value));
            }
            let message =
                || format!("{} pairs of widths for the {} axes of {:?}; give one per axis", widths.len(), self.rank(), self.shape());
            fits("pad_mode", widths.len() == self.rank(), message)?;
            let mut padded = self.clone();
            for (axis, &(before, after)) in widths.iter().enumerate().filter(|(_, width)| **width != (0, 0)) {
                let size = self.shape()[axis];
                fits("pad_mode", size > 0, || format!("axis {axis} of {:?} has no element to repeat", self.shape()))?;
                let length = before.checked_add(after).and_then(|more| more.checked_add(size));
                let places = (0..length.unwrap_or(0)).map(|at| place(at as i64 - before as i64, size as i64, mode));
                padded = padded.index_select(axis as isize, &listed("pad_mode", length, places)?);
            }
            Ok(padded)
        })
    }
}

/// Which of `size` elements stands at a place before 0, among them, or behind them.
fn place(at: i64, size: i64, mode: PadMode) -> i64 {
    match mode {
        PadMode::Reflect if size > 1 => {
            let at = at.rem_euclid(2 * (size - 1));
            at.min(2 * (size - 1) - at)
        }
        PadMode::Symmetric => {
            let at = at.rem_euclid(2 * size);
            at.min(2 * size - 1 - at)
        }
        PadMode::Wrap => at.rem_euclid(size),
        _ => at.clamp(0, size - 1),
    }
}
