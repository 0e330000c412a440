//! Parts of tensors, by NumPy's rules: `x.at((0, 1..3, .., -1))`, slices, splits, and picking by
//! an integer tensor. What rearranges or pads whole tensors is in [`arrange`].
//!
//! A position outside an axis is a mistake; a range that reaches outside is clamped, as NumPy
//! does. Unlike NumPy's colon-free `...`, Rust's `..` is one whole axis; see [`Index::Ellipsis`].

use super::origin::{Origin, recorded_as};
use super::shape::{Shape, broadcast_shapes};
use super::{DType, Error, ErrorKind, Tensor};
use crate::ops::movement::{Axes, inverse_order};
use crate::ops::{Gather, Reverse, Slice, shape_error};
use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};
use std::panic::Location;

pub mod arrange;

/// What is taken along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Index {
    /// One position, negative from the end; the axis is removed.
    At(isize),
    /// Every `step`-th position from `start` to before `stop`, both negative from the end, and
    /// clamped. A negative step runs backwards.
    Range {
        /// The first position; by default the end that the step leads away from.
        start: Option<isize>,
        /// The position to stop before; by default the end that the step leads to, which is taken.
        stop: Option<isize>,
        /// Not 0.
        step: isize,
    },
    /// A whole axis, `..`.
    All,
    /// A new axis of size 1; takes none of the tensor's.
    NewAxis,
    /// As many whole axes as are left over; at most one in an index. Axes that an index does not
    /// reach are whole in any case.
    Ellipsis,
}

impl Index {
    /// The range from `start` to before `stop` by `step`, as Python's `slice(start, stop, step)`.
    ///
    /// The same as `start..stop` and its [`Steps::by`]. Clippy takes a range of literals from high
    /// to low, such as `1..-1`, for a mistake, because Rust's own iterators do; this form it passes.
    ///
    /// ```
    /// use chainrule_engine::{Tensor, tensor::indexing::Index};
    /// let x = Tensor::from([0, 1, 2, 3, 4]);
    /// assert_eq!(x.at(Index::range(1, -1, 1)).to_vec::<i32>()?, [1, 2, 3]);
    /// assert_eq!(x.at(Index::range(3, 0, -2)).to_vec::<i32>()?, [3, 1]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    pub const fn range(start: isize, stop: isize, step: isize) -> Index {
        Index::Range { start: Some(start), stop: Some(stop), step }
    }
}

macro_rules! indices {
    ($($integer:ty)*) => {$(
        impl From<$integer> for Index {
            fn from(position: $integer) -> Index {
                Index::At(clamped(position as i128))
            }
        }
        indices!(@range $integer: Range<$integer>, |range| Some(range.start), Some(range.end as i128));
        indices!(@range $integer: RangeFrom<$integer>, |range| Some(range.start), None);
        indices!(@range $integer: RangeTo<$integer>, |range| None::<$integer>, Some(range.end as i128));
        indices!(@range $integer: RangeInclusive<$integer>, |range| Some(*range.start()), after(*range.end() as i128));
        indices!(@range $integer: RangeToInclusive<$integer>, |range| None::<$integer>, after(range.end as i128));
    )*};
    (@range $integer:ty: $range:ty, |$name:ident| $start:expr, $stop:expr) => {
        impl From<$range> for Index {
            fn from($name: $range) -> Index {
                let start: Option<$integer> = $start;
                Index::Range { start: start.map(|start| clamped(start as i128)), stop: $stop.map(|stop: i128| clamped(stop)), step: 1 }
            }
        }
        impl Steps for $range {}
    };
}
indices!(i32 i64 isize usize);

impl From<RangeFull> for Index {
    fn from(_: RangeFull) -> Index {
        Index::All
    }
}
impl Steps for RangeFull {}

/// No axis is longer than `isize::MAX`, so nothing is lost.
fn clamped(position: i128) -> isize {
    position.clamp(isize::MIN as i128, isize::MAX as i128) as isize
}

/// The stop of a range that includes `end`: after -1, the last, comes no position.
fn after(end: i128) -> Option<i128> {
    (end != -1).then_some(end + 1)
}

/// Ranges with a step: `(1..7).by(2)`, `(..).by(-1)`.
///
/// ```
/// use chainrule_engine::Tensor;
/// use chainrule_engine::tensor::indexing::Steps;
/// let x = Tensor::from([0, 1, 2, 3, 4, 5]);
/// assert_eq!(x.at((1..).by(2)).to_vec::<i32>()?, [1, 3, 5]);
/// assert_eq!(x.at((..).by(-2)).to_vec::<i32>()?, [5, 3, 1]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
pub trait Steps: Into<Index> {
    /// Every `step`-th position of the range; with a negative step, start and stop are written in
    /// that order: `(5..1).by(-1)`, or [`Index::range`].
    fn by(self, step: isize) -> Index {
        match self.into() {
            Index::Range { start, stop, .. } => Index::Range { start, stop, step },
            _ => Index::Range { start: None, stop: None, step },
        }
    }
}

/// What [`Tensor::at`] takes: an integer, a range, an [`Index`], a tuple of up to six of them, or
/// an array or slice of [`Index`].
pub trait IntoIndices {
    /// One entry per axis that is indexed or made.
    fn into_indices(self) -> Vec<Index>;
}

macro_rules! single {
    ($($single:ty)*) => {$(
        impl IntoIndices for $single {
            fn into_indices(self) -> Vec<Index> {
                vec![self.into()]
            }
        }
    )*};
}
single!(Index RangeFull);

macro_rules! single_integers {
    ($($integer:ty)*) => {$(
        single!($integer Range<$integer> RangeFrom<$integer> RangeTo<$integer> RangeInclusive<$integer> RangeToInclusive<$integer>);
    )*};
}
single_integers!(i32 i64 isize usize);

macro_rules! tuples {
    ($($($name:ident)+;)*) => {$(
        impl<$($name: Into<Index>),+> IntoIndices for ($($name,)+) {
            #[allow(non_snake_case)]
            fn into_indices(self) -> Vec<Index> {
                let ($($name,)+) = self;
                vec![$($name.into()),+]
            }
        }
    )*};
}
tuples! { A; A B; A B C; A B C D; A B C D E; A B C D E F; }

impl<const N: usize> IntoIndices for [Index; N] {
    fn into_indices(self) -> Vec<Index> {
        self.into()
    }
}
impl IntoIndices for &[Index] {
    fn into_indices(self) -> Vec<Index> {
        self.into()
    }
}
impl IntoIndices for Vec<Index> {
    fn into_indices(self) -> Vec<Index> {
        self
    }
}

/// What a list of indices asks of a tensor: a slice and a reversal of its axes, then a new shape.
struct Part {
    slice: Slice,
    reversed: Axes,
    shape: Shape,
}

impl Part {
    fn new(shape: &[usize], indices: &[Index]) -> Result<Part, Error> {
        let slice = Slice { start: Axes::new(), stop: Axes::new(), step: Axes::new() };
        let mut part = Part { slice, reversed: Axes::new(), shape: Shape::new() };
        let taken = indices.iter().filter(|index| !matches!(index, Index::NewAxis | Index::Ellipsis)).count();
        if taken > shape.len() {
            return Err(shape_error("index", format!("{taken} indices for the {} axes of {shape:?}", shape.len())));
        }
        if indices.iter().filter(|&&index| index == Index::Ellipsis).count() > 1 {
            return Err(shape_error("index", "more than one `Ellipsis`: which axes each covers is not determined".into()));
        }
        for &index in indices {
            match index {
                Index::Ellipsis => (taken..shape.len()).try_for_each(|_| part.take(shape, Index::All))?,
                Index::NewAxis => part.shape.push(1),
                index => part.take(shape, index)?,
            }
        }
        while part.slice.start.len() < shape.len() {
            part.take(shape, Index::All)?;
        }
        Ok(part)
    }

    /// Takes `index` along the next axis.
    fn take(&mut self, shape: &[usize], index: Index) -> Result<(), Error> {
        let axis = self.slice.start.len();
        let size = shape[axis] as isize;
        let (first, count, step) = match index {
            Index::At(position) => {
                let from_start = if position < 0 { position + size } else { position };
                if !(0..size).contains(&from_start) {
                    let message = format!("position {position} is outside axis {axis} of size {size}, shape {shape:?}");
                    return Err(Error::new(ErrorKind::Index, "index", message));
                }
                (from_start, 1, 1)
            }
            Index::Range { step: 0, .. } => {
                return Err(Error::new(ErrorKind::Argument, "index", format!("the step along axis {axis} is 0")));
            }
            Index::Range { start, stop, step } => span(start, stop, step, size),
            _ => (0, size, 1),
        };
        // The slice runs upwards whatever the step; a reversal turns it afterwards.
        let lowest = if step < 0 && count > 0 { first + (count - 1) * step } else { first };
        let stride = step.unsigned_abs();
        let (start, stop) = if count == 0 { (0, 0) } else { (lowest as usize, lowest as usize + (count as usize - 1) * stride + 1) };
        self.slice.start.push(start);
        self.slice.stop.push(stop);
        self.slice.step.push(if count > 1 { stride } else { 1 });
        if step < 0 && count > 1 {
            self.reversed.push(axis);
        }
        if !matches!(index, Index::At(_)) {
            self.shape.push(count as usize);
        }
        Ok(())
    }
}

/// The first position, the number of positions and the step of a range over an axis.
fn span(start: Option<isize>, stop: Option<isize>, step: isize, size: isize) -> (isize, isize, isize) {
    // Going down, the stop before position 0 is -1, which no user can write.
    let (lowest, highest) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let resolve = |position: isize| (if position < 0 { position + size } else { position }).clamp(lowest, highest);
    let start = start.map_or(if step > 0 { lowest } else { highest }, resolve);
    let stop = stop.map_or(if step > 0 { highest } else { lowest }, resolve);
    let distance = if step > 0 { stop - start } else { start - stop };
    let count = if distance > 0 { (distance as usize).div_ceil(step.unsigned_abs()) } else { 0 };
    (start, count as isize, step)
}

impl Tensor {
    /// The part that an index names, by NumPy's rules: positions remove their axis, ranges keep
    /// it, and axes that are not mentioned stay whole.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// use chainrule_engine::tensor::indexing::Index::{Ellipsis, NewAxis};
    /// let x = Tensor::from([[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]);
    /// assert_eq!(x.at((0, 1, -1)).to_vec::<i32>()?, [5]);
    /// assert_eq!(x.at((.., 0, 1..)).to_vec2::<i32>()?, [[1, 2], [7, 8]]);
    /// assert_eq!(x.at((Ellipsis, NewAxis, 0)).shape(), [2, 2, 1]);
    /// let outside = x.at((0, 2)).eval().unwrap_err().to_string();
    /// assert!(outside.ends_with("position 2 is outside axis 1 of size 2, shape [2, 2, 3]"));
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn at(&self, indices: impl IntoIndices) -> Tensor {
        if self.error().is_some() {
            return self.clone();
        }
        let part = match Part::new(self.shape(), &indices.into_indices()) {
            Ok(part) => part,
            Err(error) => return Tensor::poison(error),
        };
        let whole = part.slice.start.iter().all(|&start| start == 0) && part.slice.stop[..] == *self.shape();
        let whole = whole && part.slice.step.iter().all(|&step| step == 1);
        let sliced = if whole { self.clone() } else { Tensor::record(part.slice, [self.clone()]) };
        let turned = if part.reversed.is_empty() { sliced } else { Tensor::record(Reverse(part.reversed), [sliced]) };
        turned.reshape(part.shape)
    }

    /// A range along one axis: `x.slice(-1, 2..5)`.
    #[track_caller]
    pub fn slice(&self, axis: isize, range: impl Into<Index>) -> Tensor {
        let range = range.into();
        match (self.axis("slice", axis), range) {
            (Some(axis), Index::Range { .. } | Index::All) => self.at(along(axis, range)),
            (None, _) => self.no_axis("slice", axis),
            _ => Tensor::poison(Error::new(ErrorKind::Argument, "slice", format!("takes a range, not {range:?}; see `index` and `at`"))),
        }
    }

    /// One position along one axis, which is removed; negative from the end.
    #[track_caller]
    pub fn index(&self, axis: isize, position: isize) -> Tensor {
        match self.axis("index", axis) {
            Some(axis) => self.at(along(axis, Index::At(position))),
            None => self.no_axis("index", axis),
        }
    }

    /// Neighbouring parts of the sizes given, which must add up to the axis. After a mistake every
    /// part is poisoned.
    #[track_caller]
    pub fn split(&self, sizes: &[usize], axis: isize) -> Vec<Tensor> {
        let Some(resolved) = self.axis("split", axis) else {
            return vec![self.no_axis("split", axis); sizes.len().max(1)];
        };
        let size = self.shape()[resolved];
        if sizes.iter().try_fold(0usize, |sum, &part| sum.checked_add(part)) != Some(size) {
            let message = format!("parts of sizes {sizes:?} do not make up axis {resolved} of {:?}", self.shape());
            return vec![Tensor::poison(shape_error("split", message)); sizes.len().max(1)];
        }
        let mut parts = Vec::with_capacity(sizes.len());
        let mut start = 0;
        for part in sizes {
            parts.push(self.at(along(resolved, Index::from(start..start + part))));
            start += part;
        }
        parts
    }

    /// Exactly `count` neighbouring parts, the first ones longer by 1 where they cannot be equal;
    /// none is empty unless the axis is. After a mistake every part is poisoned (of no more than
    /// 65,536).
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let parts = Tensor::from([0, 1, 2, 3, 4]).chunk(2, 0);
    /// assert_eq!(parts[0].to_vec::<i32>()?, [0, 1, 2]);
    /// assert_eq!(parts[1].to_vec::<i32>()?, [3, 4]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn chunk(&self, count: usize, axis: isize) -> Vec<Tensor> {
        let poisoned = match self.axis("chunk", axis) {
            Some(resolved) => {
                let size = self.shape()[resolved];
                if (1..=size.max(1)).contains(&count) {
                    let sizes: Vec<usize> = (0..count).map(|i| size / count + (i < size % count) as usize).collect();
                    return self.split(&sizes, axis);
                }
                let message = format!("axis {resolved} of {:?} cannot be cut into {count} parts of at least 1", self.shape());
                Tensor::poison(shape_error("chunk", message))
            }
            None => self.no_axis("chunk", axis),
        };
        vec![poisoned; count.clamp(1, 1 << 16)]
    }

    /// The parts along an axis that an integer tensor names: its axes take the place of `axis`, as
    /// NumPy's `take`. Positions are not negative; one outside is an error when it is evaluated.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.index_select(1, &Tensor::from([2, 0])).to_vec2::<i32>()?, [[3, 1], [6, 4]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn index_select(&self, axis: isize, index: &Tensor) -> Tensor {
        let Some(axis) = self.axis("index_select", axis) else {
            return self.no_axis("index_select", axis);
        };
        if let Some(poisoned) = [self, index].into_iter().find(|tensor| tensor.error().is_some()) {
            return poisoned.clone();
        }
        // Axes before it share the index; so what is picked stands where it belongs.
        let shared: Shape = self.shape()[..axis].iter().chain(index.shape()).copied().collect();
        Tensor::record(Gather { batch: axis }, [self.clone(), index.broadcast_to(shared)])
    }

    /// `out[.., i, ..] = self[.., index[.., i, ..], ..]`, where `i` runs along `axis` and the
    /// other axes, broadcast to each other, are shared. Positions may be negative, counted from the end; one outside is an
    /// error when it is evaluated.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.take_along_axis(&Tensor::from([[2], [0]]), 1).to_vec2::<i32>()?, [[3], [4]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn take_along_axis(&self, index: &Tensor, axis: isize) -> Tensor {
        if let Some(poisoned) = [self, index].into_iter().find(|tensor| tensor.error().is_some()) {
            return poisoned.clone();
        }
        let Some(at) = self.axis("take_along_axis", axis) else {
            return self.no_axis("take_along_axis", axis);
        };
        let without = |shape: &[usize]| -> Shape { (0..shape.len()).filter(|&other| other != at).map(|other| shape[other]).collect() };
        let joint = match broadcast_shapes(&without(self.shape()), &without(index.shape())) {
            Ok(joint) if index.rank() == self.rank() => joint,
            _ => {
                let message = format!("index {:?} and {:?} do not share the axes other than {at}", index.shape(), self.shape());
                return Tensor::poison(shape_error("take_along_axis", message));
            }
        };
        let to_last: Axes = (0..self.rank()).filter(|&other| other != at).chain([at]).collect();
        let whole = |size: usize| -> Shape { joint.iter().copied().chain([size]).collect() };
        let table = self.permute(&to_last).broadcast_to(whole(self.shape()[at]));
        let mut index = index.permute(&to_last).broadcast_to(whole(index.shape()[at]));
        if matches!(index.dtype(), DType::I64 | DType::I32) {
            index = from_start(&index, self.shape()[at]);
        }
        table.gather_last(&index).permute(inverse_order(&to_last))
    }

    /// `out[b.., i..] = self[b.., index[b.., i..]]`: picks along the last axis, where `index` begins
    /// with all other axes of this tensor. With no axes of its own, it picks one element per row.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let scores = Tensor::from([[0.1, 0.7], [0.4, 0.6]]);
    /// assert_eq!(scores.gather_last(&Tensor::from([1, 0])).to_vec::<f32>()?, [0.7, 0.4]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn gather_last(&self, index: &Tensor) -> Tensor {
        match self.rank().checked_sub(1) {
            Some(batch) => Tensor::record(Gather { batch }, [self.clone(), index.clone()]),
            None => self.no_axis("gather_last", -1),
        }
    }
}

/// Positions along an axis of `size`, those that are negative counted from its end.
#[track_caller]
pub(crate) fn from_start(index: &Tensor, size: usize) -> Tensor {
    index.less(&index.zeros_like()).select(&(index + whole(size, index)), index)
}

/// A size as elements of an index; what a narrow type cannot hold is beyond every position anyway.
#[track_caller]
pub(crate) fn whole(size: usize, like: &Tensor) -> Tensor {
    let most = if like.dtype() == DType::I32 { i32::MAX as usize } else { 1 << 53 };
    Tensor::full(like.shape(), size.min(most) as f64, like.dtype())
}

/// An index that leaves every axis before `axis` whole.
fn along(axis: usize, index: Index) -> Vec<Index> {
    let mut indices = vec![Index::All; axis];
    indices.push(index);
    indices
}

/// Runs `body`, all of whose nodes belong to the line at `location`: closures and helpers do not
/// see their caller's line by themselves.
fn recorded_at<R>(location: &'static Location<'static>, body: impl FnOnce() -> R) -> R {
    recorded_as(Origin::here(location), body)
}
