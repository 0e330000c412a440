//! The order of elements along the last axis.
//!
//! Refuses to move what it orders: a sorted tensor is gathered by the positions, and its derivatives of every
//! order are those of a gather.

use super::{Array, Derivative, Lift, Operation, Values, shape_error};
use crate::tensor::{DType, Error, Tensor, Type};
use std::cmp::Ordering;

/// Positions (i64) along the last axis, in the order of the elements: of equal ones the first comes first, whichever
/// way the order runs. NaN is larger than any number, as in NumPy and PyTorch; -0 is equal to 0. The result is as long
/// as the first so many that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArgSort {
    /// From the largest to the smallest.
    pub descending: bool,
    /// How many of the first positions; all if nothing is said.
    pub first: Option<usize>,
}

impl Operation for ArgSort {
    fn name(&self) -> &'static str {
        "argsort"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        if inputs[0].shape.is_empty() {
            return Err(shape_error("argsort", "a scalar has no axis to sort along".into()));
        }
        let mut shape = inputs[0].shape.clone();
        if let (Some(last), Some(first)) = (shape.last_mut(), self.first) {
            if first > *last {
                return Err(shape_error("argsort", format!("the first {first} of {last} elements")));
            }
            *last = first;
        }
        Ok(Type::new(shape, DType::I64))
    }
    fn derivative(&self, _: &Tensor, _: usize) -> Derivative {
        Derivative::Cut("an index has no derivative")
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Mixed((*self).into())
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        let row = inputs[0].ty.shape.last().copied().unwrap_or(0).max(1);
        let first = ty.shape.last().copied().unwrap_or(0);
        match &inputs[0].values {
            Values::Float(values) => sorted(values, (row, first), self.descending, numbers_then_nan),
            Values::Integer(values) => sorted(values, (row, first), self.descending, i64::cmp),
        }
    }
}

fn numbers_then_nan(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn sorted<T>(values: &[T], (row, first): (usize, usize), descending: bool, compare: impl Fn(&T, &T) -> Ordering) -> Values {
    let mut positions = Vec::with_capacity(values.len());
    for row in values.chunks(row) {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|&i, &j| if descending { compare(&row[j], &row[i]) } else { compare(&row[i], &row[j]) });
        positions.extend(order.into_iter().take(first).map(|at| at as i64));
    }
    Values::Integer(positions)
}
