//! Tensors made from numbers: constants, ranges, identity matrices.
//!
//! Arrays, vectors and slices of the host come in through [`super::convert`], random numbers
//! through [`super::rng`].

use super::dtype::{DType, Element};
use super::shape::{Shape, Type};
use super::{Data, Error, ErrorKind, Tensor};
use crate::ops::{Constant, Iota, Scalar};
use std::sync::Arc;

/// Anything that names a shape: arrays, slices and vectors of sizes, and `()` for a scalar.
pub trait IntoShape {
    /// The shape.
    fn into_shape(self) -> Shape;
}

impl<const N: usize> IntoShape for [usize; N] {
    fn into_shape(self) -> Shape {
        Shape::from_slice(&self)
    }
}
impl IntoShape for &[usize] {
    fn into_shape(self) -> Shape {
        Shape::from_slice(self)
    }
}
impl<const N: usize> IntoShape for &[usize; N] {
    fn into_shape(self) -> Shape {
        Shape::from_slice(self)
    }
}
impl IntoShape for Vec<usize> {
    fn into_shape(self) -> Shape {
        self.into()
    }
}
impl IntoShape for &Vec<usize> {
    fn into_shape(self) -> Shape {
        Shape::from_slice(self)
    }
}
impl IntoShape for Shape {
    fn into_shape(self) -> Shape {
        self
    }
}
impl IntoShape for &Shape {
    fn into_shape(self) -> Shape {
        self.clone()
    }
}
impl IntoShape for () {
    fn into_shape(self) -> Shape {
        Shape::new()
    }
}
impl IntoShape for usize {
    fn into_shape(self) -> Shape {
        Shape::from_slice(&[self])
    }
}

impl Tensor {
    /// The number `value` everywhere, as the nearest element of `dtype`. In an integer tensor, a
    /// fraction and a number outside its type are errors.
    #[track_caller]
    pub fn full(shape: impl IntoShape, value: f64, dtype: DType) -> Tensor {
        // 2^63 is the float that the largest i64 rounds to, and no i64.
        let whole = dtype.is_float() || dtype == DType::Bool || (dtype.round(value) == value && value < 2f64.powi(63));
        if !whole {
            let message = format!("{value} is no {dtype}; convert the tensor with `cast` first");
            return Tensor::poison(Error::new(ErrorKind::DType, "constant", message));
        }
        let ty = Type::new(shape.into_shape(), dtype);
        Tensor::record(Constant { value: Scalar::new(value, dtype), ty }, [])
    }

    /// Zeros, f32.
    #[track_caller]
    pub fn zeros(shape: impl IntoShape) -> Tensor {
        Tensor::full(shape, 0.0, DType::F32)
    }

    /// Ones, f32.
    #[track_caller]
    pub fn ones(shape: impl IntoShape) -> Tensor {
        Tensor::full(shape, 1.0, DType::F32)
    }

    /// Zeros of the shape and type of this tensor.
    #[track_caller]
    pub fn zeros_like(&self) -> Tensor {
        self.filled(0.0)
    }

    /// Ones of the shape and type of this tensor.
    #[track_caller]
    pub fn ones_like(&self) -> Tensor {
        self.filled(1.0)
    }

    /// A poisoned tensor has no shape to take: it stays what it is.
    #[track_caller]
    fn filled(&self, value: f64) -> Tensor {
        if self.error().is_some() { self.clone() } else { Tensor::full(self.shape(), value, self.dtype()) }
    }

    /// A scalar of the given type.
    #[track_caller]
    pub fn scalar(value: f64, dtype: DType) -> Tensor {
        Tensor::full((), value, dtype)
    }

    /// `0, 1, .., n-1`.
    #[track_caller]
    pub fn arange(n: usize, dtype: DType) -> Tensor {
        Tensor::record(Iota { axis: 0, ty: Type::new(Shape::from_slice(&[n]), dtype) }, [])
    }

    /// `n` numbers from `start` to `stop`, both included, at equal distances.
    #[track_caller]
    pub fn linspace(start: f64, stop: f64, n: usize, dtype: DType) -> Tensor {
        let mut values: Vec<f64> = Vec::new();
        if values.try_reserve_exact(n).is_err() {
            return Tensor::poison(Error::new(ErrorKind::Machine, "linspace", format!("{n} numbers do not fit in memory")));
        }
        let step = if n > 1 { (stop - start) / (n - 1) as f64 } else { 0.0 };
        values.extend((0..n).map(|i| if i + 1 == n && n > 1 { stop } else { start + step * i as f64 }));
        Tensor::leaf(Shape::from_slice(&[n]), Arc::new(Data::from_f64(dtype, &values)))
    }

    /// The identity matrix of size `n`.
    #[track_caller]
    pub fn eye(n: usize, dtype: DType) -> Tensor {
        let ty = Type::new(Shape::from_slice(&[n, n]), DType::I64);
        // No closure: its line would be the node's.
        let row = Tensor::record(Iota { axis: 0, ty: ty.clone() }, []);
        let column = Tensor::record(Iota { axis: 1, ty }, []);
        row.equal(&column).cast(dtype)
    }

    /// A tensor of the slice's element type. The values must fill the shape.
    ///
    /// ```
    /// use chainrule_engine::{DType, Tensor};
    /// let x = Tensor::from_slice(&[1.0f64, 2.0, 3.0, 4.0], [2, 2]);
    /// assert_eq!(x.dtype(), DType::F64);
    /// ```
    #[track_caller]
    pub fn from_slice<T: Element>(values: &[T], shape: impl IntoShape) -> Tensor {
        Tensor::from_data(Data::of(values), shape)
    }

    /// As [`Tensor::from_slice`], of a vector.
    #[track_caller]
    pub fn from_vec<T: Element>(values: Vec<T>, shape: impl IntoShape) -> Tensor {
        Tensor::from_slice(&values, shape)
    }

    /// A tensor that holds `data`, which must fill the shape.
    #[track_caller]
    pub fn from_data(data: impl Into<Arc<Data>>, shape: impl IntoShape) -> Tensor {
        let (data, shape) = (data.into(), shape.into_shape());
        let ty = Type::new(shape, data.dtype());
        if ty.checked_len().is_some_and(|len| len != data.len()) {
            let message = format!("{} values do not fill the shape {:?}", data.len(), ty.shape);
            return Tensor::poison(Error::new(ErrorKind::Shape, "from_slice", message));
        }
        Tensor::leaf(ty.shape, data)
    }
}
