//! What else is done with single elements: choosing one of two, and converting one.
//!
//! Neither is a row of the tables in [`super::elementwise`]: one has operands of two types, the other a parameter.

use super::elementwise::equal_shapes;
use super::linear::Application;
use super::{Array, Derivative, Lift, LinearMap, Op, Operation, Values, dtype_error};
use crate::tensor::{DType, Error, Tensor, Type};

/// `if condition { a } else { b }`: the branch not taken contributes nothing, not even a NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Select;

/// Another element type: floats truncate to integers and saturate, NaN becomes 0; bool is "not zero".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cast(pub DType);

impl Operation for Select {
    fn name(&self) -> &'static str {
        "select"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        equal_shapes("select", inputs)?;
        if inputs[0].dtype != DType::Bool {
            return Err(dtype_error("select", format!("the condition is {}, not bool; compare it with something", inputs[0].dtype)));
        }
        if inputs[1].dtype != inputs[2].dtype {
            return Err(dtype_error("select", format!("{} or {}; convert one of them with `cast`", inputs[1].dtype, inputs[2].dtype)));
        }
        Ok(inputs[1].clone())
    }
    fn derivative(&self, node: &Tensor, input: usize) -> Derivative {
        let (condition, zero) = (Some(node.inputs()[0].clone()), || Some(node.zeros_like()));
        let masked = || match input {
            1 => Application::with(Select, [condition.clone(), None, zero()]),
            _ => Application::with(Select, [condition.clone(), zero(), None]),
        };
        match input {
            0 => Derivative::Cut("a condition has no derivative"),
            _ => LinearMap::pair(masked(), masked()).into(),
        }
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(Op::Select(*self))
    }
    fn evaluate(&self, inputs: &[&Array], _: &Type) -> Values {
        let condition = inputs[0].integers();
        match (&inputs[1].values, &inputs[2].values) {
            (Values::Integer(a), Values::Integer(b)) => Values::Integer(choose(&condition, a, b)),
            _ => Values::Float(choose(&condition, &inputs[1].floats(), &inputs[2].floats())),
        }
    }
}

fn choose<T: Copy>(condition: &[i64], a: &[T], b: &[T]) -> Vec<T> {
    condition.iter().zip(a.iter().zip(b)).map(|(&c, (&a, &b))| if c != 0 { a } else { b }).collect()
}

impl Operation for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        Ok(Type { shape: inputs[0].shape.clone(), dtype: self.0 })
    }
    fn derivative(&self, node: &Tensor, _: usize) -> Derivative {
        let from = node.inputs()[0].dtype();
        if from.is_float() && self.0.is_float() {
            LinearMap::pair(Application::of(Cast(self.0)), Application::of(Cast(from))).into()
        } else {
            Derivative::Cut("a cast to or from an integer type has no derivative")
        }
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(Op::Cast(*self))
    }
    fn evaluate(&self, inputs: &[&Array], _: &Type) -> Values {
        match &inputs[0].values {
            Values::Float(values) if !self.0.is_float() => Values::Integer(values.iter().map(|&v| self.0.round(v) as i64).collect()),
            values => values.clone(),
        }
    }
}
