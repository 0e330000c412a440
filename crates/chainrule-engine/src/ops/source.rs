//! Operations that make values out of nothing: leaves, constants, coordinates, random numbers.

use super::{Array, Derivative, Lift, Op, Operation, Values, dtype_error, shape_error};
use crate::tensor::random::draw;
use crate::tensor::shape::for_each_index;
use crate::tensor::{DType, Error, Shape, Tensor, Type};

/// A leaf: data, or a placeholder that a captured step fills. Its type is given by whoever makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Input;

/// The same number everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Constant {
    /// The number.
    pub value: Scalar,
    /// Of the result.
    pub ty: Type,
}

impl Constant {
    /// Whether every bit of every element is 0; those of a negative zero are not.
    pub fn is_all_zero_bits(&self) -> bool {
        matches!(self.value, Scalar::Float(0) | Scalar::Integer(0))
    }
}

/// The coordinate along one axis, as a number: NumPy's `arange`, spread over a shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Iota {
    /// Along which axis.
    pub axis: usize,
    /// Of the result.
    pub ty: Type,
}

/// Random integers in `0..2^bits` from a key (an i64 tensor): one draw of `shape` for each
/// element of the key, by the counter-based generator in [`crate::tensor::random`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Random {
    /// 1 to 31 for an i32 result, 32 to 64 for i64 (64: any i64).
    pub bits: u32,
    /// What one element of the key yields.
    pub shape: Shape,
    /// Where in each key's stream the draw begins.
    pub offset: u64,
}

/// A number in a graph; floats are compared and hashed by their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// The bits of an f64.
    Float(u64),
    /// An integer; bool as 0 or 1.
    Integer(i64),
}

impl Scalar {
    /// `value` as an element of `dtype`: rounded for floats, truncated for integers.
    pub fn new(value: f64, dtype: DType) -> Scalar {
        if dtype.is_float() { Scalar::Float(dtype.round(value).to_bits()) } else { Scalar::Integer(dtype.round(value) as i64) }
    }

    /// The number as a float.
    pub fn to_f64(self) -> f64 {
        match self {
            Scalar::Float(bits) => f64::from_bits(bits),
            Scalar::Integer(value) => value as f64,
        }
    }

    /// Whether this is the number `value` (so -0.0 is 0.0).
    pub fn is(self, value: f64) -> bool {
        self.to_f64() == value
    }
}

const NO_INPUT: Derivative = Derivative::Cut("it has no input");

impl Operation for Input {
    fn name(&self) -> &'static str {
        "input"
    }
    fn infer(&self, _: &[&Type]) -> Result<Type, Error> {
        Err(shape_error("input", "a leaf is made from data, or by `Tensor::placeholder`".into()))
    }
    fn derivative(&self, _: &Tensor, _: usize) -> Derivative {
        NO_INPUT
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Mixed(Op::Input(*self))
    }
    fn evaluate(&self, _: &[&Array], ty: &Type) -> Values {
        // Evaluation takes leaves from their data; a leaf without any is refused before.
        Values::Integer(vec![0; ty.len()])
    }
}

impl Operation for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }
    fn infer(&self, _: &[&Type]) -> Result<Type, Error> {
        Ok(self.ty.clone())
    }
    fn derivative(&self, _: &Tensor, _: usize) -> Derivative {
        NO_INPUT
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Mixed(self.clone().into())
    }
    fn evaluate(&self, _: &[&Array], ty: &Type) -> Values {
        match self.value {
            Scalar::Float(bits) => Values::Float(vec![f64::from_bits(bits); ty.len()]),
            Scalar::Integer(value) => Values::Integer(vec![value; ty.len()]),
        }
    }
}

impl Operation for Iota {
    fn name(&self) -> &'static str {
        "iota"
    }
    fn infer(&self, _: &[&Type]) -> Result<Type, Error> {
        if self.axis >= self.ty.shape.len() {
            return Err(shape_error("iota", format!("axis {} of a shape of {} axes", self.axis, self.ty.shape.len())));
        }
        if self.ty.dtype == DType::Bool {
            return Err(dtype_error("iota", "coordinates cannot be bool; choose an integer or float type".into()));
        }
        Ok(self.ty.clone())
    }
    fn derivative(&self, _: &Tensor, _: usize) -> Derivative {
        NO_INPUT
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Mixed(self.clone().into())
    }
    fn evaluate(&self, _: &[&Array], ty: &Type) -> Values {
        let mut values = Vec::with_capacity(ty.len());
        for_each_index(&ty.shape, |index| values.push(index[self.axis] as i64));
        Values::Integer(values)
    }
}

impl Random {
    /// The type of the numbers.
    pub fn dtype(&self) -> DType {
        if self.bits < 32 { DType::I32 } else { DType::I64 }
    }
}

impl Operation for Random {
    fn name(&self) -> &'static str {
        "random"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        if inputs[0].dtype != DType::I64 {
            return Err(dtype_error("random", format!("a key is i64, this one is {}", inputs[0].dtype)));
        }
        if !(1..=64).contains(&self.bits) {
            return Err(dtype_error("random", format!("{} bits asked for, 1 to 64 can be had", self.bits)));
        }
        let draw = Type::new(self.shape.clone(), self.dtype());
        if draw.checked_len().is_some_and(|count| self.offset.checked_add(count as u64).is_none()) {
            return Err(shape_error(
                "random",
                format!("{:?} numbers from place {} on are more than a stream has", self.shape, self.offset),
            ));
        }
        let shape: Shape = inputs[0].shape.iter().chain(&self.shape).copied().collect();
        Ok(Type::new(shape, self.dtype()))
    }
    fn derivative(&self, _: &Tensor, _: usize) -> Derivative {
        Derivative::Cut("random numbers do not vary smoothly with their key")
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Mixed(self.clone().into())
    }
    fn evaluate(&self, inputs: &[&Array], _: &Type) -> Values {
        let count: usize = self.shape.iter().product();
        let number = |key: i64, n: usize| draw(key, self.offset + n as u64, self.bits);
        Values::Integer(inputs[0].integers().into_iter().flat_map(|key| (0..count).map(move |n| number(key, n))).collect())
    }
}
