//! Arrays of the reference backend: floats as f64, everything else as i64, always dense.
//!
//! Refuses to be fast.

use crate::tensor::{DType, Data, Type};

/// A value of the reference backend.
#[derive(Clone, Debug)]
pub struct Array {
    /// Shape and element type.
    pub ty: Type,
    /// The elements, row-major, each representable in the element type.
    pub values: Values,
}

/// Elements of an [`Array`].
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Of a float type.
    Float(Vec<f64>),
    /// Of an integer type or bool (0 or 1).
    Integer(Vec<i64>),
}

impl Array {
    /// Rounds every element to the type.
    pub fn new(ty: Type, values: Values) -> Array {
        let values = match (values, ty.dtype.is_float()) {
            (Values::Float(values), true) => Values::Float(values.into_iter().map(|v| ty.dtype.round(v)).collect()),
            (Values::Float(values), false) => Values::Integer(values.into_iter().map(|v| wrap(ty.dtype, v as i64)).collect()),
            (Values::Integer(values), true) => Values::Float(values.into_iter().map(|v| ty.dtype.round(v as f64)).collect()),
            (Values::Integer(values), false) => Values::Integer(values.into_iter().map(|v| wrap(ty.dtype, v)).collect()),
        };
        Array { ty, values }
    }

    /// The array of a tensor's data.
    pub fn from_data(ty: Type, data: &Data) -> Array {
        let values = if ty.dtype.is_float() { Values::Float(data.to_f64()) } else { Values::Integer(data.to_i64()) };
        Array { ty, values }
    }

    /// The elements as a tensor's data.
    pub fn to_data(&self) -> Data {
        match &self.values {
            Values::Float(values) => Data::from_f64(self.ty.dtype, values),
            Values::Integer(values) => Data::from_i64(self.ty.dtype, values),
        }
    }

    /// The elements as floats.
    pub fn floats(&self) -> Vec<f64> {
        match &self.values {
            Values::Float(values) => values.clone(),
            Values::Integer(values) => values.iter().map(|&v| v as f64).collect(),
        }
    }

    /// The elements as integers.
    pub fn integers(&self) -> Vec<i64> {
        match &self.values {
            Values::Float(values) => values.iter().map(|&v| v as i64).collect(),
            Values::Integer(values) => values.clone(),
        }
    }

    /// Picks elements: result `i` is the element at `positions[i]`, or zero.
    pub fn pick(&self, positions: impl Iterator<Item = Option<usize>>) -> Values {
        match &self.values {
            Values::Float(values) => Values::Float(positions.map(|p| p.map_or(0.0, |p| values[p])).collect()),
            Values::Integer(values) => Values::Integer(positions.map(|p| p.map_or(0, |p| values[p])).collect()),
        }
    }

    /// Adds elements up: element `i` is added to result `positions[i]`, of `len` results.
    pub fn add_up(&self, len: usize, positions: impl Iterator<Item = Option<usize>>) -> Values {
        match &self.values {
            Values::Float(values) => {
                let mut sums = vec![0.0; len];
                positions.zip(values).for_each(|(p, v)| p.into_iter().for_each(|p| sums[p] += v));
                Values::Float(sums)
            }
            Values::Integer(values) => {
                let mut sums = vec![0i64; len];
                positions.zip(values).for_each(|(p, v)| p.into_iter().for_each(|p| sums[p] = sums[p].wrapping_add(*v)));
                Values::Integer(sums)
            }
        }
    }
}

/// An integer as it wraps in a narrower type.
fn wrap(dtype: DType, value: i64) -> i64 {
    match dtype {
        DType::I32 => value as i32 as i64,
        DType::U8 => value as u8 as i64,
        DType::Bool => (value != 0) as i64,
        _ => value,
    }
}
