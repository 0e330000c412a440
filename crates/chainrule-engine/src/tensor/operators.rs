//! `+ - * /`, negation and remainder on every mix of `Tensor`, `&Tensor` and numbers, with
//! NumPy's broadcasting, `! & | ^` on tensors of bool and, bit by bit, of
//! integers, and `<< >>` on integers. Numbers are f64 or i32: one type of each kind,
//! so that a literal needs no suffix.

use super::shape::broadcast_shapes;
use super::{DType, Tensor};
use crate::ops::{Binary, Operation, Unary, shape_error};
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Rem, Shl, Shr, Sub};

impl Tensor {
    /// Records a function of two operands after broadcasting them to one shape.
    #[track_caller]
    pub(crate) fn binary(op: Binary, a: Tensor, b: Tensor) -> Tensor {
        if a.shape() == b.shape() {
            return Tensor::record(op, [a, b]);
        }
        if let Some(poisoned) = [&a, &b].into_iter().find(|t| t.error().is_some()) {
            return poisoned.clone();
        }
        match broadcast_shapes(a.shape(), b.shape()) {
            Ok(shape) => Tensor::record(op, [a.broadcast_to(shape.clone()), b.broadcast_to(shape)]),
            Err((x, y)) => {
                let message = format!("shapes {:?} and {:?} do not broadcast ({x} against {y})", a.shape(), b.shape());
                Tensor::poison(shape_error(op.name(), message))
            }
        }
    }

    /// Records a function of a tensor and a number, which takes the tensor's element type.
    #[track_caller]
    pub(crate) fn with_number(op: Binary, a: &Tensor, number: f64, number_first: bool) -> Tensor {
        if a.error().is_some() {
            return a.clone();
        }
        let number = Tensor::full(a.shape(), number, a.dtype());
        if number_first { Tensor::binary(op, number, a.clone()) } else { Tensor::binary(op, a.clone(), number) }
    }
}

/// An operator on two tensors, by value or by reference.
macro_rules! of_tensors {
    ($($trait:ident $method:ident $op:ident),*) => {$(
        impl $trait<&Tensor> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor { Tensor::binary(Binary::$op, self.clone(), other.clone()) }
        }
        impl $trait<Tensor> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor { Tensor::binary(Binary::$op, self.clone(), other) }
        }
        impl $trait<&Tensor> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor { Tensor::binary(Binary::$op, self, other.clone()) }
        }
        impl $trait<Tensor> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor { Tensor::binary(Binary::$op, self, other) }
        }
    )*};
}
of_tensors!(
    Add add Add, Sub sub Subtract, Mul mul Multiply, Div div Divide, Rem rem Remainder, BitAnd bitand And, BitOr bitor Or,
    Shl shl ShiftLeft, Shr shr ShiftRight
);

/// An operator on a tensor and a number, either way round.
macro_rules! with_numbers {
    ($($trait:ident $method:ident $op:ident),*) => {$( with_numbers!(@ $trait $method $op: f64 i32); )*};
    (@ $trait:ident $method:ident $op:ident: $($number:ty)*) => {$(
        impl $trait<$number> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, number: $number) -> Tensor { Tensor::with_number(Binary::$op, self, number as f64, false) }
        }
        impl $trait<$number> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, number: $number) -> Tensor { Tensor::with_number(Binary::$op, &self, number as f64, false) }
        }
        impl $trait<&Tensor> for $number {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, tensor: &Tensor) -> Tensor { Tensor::with_number(Binary::$op, tensor, self as f64, true) }
        }
        impl $trait<Tensor> for $number {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, tensor: Tensor) -> Tensor { Tensor::with_number(Binary::$op, &tensor, self as f64, true) }
        }
    )*};
}
with_numbers!(Add add Add, Sub sub Subtract, Mul mul Multiply, Div div Divide, Rem rem Remainder);
with_numbers!(@ Shl shl ShiftLeft: i32);
with_numbers!(@ Shr shr ShiftRight: i32);

impl Neg for &Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        Tensor::record(Unary::Negate, [self.clone()])
    }
}

impl Neg for Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        Tensor::record(Unary::Negate, [self])
    }
}

impl Not for &Tensor {
    type Output = Tensor;
    #[track_caller]
    fn not(self) -> Tensor {
        self.inverted()
    }
}

impl Not for Tensor {
    type Output = Tensor;
    #[track_caller]
    fn not(self) -> Tensor {
        self.inverted()
    }
}

/// `^` of two tensors, by value or by reference.
macro_rules! exclusive {
    ($($a:ty, $b:ty);*) => {$(
        impl BitXor<$b> for $a {
            type Output = Tensor;
            #[track_caller]
            fn bitxor(self, other: $b) -> Tensor {
                Tensor::xor(&self, &other)
            }
        }
    )*};
}
exclusive!(&Tensor, &Tensor; &Tensor, Tensor; Tensor, &Tensor; Tensor, Tensor);

impl Tensor {
    /// Every bit the other way round. Bits are no operation of their own for that: a number and its inverse add up to
    /// all bits set.
    #[track_caller]
    fn inverted(&self) -> Tensor {
        match self.dtype() {
            _ if self.error().is_some() => self.clone(),
            DType::I64 | DType::I32 => -1 - self,
            DType::U8 => 255 - self,
            _ => Tensor::record(Unary::Not, [self.clone()]),
        }
    }
}
