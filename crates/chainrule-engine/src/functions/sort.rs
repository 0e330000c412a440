//! Sorting along an axis, and what is picked from a sorted one: the largest few, the k-th, and where a number
//! would go.
//!
//! The positions come from one operation, which has no derivative; the values are gathered by them, and have the
//! derivatives of a gather, of every order. Of equal elements the first comes first, in either direction, and has the
//! derivative of its place. NaN is larger than any number, as in NumPy and PyTorch.

use super::attempt::{Attempt, alike, allowed, attempt, attempt_two, axis_of, fits, from_last, gather, nan, sound, to_last};
use crate::ops::ArgSort;
use crate::tensor::{DType, Tensor};

impl Tensor {
    /// The elements along an axis from the smallest to the largest.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([3.0, f64::NAN, 1.0, 2.0]);
    /// let y = x.sort(0);
    /// assert_eq!(y.to_vec::<f32>()?[..3], [1.0, 2.0, 3.0]);
    /// let weighted = (y.at(..3) * Tensor::from([10.0, 20.0, 30.0])).sum();
    /// assert_eq!(weighted.grad(&[&x])?[0].to_vec::<f32>()?, [30.0, 0.0, 10.0, 20.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn sort(&self, axis: isize) -> Tensor {
        attempt(|| sorted("sort", self, axis, false).map(|(values, _)| values))
    }

    /// The elements along an axis from the largest to the smallest; NaN comes first.
    #[track_caller]
    pub fn sort_descending(&self, axis: isize) -> Tensor {
        attempt(|| sorted("sort_descending", self, axis, true).map(|(values, _)| values))
    }

    /// The elements along the first axis from the smallest to the largest, as PyTorch's `msort`.
    #[track_caller]
    pub fn msort(&self) -> Tensor {
        attempt(|| sorted("msort", self, 0, false).map(|(values, _)| values))
    }

    /// The positions (i64) that sort an axis from the smallest to the largest: `x.take_along_axis(&x.argsort(a), a)`
    /// is `x.sort(a)`. Has no derivative.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[2, 1, 2], [0, 5, -3]]);
    /// assert_eq!(x.argsort(1).to_vec2::<i64>()?, [[1, 0, 2], [2, 0, 1]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn argsort(&self, axis: isize) -> Tensor {
        attempt(|| order("argsort", self, axis, false))
    }

    /// The positions (i64) that sort an axis from the largest to the smallest; of equal elements still the first
    /// comes first.
    #[track_caller]
    pub fn argsort_descending(&self, axis: isize) -> Tensor {
        attempt(|| order("argsort_descending", self, axis, true))
    }

    /// The `k` largest elements along an axis, the largest first, and their positions (i64); of equal ones the first.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let (values, positions) = Tensor::from([5, 1, 9, 7]).top_k(2, 0);
    /// assert_eq!(values.to_vec::<i32>()?, [9, 7]);
    /// assert_eq!(positions.to_vec::<i64>()?, [2, 3]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn top_k(&self, k: usize, axis: isize) -> (Tensor, Tensor) {
        attempt_two(|| first_few("top_k", self, k, axis, true))
    }

    /// The `k` smallest elements along an axis, the smallest first, and their positions (i64); of equal ones the first.
    #[track_caller]
    pub fn bottom_k(&self, k: usize, axis: isize) -> (Tensor, Tensor) {
        attempt_two(|| first_few("bottom_k", self, k, axis, false))
    }

    /// The `k`-th smallest element along an axis, which is removed, and its position (i64). `k` counts from 1, as in
    /// PyTorch.
    #[track_caller]
    pub fn kthvalue(&self, k: usize, axis: isize) -> (Tensor, Tensor) {
        attempt_two(|| {
            let at = axis_of("kthvalue", self, axis)?;
            let size = self.shape()[at];
            allowed("kthvalue", (1..=size).contains(&k), || format!("k is {k}, and counts from 1 to the {size} elements of axis {at}"))?;
            let (values, positions) = sorted("kthvalue", self, axis, false)?;
            Ok((values.index(at as isize, k as isize - 1), positions.index(at as isize, k as isize - 1)))
        })
    }

    /// How many elements of this tensor, which is sorted along its last axis, come before each of `values`: where it
    /// would be inserted, before its equals or (`right`) after them. All but the last axis of this tensor are the
    /// first of `values`. Positions are i64, and have no derivative. NumPy's `searchsorted`; of what is not sorted
    /// the result means nothing.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let (edges, x) = (Tensor::from([1.0, 2.0, 2.0, 5.0]), Tensor::from([[2.0, 9.0], [0.0, 3.0]]));
    /// assert_eq!(edges.searchsorted(&x, false).to_vec2::<i64>()?, [[1, 4], [0, 3]]);
    /// assert_eq!(edges.searchsorted(&x, true).to_vec2::<i64>()?, [[3, 4], [0, 3]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn searchsorted(&self, values: &Tensor, right: bool) -> Tensor {
        attempt(|| searched("searchsorted", self, values, right))
    }

    /// The number of the bin of each element: `i` where `bins[i - 1] <= x < bins[i]`, or (`right`)
    /// `bins[i - 1] < x <= bins[i]`; `bins` is sorted. NumPy's `digitize`.
    #[track_caller]
    pub fn digitize(&self, bins: &Tensor, right: bool) -> Tensor {
        attempt(|| {
            sound(&[self, bins])?;
            fits("digitize", bins.rank() == 1, || format!("bins have one axis, these are {:?}", bins.shape()))?;
            searched("digitize", bins, self, !right)
        })
    }
}

/// The positions along the last axis.
pub(super) fn last_order(x: &Tensor, descending: bool) -> Tensor {
    Tensor::record(ArgSort { descending, first: None }, [x.clone()])
}

/// Sorted along the last axis, with the positions.
pub(super) fn sorted_last(x: &Tensor, descending: bool) -> (Tensor, Tensor) {
    let order = last_order(x, descending);
    (gather(x.rank() - 1, x, &order), order)
}

fn order(name: &str, x: &Tensor, axis: isize, descending: bool) -> Attempt {
    let axis = axis_of(name, x, axis)?;
    Ok(from_last(&last_order(&to_last(x, axis), descending), axis))
}

fn sorted(name: &str, x: &Tensor, axis: isize, descending: bool) -> Attempt<(Tensor, Tensor)> {
    let axis = axis_of(name, x, axis)?;
    let (values, order) = sorted_last(&to_last(x, axis), descending);
    Ok((from_last(&values, axis), from_last(&order, axis)))
}

fn first_few(name: &str, x: &Tensor, k: usize, axis: isize, descending: bool) -> Attempt<(Tensor, Tensor)> {
    let at = axis_of(name, x, axis)?;
    let size = x.shape()[at];
    allowed(name, k <= size, || format!("k is {k}, and axis {at} of {:?} has {size} elements", x.shape()))?;
    let x = to_last(x, at);
    let order = Tensor::record(ArgSort { descending, first: Some(k) }, [x.clone()]);
    let values = gather(x.rank() - 1, &x, &order);
    Ok((from_last(&values, at), from_last(&order, at)))
}

/// A binary search, the same number of steps for every value.
fn searched(name: &str, sorted: &Tensor, values: &Tensor, right: bool) -> Attempt {
    alike(name, sorted, values)?;
    fits(name, sorted.rank() > 0, || "a scalar has no axis to search along".into())?;
    let batch = sorted.rank() - 1;
    let shared = values.rank() >= batch && values.shape()[..batch] == sorted.shape()[..batch];
    fits(name, shared, || format!("values {:?} do not begin with the axes of {:?} other than the last", values.shape(), sorted.shape()))?;
    let size = sorted.shape()[batch];
    let mut found = Tensor::full(values.shape(), 0.0, DType::I64);
    if size == 0 || values.is_empty() {
        return Ok(found);
    }
    // Whether an element comes before a value; NaN comes last.
    let less = |a: &Tensor, b: &Tensor| if a.dtype().is_float() { a.less(b) | (nan(b) & !nan(a)) } else { a.less(b) };
    let before = |element: &Tensor| if right { !less(values, element) } else { less(element, values) };
    for step in (0..usize::BITS - size.leading_zeros()).rev().map(|bit| 1_usize << bit) {
        let next = &found + step as f64;
        let last = Tensor::full(values.shape(), size as f64, DType::I64);
        let element = gather(batch, sorted, &(next.minimum(&last) - 1));
        found = (next.less_equal(&last) & before(&element)).select(&next, &found);
    }
    Ok(found)
}
