//! Writing at positions: along one axis ([`Tensor::put_along_axis`], [`Tensor::scatter_reduce`], the `index_` family),
//! at tuples of positions ([`Tensor::gather_nd`]), and bags of an embedding.
//!
//! Nothing is changed: each function returns a new tensor. Where several elements are written to one place, the last one
//! stays, and what was written over has derivative 0; where they are reduced, see [`Reduce`]. Positions may be
//! negative, counted from the end; one outside is an error when it is evaluated.

use super::attempt::{Attempt, alike, attempt, axis_of, fits, from_last, from_start, gather, positions, resized, sound, to_front, to_last};
use super::segments::{Reduce, Runs, added, reduced, reducible, repeated};
use crate::ops::movement::inverse_order;
use crate::tensor::shape::broadcast_shapes;
use crate::tensor::{DType, Shape, Tensor};

/// How the rows of a bag become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Bag {
    /// Their sum.
    Sum,
    /// Their mean; of an empty bag 0.
    #[default]
    Mean,
    /// The largest of each column; of an empty bag -inf.
    Max,
}

impl Tensor {
    /// Elements along an axis written at positions: `out[.., index[.., i, ..], ..] = values[.., i, ..]`, where `i` runs
    /// along the axis and the other axes are shared, broadcast to those of this tensor; the last one to be written
    /// stays. NumPy's `put_along_axis`, PyTorch's `scatter`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// let y = x.put_along_axis(&Tensor::from([[0], [-1]]), &Tensor::from([[9.0], [8.0]]), 1);
    /// assert_eq!(y.to_vec2::<f32>()?, [[9.0, 2.0, 3.0], [4.0, 5.0, 8.0]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn put_along_axis(&self, index: &Tensor, values: &Tensor, axis: isize) -> Tensor {
        attempt(|| {
            let (at, index, values) = along("put_along_axis", self, index, values, axis)?;
            let x = to_last(self, at);
            Ok(from_last(&written(x.rank() - 1, &x, &index, &values), at))
        })
    }

    /// Elements along an axis reduced at positions: as [`Tensor::put_along_axis`], with all that is written to one place,
    /// and (`with_self`) what was there before, put together. PyTorch's `scatter_reduce`.
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::Reduce};
    /// let (x, values) = (Tensor::from([1.0, 2.0, 3.0]), Tensor::from([5.0, 7.0]));
    /// let both = Tensor::from([1, 1]);
    /// assert_eq!(x.scatter_reduce(&both, &values, 0, Reduce::Sum, true).to_vec::<f32>()?, [1.0, 14.0, 3.0]);
    /// assert_eq!(x.scatter_reduce(&both, &values, 0, Reduce::Mean, false).to_vec::<f32>()?, [1.0, 6.0, 3.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn scatter_reduce(&self, index: &Tensor, values: &Tensor, axis: isize, how: Reduce, with_self: bool) -> Tensor {
        attempt(|| {
            reducible("scatter_reduce", self, how)?;
            let (at, index, values) = along("scatter_reduce", self, index, values, axis)?;
            let x = to_last(self, at);
            Ok(from_last(&joined(x.rank() - 1, &x, &index, &values, how, with_self), at))
        })
    }

    /// `source` added to parts along an axis: `out[.., index[i], ..] = self[.., index[i], ..] + source[.., i, ..]`, for
    /// one axis of positions, each as often as it is there. PyTorch's `index_add`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let y = x.index_add(0, &Tensor::from([1, 1]), &Tensor::from([[10.0, 20.0], [30.0, 40.0]]));
    /// assert_eq!(y.to_vec2::<f32>()?, [[1.0, 2.0], [43.0, 64.0]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn index_add(&self, axis: isize, index: &Tensor, source: &Tensor) -> Tensor {
        attempt(|| {
            reducible("index_add", self, Reduce::Sum)?;
            parts("index_add", self, axis, index, source, |x, index, source| joined(0, x, index, source, Reduce::Sum, true))
        })
    }

    /// Parts along an axis reduced with those of `source`, see [`Tensor::index_add`] and [`Tensor::scatter_reduce`].
    #[track_caller]
    pub fn index_reduce(&self, axis: isize, index: &Tensor, source: &Tensor, how: Reduce, with_self: bool) -> Tensor {
        attempt(|| {
            reducible("index_reduce", self, how)?;
            parts("index_reduce", self, axis, index, source, |x, index, source| joined(0, x, index, source, how, with_self))
        })
    }

    /// Parts along an axis written over: `out[.., index[i], ..] = source[.., i, ..]`; the last one stays. PyTorch's
    /// `index_copy`.
    #[track_caller]
    pub fn index_copy(&self, axis: isize, index: &Tensor, source: &Tensor) -> Tensor {
        attempt(|| parts("index_copy", self, axis, index, source, |x, index, source| written(0, x, index, source)))
    }

    /// Parts along an axis set to one number. PyTorch's `index_fill`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([1, 2, 3, 4]);
    /// assert_eq!(x.index_fill(0, &Tensor::from([0, -1]), 7.0).to_vec::<i32>()?, [7, 2, 3, 7]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn index_fill(&self, axis: isize, index: &Tensor, value: f64) -> Tensor {
        attempt(|| {
            let at = axis_of("index_fill", self, axis)?;
            positions("index_fill", index)?;
            let size = self.shape()[at];
            let index = from_start(&index.flatten(), size);
            let hits = added(0, &Tensor::full(index.shape(), 1.0, DType::I64), &index, size);
            let shape = resized(&vec![1; self.rank()], at, size);
            let hit = hits.not_equal(&hits.zeros_like()).reshape(shape);
            Ok(hit.select(&Tensor::full(self.shape(), value, self.dtype()), self))
        })
    }

    /// Parts picked by tuples of positions: `out[i.., ..] = self[index[i.., 0], index[i.., 1], .., ..]`, where the last
    /// axis of `index` is as long as the tuples. TensorFlow's and ONNX's `gather_nd`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.gather_nd(&Tensor::from([[0, 1], [1, 0]])).to_vec::<i32>()?, [2, 3]);
    /// assert_eq!(x.gather_nd(&Tensor::from([[1]])).to_vec2::<i32>()?, [[3, 4]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn gather_nd(&self, index: &Tensor) -> Tensor {
        attempt(|| {
            sound(&[self])?;
            positions("gather_nd", index)?;
            let length = index.shape().last().copied().unwrap_or(usize::MAX);
            let message = || {
                format!("the last axis of the index {:?} says how many of the axes of {:?} are picked along", index.shape(), self.shape())
            };
            fits("gather_nd", length <= self.rank(), message)?;
            let lists: Vec<Tensor> = (0..length as isize).map(|axis| index.index(-1, axis)).collect();
            if lists.is_empty() {
                let outer = &index.shape()[..index.rank() - 1];
                return Ok(self.broadcast_to([outer, self.shape()].concat()));
            }
            Ok(gather(0, &merged(self, length), &flat_positions(&lists, self.shape())))
        })
    }
}

/// Rows of a table picked by number and put together, bag by bag: `index` is `[.., n]`, a bag for each of its rows, or one
/// axis, with `starts` (`[bags]`, ascending, the first 0) saying where in it each bag begins. Numbers of `weights`, in the
/// shape of the index, multiply the rows, if they are summed. PyTorch's `embedding_bag`.
///
/// ```
/// use chainrule_engine::{Tensor, functions::{Bag, embedding_bag}};
/// let table = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
/// let bags = embedding_bag(&table, &Tensor::from([[0, 2], [1, 1]]), None, None, Bag::Sum);
/// assert_eq!(bags.to_vec2::<f32>()?, [[6.0, 8.0], [6.0, 8.0]]);
/// let bags = embedding_bag(&table, &Tensor::from([2, 0, 1]), Some(&Tensor::from([0, 1])), None, Bag::Mean);
/// assert_eq!(bags.to_vec2::<f32>()?, [[5.0, 6.0], [2.0, 3.0]]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn embedding_bag(table: &Tensor, index: &Tensor, starts: Option<&Tensor>, weights: Option<&Tensor>, bag: Bag) -> Tensor {
    attempt(|| {
        let name = "embedding_bag";
        super::attempt::floats(name, table)?;
        positions(name, index)?;
        fits(name, table.rank() == 2, || format!("a table is [rows, width], this one is {:?}", table.shape()))?;
        let mut rows = table.gather(index);
        if let Some(weights) = weights {
            alike(name, table, weights)?;
            super::attempt::allowed(name, bag == Bag::Sum, || "weights go with sums only".into())?;
            fits(name, weights.shape() == index.shape(), || format!("weights {:?} for positions {:?}", weights.shape(), index.shape()))?;
            rows = &rows * repeated(weights, rows.shape());
        }
        let how = match bag {
            Bag::Sum => Reduce::Sum,
            Bag::Mean => Reduce::Mean,
            Bag::Max => Reduce::Max,
        };
        match starts {
            Some(starts) => {
                positions(name, starts)?;
                let flat = index.rank() == 1 && starts.rank() == 1;
                fits(name, flat, || format!("starts {:?} go with positions of one axis, not {:?}", starts.shape(), index.shape()))?;
                let places = Tensor::arange(index.len(), starts.dtype());
                Ok(reduced(0, &rows, &(starts.searchsorted(&places, true) - 1), starts.len(), how))
            }
            None => {
                fits(name, index.rank() > 0, || "one position is no bag".into())?;
                // One bag for each row: the numbers of a segment are all 0.
                let batch = index.rank() - 1;
                Ok(reduced(batch, &rows, &index.zeros_like(), 1, how).squeeze(batch as isize))
            }
        }
    })
}

/// The axis, and index and values with that axis last and the others those of `x`.
fn along(name: &str, x: &Tensor, index: &Tensor, values: &Tensor, axis: isize) -> Attempt<(usize, Tensor, Tensor)> {
    let at = axis_of(name, x, axis)?;
    positions(name, index)?;
    alike(name, x, values)?;
    let count = index.shape().get(at).copied().unwrap_or(1);
    let shape = resized(x.shape(), at, count);
    let within = |shape: &[usize], of: &Tensor| {
        of.rank() <= shape.len() && broadcast_shapes(of.shape(), shape).is_ok_and(|joint| joint[..] == *shape)
    };
    let fit = index.rank() == x.rank() && within(&shape, index) && within(&shape, values);
    let message =
        || format!("index {:?} and values {:?} do not share the axes of {:?} other than {at}", index.shape(), values.shape(), x.shape());
    fits(name, fit, message)?;
    let index = from_start(&to_last(&index.broadcast_to(&shape), at), x.shape()[at]);
    Ok((at, index, to_last(&values.broadcast_to(&shape), at)))
}

/// Parts along one axis, brought to the front, combined with those of a source.
fn parts(
    name: &str,
    x: &Tensor,
    axis: isize,
    index: &Tensor,
    source: &Tensor,
    body: impl FnOnce(&Tensor, &Tensor, &Tensor) -> Tensor,
) -> Attempt {
    let at = axis_of(name, x, axis)?;
    positions(name, index)?;
    alike(name, x, source)?;
    let fit = index.rank() == 1 && source.shape() == &resized(x.shape(), at, index.len())[..];
    fits(name, fit, || format!("index {:?} and source {:?} for axis {at} of {:?}", index.shape(), source.shape(), x.shape()))?;
    let front = to_front(x, &[at]);
    let order: crate::ops::movement::Axes = std::iter::once(at).chain((0..x.rank()).filter(|&other| other != at)).collect();
    let out = body(&front, &from_start(index, x.shape()[at]), &to_front(source, &[at]));
    Ok(out.permute(inverse_order(&order)))
}

/// `x`, `[batch.., size, rest..]`, with the last of `values` (`[batch.., n, rest..]`) at each of its positions.
pub(super) fn written(batch: usize, x: &Tensor, index: &Tensor, values: &Tensor) -> Tensor {
    if values.is_empty() || x.is_empty() {
        // Positions that have nothing to say are checked all the same.
        return x.clone();
    }
    let (last, some) = Runs::new(batch, index, x.shape()[batch]).last();
    repeated(&some, x.shape()).select(&gather(batch, values, &last), x)
}

/// As [`written`], of positions no two of which are the same.
pub(super) fn written_once(x: &Tensor, index: &Tensor, values: &Tensor) -> Tensor {
    if values.is_empty() || x.is_empty() {
        return x.clone();
    }
    let numbers = Tensor::arange(index.len(), DType::I64) + 1;
    let from = added(0, &numbers, index, x.shape()[0]);
    let some = from.not_equal(&from.zeros_like());
    repeated(&some, x.shape()).select(&gather(0, values, &(from - 1).maximum(&some.cast(DType::I64).zeros_like())), x)
}

/// `x` with `values` put together at each of its positions.
pub(super) fn joined(batch: usize, x: &Tensor, index: &Tensor, values: &Tensor, how: Reduce, with_self: bool) -> Tensor {
    let size = x.shape()[batch];
    match (how, with_self) {
        (Reduce::Sum, true) => x + added(batch, values, index, size),
        (_, true) => {
            let own = Tensor::arange(size, index.dtype()).broadcast_to(resized(index.shape(), batch, size));
            let axis = batch as isize;
            reduced(batch, &Tensor::concat(&[x, values], axis), &Tensor::concat(&[&own, index], axis), size, how)
        }
        (_, false) => {
            let hits = added(batch, &Tensor::full(index.shape(), 1.0, DType::I64), index, size);
            let hit = repeated(&hits.not_equal(&hits.zeros_like()), x.shape());
            hit.select(&reduced(batch, values, index, size, how), x)
        }
    }
}

/// The first axes as one.
pub(super) fn merged(x: &Tensor, axes: usize) -> Tensor {
    let size = x.shape()[..axes].iter().product();
    x.reshape(std::iter::once(size).chain(x.shape()[axes..].iter().copied()).collect::<Shape>())
}

/// Positions along the first axes, of shapes that broadcast, as positions in all of them together; outside if one is.
pub(super) fn flat_positions(lists: &[Tensor], shape: &[usize]) -> Tensor {
    if let [list] = lists {
        return from_start(&list.cast(DType::I64), shape[0]);
    }
    let size: usize = shape[..lists.len()].iter().product();
    let mut flat = Tensor::scalar(0.0, DType::I64);
    let mut outside = Tensor::scalar(0.0, DType::Bool);
    for (list, &size) in lists.iter().zip(shape) {
        let list = from_start(&list.cast(DType::I64), size);
        outside = outside | list.less(&list.zeros_like()) | !list.less(&Tensor::full(list.shape(), size as f64, DType::I64));
        flat = flat * size as f64 + list;
    }
    outside.select(&Tensor::full(flat.shape(), size as f64, DType::I64), &flat)
}
