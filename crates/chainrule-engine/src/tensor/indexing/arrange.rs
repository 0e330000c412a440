//! Whole tensors rearranged: padded, rolled, repeated, masked to triangles; and the integer
//! functions that go with indexing: one-hot rows, and positions of extremes.
//!
//! Nothing here is an operation of its own: all are written over the operations, and inherit
//! their derivatives.

use super::{Index, along, recorded_at};
use crate::ops::movement::Axes;
use crate::ops::{Broadcast, Iota, Pad, dtype_error, shape_error};
use crate::tensor::shape::{Shape, Type, checked_product};
use crate::tensor::{DType, Error, ErrorKind, Tensor};
use smallvec::SmallVec;
use std::panic::Location;

impl Tensor {
    /// Zeros (or `false`) around: for each axis, how many before and after.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[1, 2]]);
    /// assert_eq!(x.pad(&[(1, 0), (0, 1)]).to_vec2::<i32>()?, [[0, 0, 0], [1, 2, 0]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn pad(&self, widths: &[(usize, usize)]) -> Tensor {
        if self.error().is_some() {
            return self.clone();
        }
        if widths.len() != self.rank() {
            let message = format!("{} pairs of widths for the {} axes of {:?}; give one per axis", widths.len(), self.rank(), self.shape());
            return Tensor::poison(shape_error("pad", message));
        }
        if widths.iter().all(|&width| width == (0, 0)) {
            return self.clone();
        }
        let low: Axes = widths.iter().map(|width| width.0).collect();
        let high: Axes = widths.iter().map(|width| width.1).collect();
        Tensor::record(Pad { low, high, interior: SmallVec::from_elem(0, widths.len()) }, [self.clone()])
    }

    /// As [`Tensor::pad`], with `value` around instead of zero.
    #[track_caller]
    pub fn pad_with(&self, widths: &[(usize, usize)], value: f64) -> Tensor {
        let padded = self.pad(widths);
        if value == 0.0 || padded.error().is_some() {
            return padded;
        }
        let inside = Tensor::full(self.shape(), 1.0, DType::Bool).pad(widths);
        inside.select(&padded, &Tensor::full(padded.shape(), value, self.dtype()))
    }

    /// The elements moved along an axis by `shift`; those that leave at one end enter at the other.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// assert_eq!(Tensor::from([1, 2, 3, 4]).roll(1, 0).to_vec::<i32>()?, [4, 1, 2, 3]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn roll(&self, shift: isize, axis: isize) -> Tensor {
        let Some(axis) = self.axis("roll", axis) else {
            return self.no_axis("roll", axis);
        };
        let size = self.shape()[axis];
        // An empty axis has no position to turn by; `max` keeps the remainder defined.
        let shift = shift.rem_euclid(size.max(1) as isize) as usize;
        if shift == 0 {
            return self.clone();
        }
        let (head, tail) = (Index::from(..size - shift), Index::from(size - shift..));
        Tensor::concat(&[&self.at(along(axis, tail)), &self.at(along(axis, head))], axis as isize)
    }

    /// Each part along an axis `count` times in a row, as NumPy's `repeat`: `a a b b`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// assert_eq!(Tensor::from([1, 2]).repeat(2, 0).to_vec::<i32>()?, [1, 1, 2, 2]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn repeat(&self, count: usize, axis: isize) -> Tensor {
        let Some(axis) = self.axis("repeat", axis) else {
            return self.no_axis("repeat", axis);
        };
        let mut shape = self.ty().shape.clone();
        match checked_product(&[shape[axis], count]) {
            Some(size) => shape[axis] = size,
            None => {
                return Tensor::poison(shape_error("repeat", format!("axis {axis} of {:?}, {count} times, is too large", self.shape())));
            }
        }
        let repeat = Broadcast { axes: Axes::from_slice(&[axis + 1]), sizes: Axes::from_slice(&[count]) };
        Tensor::record(repeat, [self.clone()]).reshape(shape)
    }

    /// The whole tensor laid `counts` times along the axes, as NumPy's `tile`: `a b a b`. Counts
    /// belong to the last axes; missing axes are made.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([1, 2]);
    /// assert_eq!(x.tile(&[2, 2]).to_vec2::<i32>()?, [[1, 2, 1, 2], [1, 2, 1, 2]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn tile(&self, counts: &[usize]) -> Tensor {
        if self.error().is_some() {
            return self.clone();
        }
        let rank = self.rank().max(counts.len());
        let ones = |given: &[usize]| -> Shape { std::iter::repeat_n(1, rank - given.len()).chain(given.iter().copied()).collect() };
        let (sizes, counts) = (ones(self.shape()), ones(counts));
        let tiled: Option<Shape> = sizes.iter().zip(&counts).map(|(&size, &count)| checked_product(&[size, count])).collect();
        let Some(tiled) = tiled else {
            return Tensor::poison(shape_error("tile", format!("{:?}, {counts:?} times, is too large", self.shape())));
        };
        // An axis of counts before each axis; one that repeats once is left out.
        let repeated = |axis: &usize| counts[*axis] != 1;
        let places = (0..rank).filter(repeated).enumerate().map(|(before, axis)| axis + before).collect();
        let repeat = Broadcast { axes: places, sizes: (0..rank).filter(repeated).map(|axis| counts[axis]).collect() };
        let wide = self.reshape(sizes);
        if repeat.axes.is_empty() { wide } else { Tensor::record(repeat, [wide]).reshape(tiled) }
    }

    /// The lower triangle of the last two axes, zeros above diagonal number `diagonal` (0: the
    /// main one, positive: above it). What is masked out contributes nothing to the gradient.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.tril(0).to_vec2::<i32>()?, [[1, 0], [3, 4]]);
    /// assert_eq!(x.triu(1).to_vec2::<i32>()?, [[0, 2], [0, 0]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn tril(&self, diagonal: isize) -> Tensor {
        let location = Location::caller();
        self.triangle("tril", location, |row, column| column.less_equal(&(row + diagonal_of(diagonal, self.shape()))))
    }

    /// The upper triangle of the last two axes, zeros below diagonal number `diagonal`; see
    /// [`Tensor::tril`].
    #[track_caller]
    pub fn triu(&self, diagonal: isize) -> Tensor {
        let location = Location::caller();
        self.triangle("triu", location, |row, column| (row + diagonal_of(diagonal, self.shape())).less_equal(column))
    }

    fn triangle(&self, name: &str, location: &'static Location<'static>, kept: impl FnOnce(&Tensor, &Tensor) -> Tensor) -> Tensor {
        recorded_at(location, || {
            if self.error().is_some() {
                return self.clone();
            }
            let Some(matrix) = self.rank().checked_sub(2).map(|outer| &self.shape()[outer..]) else {
                return Tensor::poison(shape_error(name, format!("a matrix has two axes, this tensor is {:?}", self.shape())));
            };
            kept(&coordinate(matrix, 0), &coordinate(matrix, 1)).select(self, &self.zeros_like())
        })
    }

    /// Of class numbers (of an integer type): a new last axis of size `classes`, with 1 at the
    /// number and 0 elsewhere. A number outside `0..classes` gives a row of zeros.
    ///
    /// ```
    /// use chainrule_engine::{DType, Tensor};
    /// let rows = Tensor::from([2, 0]).one_hot(3, DType::F32);
    /// assert_eq!(rows.to_vec2::<f32>()?, [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn one_hot(&self, classes: usize, dtype: DType) -> Tensor {
        if self.error().is_none() && (self.dtype().is_float() || self.dtype() == DType::Bool) {
            return Tensor::poison(dtype_error("one_hot", format!("class numbers are integers, these are {}", self.dtype())));
        }
        let numbers = self.cast(DType::I64).unsqueeze(-1);
        numbers.equal(&Tensor::arange(classes, DType::I64)).cast(dtype)
    }

    /// The position (i64) of the largest element along an axis, which is removed; of equal ones
    /// the first. NaN counts as the largest. Has no derivative.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[1.0, 5.0, 5.0], [9.0, f64::NAN, 0.0]]);
    /// assert_eq!(x.argmax(1).to_vec::<i64>()?, [1, 1]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn argmax(&self, axis: isize) -> Tensor {
        let location = Location::caller();
        recorded_at(location, || self.extreme("argmax", axis, Tensor::clone))
    }

    /// The position (i64) of the smallest element along an axis; of equal ones the first. NaN
    /// counts as the smallest. Has no derivative.
    #[track_caller]
    pub fn argmin(&self, axis: isize) -> Tensor {
        let location = Location::caller();
        recorded_at(location, || {
            self.extreme("argmin", axis, |x| match x.dtype() {
                // Negation would overflow at the least integer, and wrap where there is no sign.
                DType::U8 => 255.0 - x,
                DType::I64 | DType::I32 => -1.0 - x,
                _ => -x,
            })
        })
    }

    fn extreme(&self, name: &str, axis: isize, upwards: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        let Some(axis) = self.axis(name, axis) else {
            return self.no_axis(name, axis);
        };
        let size = self.shape()[axis];
        if size == 0 {
            return Tensor::poison(Error::new(ErrorKind::Shape, name, format!("axis {axis} of {:?} has no element", self.shape())));
        }
        let x = upwards(&if self.dtype() == DType::Bool { self.cast(DType::U8) } else { self.clone() });
        let largest = x.max_over(&[axis as isize]).unsqueeze(axis as isize).broadcast_to(self.shape());
        let hit = x.equal(&largest) | x.not_equal(&x);
        // The first position has the longest way to the end, and the longest way is a maximum.
        let way = size as f64 - coordinate(self.shape(), axis);
        let ways = hit.select(&way, &way.zeros_like());
        size as f64 - ways.max_over(&[axis as isize])
    }
}

/// The position along one axis of a shape, i64.
#[track_caller]
fn coordinate(shape: &[usize], axis: usize) -> Tensor {
    Tensor::record(Iota { axis, ty: Type::new(Shape::from_slice(shape), DType::I64) }, [])
}

/// A diagonal's number as a float without loss: beyond the matrix, all are alike.
fn diagonal_of(diagonal: isize, shape: &[usize]) -> f64 {
    let most = shape.iter().rev().take(2).max().map_or(0, |&size| size as isize);
    diagonal.clamp(-most - 1, most + 1) as f64
}
