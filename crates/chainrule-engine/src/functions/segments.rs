//! Elements put together by number: sums, products, extremes and means of segments, and the last one to be written.
//!
//! Sums, extremes and products are operations. For the derivative of a product, the numbers are sorted, so that a segment is a
//! run, and each run is folded into its last element in as many steps as a run has binary digits; nothing is divided, so that
//! it is right beside zeros, too. Of equal extremes all share the derivative. Numbers outside are errors when evaluated.

use super::attempt::{Attempt, attempt, fits, gather, positions, typed};
use super::sort::sorted_last;
use super::wide;
use crate::ops::movement::Axes;
use crate::ops::{Broadcast, Combine, CustomRule, ScatterAdd, ScatterReduce};
use crate::tensor::{DType, Result, Shape, Tensor};
use crate::transform::{custom_derivative, vjp};

/// What is made of several elements that go to one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduce {
    /// Their sum; 0 of none.
    Sum,
    /// Their product; 1 of none. Its derivatives are right beside zeros, too.
    Prod,
    /// Their mean; of none 0.
    Mean,
    /// The largest, NaN if there is one; of none the lowest number of the type (-inf). Equal ones share the derivative.
    Max,
    /// The smallest, NaN if there is one; of none the highest number of the type (inf). Equal ones share the derivative.
    Min,
}

macro_rules! segments {
    ($($(#[$doc:meta])* $method:ident $reduce:ident;)*) => {
        impl Tensor {$(
            $(#[$doc])*
            #[track_caller]
            pub fn $method(&self, segment: &Tensor, count: usize) -> Tensor {
                attempt(|| segmented(stringify!($method), self, segment, count, Reduce::$reduce))
            }
        )*}
    };
}

segments! {
    /// Of each of `count` segments the sum of its parts: `out[s, ..]` is that of all `self[i, ..]` with
    /// `segment[i] == s`, in any order of `segment` (`[n]`, i64 or i32). Of no parts it is 0.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let (x, segment) = (Tensor::from([1.0, 2.0, 4.0, 8.0]), Tensor::from([1, 0, 1, 1]));
    /// assert_eq!(x.segment_sum(&segment, 3).to_vec::<f32>()?, [2.0, 13.0, 0.0]);
    /// assert_eq!(x.segment_max(&segment, 2).to_vec::<f32>()?, [2.0, 8.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    segment_sum Sum;
    /// Of each segment the product of its parts, see [`Tensor::segment_sum`]. Of no parts it is 1.
    segment_prod Prod;
    /// Of each segment the mean of its parts, see [`Tensor::segment_sum`]. Of no parts it is 0.
    segment_mean Mean;
    /// Of each segment the largest parts, see [`Tensor::segment_sum`]. Of no parts it is the lowest number (-inf).
    segment_max Max;
    /// Of each segment the smallest parts, see [`Tensor::segment_sum`]. Of no parts it is the highest number (inf).
    segment_min Min;
}

fn segmented(name: &str, values: &Tensor, segment: &Tensor, count: usize, how: Reduce) -> Attempt {
    positions(name, segment)?;
    reducible(name, values, how)?;
    let parts = segment.rank() == 1 && values.rank() > 0 && values.shape()[0] == segment.shape()[0];
    fits(name, parts, || format!("a segment for each part along axis 0 of {:?}, not {:?}", values.shape(), segment.shape()))?;
    Ok(reduced(0, values, segment, count, how))
}

/// Fails unless the elements can be put together in this way.
pub(super) fn reducible(name: &str, values: &Tensor, how: Reduce) -> Attempt<()> {
    match how {
        Reduce::Mean => typed(name, values, "floats for a mean", DType::is_float),
        _ => typed(name, values, "numbers", |dtype| dtype != DType::Bool),
    }
}

/// `out[batch.., index[batch.., i], rest..]` of all `values[batch.., i, rest..]`, where `index` is `[batch.., n]`.
pub(super) fn reduced(batch: usize, values: &Tensor, index: &Tensor, size: usize, how: Reduce) -> Tensor {
    match how {
        Reduce::Sum => added(batch, values, index, size),
        Reduce::Mean => {
            let counts = added(batch, &Tensor::full(index.shape(), 1.0, DType::I64), index, size);
            let counts = counts.maximum(&counts.ones_like());
            let sum = added(batch, &wide(values), index, size);
            let counts = repeated(&counts.cast(sum.dtype()), sum.shape());
            (sum / counts).cast(values.dtype())
        }
        Reduce::Prod => {
            let product = combined(batch, values, index, size, Combine::Product);
            if !values.dtype().is_float() {
                return product;
            }
            custom_derivative(&product, &[values, index], Factors { batch, size })
        }
        Reduce::Max => combined(batch, values, index, size, Combine::Maximum),
        Reduce::Min => combined(batch, values, index, size, Combine::Minimum),
    }
}

pub(super) fn added(batch: usize, values: &Tensor, index: &Tensor, size: usize) -> Tensor {
    Tensor::record(ScatterAdd { batch, size }, [values.clone(), index.clone()])
}

fn combined(batch: usize, values: &Tensor, index: &Tensor, size: usize, how: Combine) -> Tensor {
    Tensor::record(ScatterReduce { batch, size, how }, [values.clone(), index.clone()])
}

/// The derivative of products of segments: that of the same products, put together step by step.
struct Factors {
    batch: usize,
    size: usize,
}

impl CustomRule for Factors {
    fn name(&self) -> &str {
        "segment_prod"
    }
    fn vjp(&self, inputs: &[Tensor], _: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (values, index) = (&inputs[0], &inputs[1]);
        let product = Runs::new(self.batch, index, self.size).folded(values, 1.0, |a, b| a * b);
        let of_values = vjp(&[&product], &[cotangent], &[values])?.remove(0);
        Ok(vec![Some(of_values), None])
    }
}

/// Segments as runs of sorted numbers.
pub(super) struct Runs {
    batch: usize,
    size: usize,
    /// The positions that sort the numbers.
    order: Tensor,
    /// The numbers, sorted.
    sorted: Tensor,
    /// Of each segment, the place after the end of its run; 0 of an empty one.
    end: Tensor,
}

impl Runs {
    /// Of numbers `[batch.., n]` below `size`.
    pub fn new(batch: usize, index: &Tensor, size: usize) -> Runs {
        let (sorted, order) = sorted_last(index, false);
        let n = index.shape()[batch] as isize;
        let end = if n == 0 {
            Tensor::full(index.shape()[..batch].iter().copied().chain([size]).collect::<Shape>(), 0.0, DType::I64)
        } else {
            let ends = sorted.slice(-1, ..n - 1).not_equal(&sorted.slice(-1, 1..n));
            let last = Tensor::full(&sorted.slice(-1, n - 1..).ty().shape, 1.0, DType::Bool);
            let ends = Tensor::concat(&[&ends, &last], -1);
            let after = (Tensor::arange(n as usize, DType::I64) + 1).broadcast_to(sorted.shape());
            added(batch, &ends.select(&after, &after.zeros_like()), &sorted, size)
        };
        Runs { batch, size, order, sorted, end }
    }

    /// Of each segment, the number of the last element that came to it, and whether there is one.
    pub fn last(&self) -> (Tensor, Tensor) {
        let some = self.end.not_equal(&self.end.zeros_like());
        (gather(self.batch, &self.order, &self.at_end()), some)
    }

    fn at_end(&self) -> Tensor {
        (&self.end - 1).maximum(&self.end.zeros_like())
    }

    /// Each run of `values` folded into one element, `none` of an empty one.
    fn folded(&self, values: &Tensor, none: f64, fold: impl Fn(&Tensor, &Tensor) -> Tensor) -> Tensor {
        let batch = self.batch;
        let shape: Shape =
            values.shape()[..batch].iter().copied().chain([self.size]).chain(values.shape()[batch + 1..].iter().copied()).collect();
        let n = values.shape()[batch];
        let empty = Tensor::full(shape, none, values.dtype());
        if n == 0 || empty.is_empty() {
            return empty;
        }
        let mut folds = gather(batch, values, &self.order);
        let axis = batch as isize;
        let mut step = 1;
        // Each round doubles how many elements before an element have been taken in.
        while step < n {
            let (from, to) = (..(n - step) as isize, step as isize..);
            let same = self.sorted.slice(axis, from).equal(&self.sorted.slice(axis, to.clone()));
            let (before, own) = (folds.slice(axis, from), folds.slice(axis, to));
            let joined = repeated(&same, own.shape()).select(&fold(&before, &own), &own);
            folds = Tensor::concat(&[&folds.slice(axis, ..step as isize), &joined], axis);
            step *= 2;
        }
        let some = self.end.not_equal(&self.end.zeros_like());
        repeated(&some, empty.shape()).select(&gather(batch, &folds, &self.at_end()), &empty)
    }
}

/// A tensor repeated along the last axes that it lacks.
pub(super) fn repeated(x: &Tensor, shape: &[usize]) -> Tensor {
    let axes: Axes = (x.rank()..shape.len()).collect();
    if axes.is_empty() {
        return x.clone();
    }
    let sizes = axes.iter().map(|&axis| shape[axis]).collect();
    Tensor::record(Broadcast { axes, sizes }, [x.clone()])
}
