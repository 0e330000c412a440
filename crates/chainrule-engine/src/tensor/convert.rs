//! Tensors from what Rust programs hold (numbers, nested arrays, vectors, slices, `ndarray`), and
//! back.
//!
//! Refuses to guess an element type: a conversion keeps the type it is given, with one exception.
//! **Rust writes float literals as f64, and the default element type here is f32: `Tensor::from`
//! of f64 numbers, arrays and vectors gives an f32 tensor**, rounded to nearest (beyond the range
//! of f32: infinite). [`Tensor::f64`] keeps them, and so do [`Tensor::from_slice`],
//! [`Tensor::from_vec`], [`Tensor::from_data`] and the conversions of `ndarray`.

use super::dtype::{DType, Element};
use super::shape::Shape;
use super::{Data, Error, ErrorKind, Result, Tensor};
use crate::ops::shape_error;
use half::{bf16, f16};
use std::sync::Arc;

/// What nests numbers: a number, or an array, slice or vector of what nests numbers, to any depth.
///
/// A bound for [`Tensor::from`]; it has the implementations listed here, and asks for no others.
pub trait Nested {
    /// The type of the numbers.
    type Element: Element;

    /// The sizes the type itself tells, 0 where only a value can: what an empty value has.
    #[doc(hidden)]
    fn declared() -> Shape;

    /// Adds the numbers of this value, which lies `depth` levels deep.
    #[doc(hidden)]
    fn collect(&self, depth: usize, into: &mut Collected<Self::Element>);

    /// Adds the numbers of neighbours.
    #[doc(hidden)]
    fn collect_all(items: &[Self], depth: usize, into: &mut Collected<Self::Element>)
    where
        Self: Sized,
    {
        for (position, item) in items.iter().enumerate() {
            into.path.push(position);
            item.collect(depth, into);
            into.path.pop();
        }
    }
}

/// The numbers of a nested value, row by row, and the sizes they were found in.
#[doc(hidden)]
pub struct Collected<T> {
    values: Vec<T>,
    shape: Shape,
    /// Which item of which item is being looked at.
    path: Vec<usize>,
    /// What is wrong with the first row of another length, if there is one.
    ragged: Option<String>,
}

impl<T> Collected<T> {
    /// Notes the length of a row; whether it fits the rows before it.
    fn row(&mut self, depth: usize, len: usize) -> bool {
        match self.shape.get(depth) {
            None => self.shape.push(len),
            Some(&size) if size != len && self.ragged.is_none() => {
                let first = vec![0; depth];
                let message = format!("rows differ in length: row {:?} has {len}, row {first:?} has {size}", self.path);
                self.ragged = Some(message);
            }
            Some(_) => {}
        }
        self.ragged.is_none()
    }
}

macro_rules! scalars {
    ($($rust:ty),*) => {$(
        impl Nested for $rust {
            type Element = $rust;
            fn declared() -> Shape {
                Shape::new()
            }
            fn collect(&self, _: usize, into: &mut Collected<$rust>) {
                into.values.push(*self);
            }
            fn collect_all(items: &[Self], _: usize, into: &mut Collected<$rust>) {
                into.values.extend_from_slice(items);
            }
        }
    )*};
}
scalars!(f32, f64, bf16, f16, i64, i32, u8, bool);

impl<T: Nested> Nested for [T] {
    type Element = T::Element;
    fn declared() -> Shape {
        std::iter::once(0).chain(T::declared()).collect()
    }
    fn collect(&self, depth: usize, into: &mut Collected<T::Element>) {
        if into.row(depth, self.len()) {
            T::collect_all(self, depth + 1, into);
        }
    }
}

impl<T: Nested, const N: usize> Nested for [T; N] {
    type Element = T::Element;
    fn declared() -> Shape {
        std::iter::once(N).chain(T::declared()).collect()
    }
    fn collect(&self, depth: usize, into: &mut Collected<T::Element>) {
        self.as_slice().collect(depth, into);
    }
}

impl<T: Nested> Nested for Vec<T> {
    type Element = T::Element;
    fn declared() -> Shape {
        <[T]>::declared()
    }
    fn collect(&self, depth: usize, into: &mut Collected<T::Element>) {
        self.as_slice().collect(depth, into);
    }
}

impl<T: Nested + ?Sized> Nested for &T {
    type Element = T::Element;
    fn declared() -> Shape {
        T::declared()
    }
    fn collect(&self, depth: usize, into: &mut Collected<T::Element>) {
        T::collect(self, depth, into);
    }
}

/// The shape and the numbers of a nested value, or what is wrong with it.
fn collected<X: Nested>(nested: &X) -> Result<(Shape, Vec<X::Element>)> {
    let mut into = Collected { values: Vec::new(), shape: Shape::new(), path: Vec::new(), ragged: None };
    nested.collect(0, &mut into);
    match into.ragged {
        Some(message) => Err(shape_error("from", message)),
        None => {
            let unseen = X::declared().into_iter().skip(into.shape.len());
            Ok((into.shape.into_iter().chain(unseen).collect(), into.values))
        }
    }
}

/// A number, or nested arrays, vectors or slices of numbers, row by row. **f64 becomes f32**, as
/// the module says; every other type stays what it is.
///
/// The source line in messages is that of `Tensor::from`; written as `.into()`, it is lost.
///
/// ```
/// use chainrule_engine::{DType, Tensor};
/// let x = Tensor::from([[1.0, 2.5], [3.0, 4.0]]);
/// assert_eq!((x.dtype(), x.shape()), (DType::F32, &[2, 2][..]));
/// assert_eq!(Tensor::from(vec![vec![1, 2, 3]]).dtype(), DType::I32);
/// assert_eq!(Tensor::from(true).shape(), [0usize; 0]);
///
/// let ragged = Tensor::from(vec![vec![1, 2], vec![3]]).eval().unwrap_err();
/// assert!(ragged.to_string().ends_with("rows differ in length: row [1] has 1, row [0] has 2"));
/// ```
impl<X: Nested> From<X> for Tensor {
    #[track_caller]
    fn from(nested: X) -> Tensor {
        match collected(&nested) {
            Ok((shape, values)) => {
                let data = Data::of(&values);
                let literal = data.dtype() == DType::F64;
                Tensor::leaf(shape, Arc::new(if literal { Data::from_f64(DType::F32, &data.to_f64()) } else { data }))
            }
            Err(error) => Tensor::poison(error),
        }
    }
}

impl Tensor {
    /// An f64 tensor of a number or of nested arrays, vectors or slices of numbers. i64 beyond
    /// 2^53 are rounded.
    ///
    /// ```
    /// use chainrule_engine::{DType, Tensor};
    /// let x = Tensor::f64([[0.1, 0.2]]);
    /// assert_eq!(x.dtype(), DType::F64);
    /// assert_eq!(x.to_vec::<f64>()?, [0.1, 0.2]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn f64(nested: impl Nested) -> Tensor {
        match collected(&nested) {
            Ok((shape, values)) => Tensor::leaf(shape, Arc::new(Data::of(&Data::of(&values).to_f64()))),
            Err(error) => Tensor::poison(error),
        }
    }

    /// The rows of a matrix on the host. `T` must be the element type; see [`Tensor::cast`].
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.t().to_vec2::<i32>()?, [[1, 3], [2, 4]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::to_vec`]; also, if there are not two axes.
    pub fn to_vec2<T: Element>(&self) -> Result<Vec<Vec<T>>> {
        let [rows, columns] = self.sizes("to_vec2")?;
        Ok(rows_of(&self.to_vec()?, rows, columns))
    }

    /// The matrices of a tensor of three axes on the host. `T` must be the element type.
    ///
    /// # Errors
    /// As [`Tensor::to_vec`]; also, if there are not three axes.
    pub fn to_vec3<T: Element>(&self) -> Result<Vec<Vec<Vec<T>>>> {
        let [matrices, rows, columns] = self.sizes("to_vec3")?;
        let values = self.to_vec()?;
        Ok((0..matrices).map(|i| rows_of(&values[i * rows * columns..], rows, columns)).collect())
    }

    /// The sizes of exactly `N` axes.
    fn sizes<const N: usize>(&self, operation: &str) -> Result<[usize; N]> {
        self.check()?;
        self.shape().try_into().map_err(|_| {
            let message = format!("takes {N} axes, this tensor has {}: {:?}; see `reshape`", self.rank(), self.shape());
            shape_error(operation, message).at(self.origin())
        })
    }

    /// The only element, of one of the types that `T` holds without loss.
    fn only<T>(&self, dtypes: &[DType], element: impl FnOnce(&Data) -> Option<T>) -> Result<T> {
        self.check()?;
        if self.len() != 1 {
            let message = format!("a tensor of shape {:?} is not one number", self.shape());
            return Err(shape_error("try_from", message).at(self.origin()));
        }
        let found = if dtypes.contains(&self.dtype()) { element(&*self.to_data()?) } else { None };
        found.ok_or_else(|| {
            let names: Vec<&str> = dtypes.iter().map(|dtype| dtype.name()).collect();
            let message = format!("the element is {}, not one of {}; convert with `cast`", self.dtype(), names.join(", "));
            Error::new(ErrorKind::DType, "try_from", message).at(self.origin())
        })
    }
}

/// The first `rows` rows of `columns` values.
fn rows_of<T: Element>(values: &[T], rows: usize, columns: usize) -> Vec<Vec<T>> {
    (0..rows).map(|row| values[row * columns..(row + 1) * columns].to_vec()).collect()
}

/// The one element, whatever its type; see [`Tensor::item`].
impl TryFrom<&Tensor> for f64 {
    type Error = Error;
    fn try_from(tensor: &Tensor) -> Result<f64> {
        tensor.item()
    }
}

/// The one element of an f32, bf16 or f16 tensor.
impl TryFrom<&Tensor> for f32 {
    type Error = Error;
    fn try_from(tensor: &Tensor) -> Result<f32> {
        tensor.only(&[DType::F32, DType::BF16, DType::F16], |data| data.to_f64().first().map(|&value| value as f32))
    }
}

/// The one element of an integer tensor.
impl TryFrom<&Tensor> for i64 {
    type Error = Error;
    fn try_from(tensor: &Tensor) -> Result<i64> {
        tensor.only(&[DType::I64, DType::I32, DType::U8], |data| data.to_i64().first().copied())
    }
}

/// The one element of a bool tensor.
impl TryFrom<&Tensor> for bool {
    type Error = Error;
    fn try_from(tensor: &Tensor) -> Result<bool> {
        tensor.only(&[DType::Bool], |data| data.to_i64().first().map(|&value| value != 0))
    }
}

/// The elements of a tensor of one axis; `T` must be the element type.
impl<T: Element> TryFrom<&Tensor> for Vec<T> {
    type Error = Error;
    fn try_from(tensor: &Tensor) -> Result<Vec<T>> {
        tensor.sizes::<1>("try_from")?;
        tensor.to_vec()
    }
}

/// As [`Tensor::to_vec2`].
impl<T: Element> TryFrom<&Tensor> for Vec<Vec<T>> {
    type Error = Error;
    fn try_from(tensor: &Tensor) -> Result<Vec<Vec<T>>> {
        tensor.to_vec2()
    }
}

/// The elements of a tensor of shape `[N]`; `T` must be the element type.
impl<T: Element, const N: usize> TryFrom<&Tensor> for [T; N] {
    type Error = Error;
    fn try_from(tensor: &Tensor) -> Result<[T; N]> {
        tensor.sizes::<1>("try_from")?;
        tensor.to_vec()?.try_into().map_err(|_| misfit(tensor, &[N]))
    }
}

/// The rows of a tensor of shape `[N, M]`; `T` must be the element type.
impl<T: Element, const N: usize, const M: usize> TryFrom<&Tensor> for [[T; M]; N] {
    type Error = Error;
    fn try_from(tensor: &Tensor) -> Result<[[T; M]; N]> {
        let rows = tensor.to_vec2::<T>()?.into_iter().map(|row| row.try_into().map_err(|_| misfit(tensor, &[N, M])));
        rows.collect::<Result<Vec<[T; M]>>>()?.try_into().map_err(|_| misfit(tensor, &[N, M]))
    }
}

fn misfit(tensor: &Tensor, wanted: &[usize]) -> Error {
    shape_error("try_from", format!("{:?} is not the shape {wanted:?} of the array", tensor.shape())).at(tensor.origin())
}

#[cfg(feature = "ndarray")]
mod from_ndarray {
    use super::*;
    use ndarray::{ArrayBase, ArrayD, Dimension, IxDyn};

    /// The elements in logical order, whatever the layout. The element type is kept, f64 too.
    impl<T: Element, S: ndarray::Data<Elem = T>, D: Dimension> From<&ArrayBase<S, D>> for Tensor {
        #[track_caller]
        fn from(array: &ArrayBase<S, D>) -> Tensor {
            let data = match array.as_slice() {
                Some(values) => Data::of(values),
                None => Data::of(&array.iter().copied().collect::<Vec<T>>()),
            };
            Tensor::leaf(array.shape(), Arc::new(data))
        }
    }

    /// The elements in logical order, whatever the layout. The element type is kept, f64 too.
    impl<T: Element, S: ndarray::Data<Elem = T>, D: Dimension> From<ArrayBase<S, D>> for Tensor {
        #[track_caller]
        fn from(array: ArrayBase<S, D>) -> Tensor {
            Tensor::from(&array)
        }
    }

    impl Tensor {
        /// The value as an array of the crate `ndarray`. `T` must be the element type.
        pub fn to_ndarray<T: Element>(&self) -> Result<ArrayD<T>> {
            ArrayD::from_shape_vec(IxDyn(self.shape()), self.to_vec()?)
                .map_err(|error| shape_error("to_ndarray", error.to_string()).at(self.origin()))
        }
    }
}
