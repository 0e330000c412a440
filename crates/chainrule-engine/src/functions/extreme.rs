//! The largest and smallest elements along an axis with their places.

use super::{misfit, recorded, resolve_axes};
use crate::ops::Gather;
use crate::ops::movement::Axes;
use crate::tensor::{DType, Tensor};

impl Tensor {
    /// The largest element along an axis, which is removed, and where it stands (i64): of equal ones the first. NaN counts as the
    /// largest. The derivative goes to where it stands, where that of [`Tensor::max_over`] is shared.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let (values, indices) = Tensor::from([[1.0, 5.0, 5.0], [9.0, 2.0, 0.0]]).max_with_index(1);
    /// assert_eq!(values.to_vec::<f32>()?, [5.0, 9.0]);
    /// assert_eq!(indices.to_vec::<i64>()?, [1, 0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn max_with_index(&self, axis: isize) -> (Tensor, Tensor) {
        with_index("max_with_index", self, axis, &Tensor::argmax)
    }

    /// The smallest element along an axis and where it stands; see [`Tensor::max_with_index`]. NaN counts as the smallest.
    #[track_caller]
    pub fn min_with_index(&self, axis: isize) -> (Tensor, Tensor) {
        with_index("min_with_index", self, axis, &Tensor::argmin)
    }
}

#[track_caller]
fn with_index(name: &str, x: &Tensor, axis: isize, find: &dyn Fn(&Tensor, isize) -> Tensor) -> (Tensor, Tensor) {
    let axis = match resolve_axes(name, x, &[axis]) {
        Ok(axes) => axes[0],
        Err(mistake) => return (mistake.clone(), mistake),
    };
    if x.shape()[axis] == 0 {
        let mistake = misfit(name, format!("axis {axis} of {:?} has no element", x.shape()));
        return (mistake.clone(), mistake);
    }
    recorded(|| {
        let index = find(x, axis as isize);
        let picked = pick(x, &index.unsqueeze(axis as isize), axis).squeeze(axis as isize);
        (picked, index)
    })
}

/// `out[.., i, ..] = x[.., index[.., i, ..], ..]` along an axis; all other axes are alike.
pub(super) fn pick(x: &Tensor, index: &Tensor, axis: usize) -> Tensor {
    let last: Axes = (0..x.rank()).filter(|&other| other != axis).chain([axis]).collect();
    let outer: usize = last.iter().take(x.rank() - 1).map(|&other| x.shape()[other]).product();
    let rows = |t: &Tensor| t.permute(&last).reshape([outer, t.shape()[axis]]);
    let picked = Tensor::record(Gather { batch: 1 }, [rows(x), rows(index)]);
    let mut back: Axes = (0..x.rank()).collect();
    last.iter().enumerate().for_each(|(at, &from)| back[from] = at);
    let shape: Axes = last.iter().map(|&other| index.shape()[other]).collect();
    picked.reshape(shape).permute(back)
}

/// The numbers in the opposite order, which integers do without overflow by `-1 - x`.
pub(super) fn turned(x: &Tensor) -> Tensor {
    match x.dtype() {
        DType::U8 => 255 - x,
        DType::I64 | DType::I32 => -1 - x,
        _ => -x,
    }
}
