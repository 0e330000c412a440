//! Tensors from nothing: constants, ranges, identities, random numbers.

use super::shape::{sizes, vector};
use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, limit, one, size};
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

pub fn constant(call: &Call) -> Outcome {
    if let Some(value) = call.constant("value")? {
        return one(value);
    }
    if let Some(value) = call.float("value_float")? {
        return one(Tensor::scalar(value, call.recorder.float_type(DType::F32)));
    }
    if let Some(values) = call.floats("value_floats")? {
        return one(Tensor::from_slice(&values, [values.len()]).cast(call.recorder.float_type(DType::F32)));
    }
    if let Some(value) = call.integer("value_int")? {
        return one(Tensor::from_slice(&[value], ()));
    }
    if let Some(values) = call.integers("value_ints")? {
        return one(vector(&values));
    }
    if let Some(what) = ["sparse_value", "value_string", "value_strings"].into_iter().find(|name| call.has(name)) {
        return Err(Error::unsupported(format!("a constant by '{what}'; strings and sparse tensors are not the engine's")));
    }
    Err(Error::operator("there is no value"))
}

pub fn constant_of_shape(call: &Call) -> Outcome {
    let shape = sizes(&call.whole_numbers(0)?)?;
    match call.constant("value")? {
        None => one(Tensor::full(shape, 0.0, call.recorder.float_type(DType::F32))),
        Some(value) if value.len() == 1 => one(value.reshape(()).broadcast_to(shape)),
        Some(value) => Err(Error::operator(format!("attribute 'value' has {} elements, not one", value.len()))),
    }
}

pub fn range(call: &Call) -> Outcome {
    let dtype = call.tensor(0)?.dtype();
    let length = |count: f64| -> Result<usize> {
        if count.is_nan() || count > 1e12 { Err(limit(format!("a range of {count} elements"))) } else { Ok(count.max(0.0) as usize) }
    };
    if dtype.is_float() {
        let read = |index: usize| Ok::<f64, Error>(call.number(index)?.unwrap_or(0.0));
        let count = length(((read(1)? - read(0)?) / read(2)?).ceil())?;
        let wide = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
        let start = call.tensor(0)?.cast(wide).reshape(());
        return one((Tensor::arange(count, wide) * call.tensor(2)?.cast(wide).reshape(()) + start).cast(dtype));
    }
    let read = |index: usize| call.whole_numbers(index)?.first().copied().ok_or_else(|| Error::operator(format!("input {index} is empty")));
    let (start, limit, step) = (read(0)?, read(1)?, read(2)?);
    if step == 0 {
        return Err(Error::operator("the step is 0"));
    }
    let count = length(((limit as i128 - start as i128) as f64 / step as f64).ceil())?;
    let known = |value: i64| Tensor::from_slice(&[value], ());
    one((Tensor::arange(count, DType::I64) * known(step) + known(start)).cast(dtype))
}

pub fn eye_like(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let &[rows, columns] = x.shape() else { return Err(Error::operator(format!("takes a matrix, not {:?}", x.shape()))) };
    let dtype = call.dtype("dtype")?.unwrap_or(x.dtype());
    let k = call.integer_or("k", 0)?;
    let row = Tensor::arange(rows, DType::I64).unsqueeze(1) + Tensor::from_slice(&[k], ());
    one(row.equal(&Tensor::arange(columns, DType::I64)).cast(dtype))
}

/// Class numbers, negative from the end, as rows of two values.
pub fn one_hot(call: &Call) -> Outcome {
    let (index, values) = (call.tensor(0)?, call.tensor(2)?);
    let depth = call.number(1)?.ok_or_else(|| Error::operator("input 1, the depth, is missing"))?;
    let depth = size(depth as i64, "the depth")?;
    let rank = index.rank() + 1;
    let axis = call.axis(call.integer_or("axis", -1)?, rank)?;
    let index = index.cast(DType::I64);
    let index = index.less(&index.zeros_like()).select(&(&index + depth as f64), &index);
    let hot = index.one_hot(depth, DType::Bool);
    let order: Vec<usize> = (0..axis).chain([rank - 1]).chain(axis..rank - 1).collect();
    if values.shape() != [2] {
        return Err(Error::operator(format!("input 2 holds the value for off and for on, not {:?}", values.shape())));
    }
    one(hot.permute(order).select(&values.at(1), &values.at(0)))
}

fn float_type(call: &Call, like: Option<DType>) -> Result<DType> {
    Ok(call.dtype("dtype")?.or(like.filter(|dtype| dtype.is_float())).unwrap_or(call.recorder.float_type(DType::F32)))
}

fn normal(call: &Call, shape: &[usize], dtype: DType) -> Outcome {
    let (mean, scale) = (call.float_or("mean", 0.0)?, call.float_or("scale", 1.0)?);
    one(call.random(|rng| Tensor::randn_of(shape, dtype, rng) * scale + mean)?)
}

fn uniform(call: &Call, shape: &[usize], dtype: DType) -> Outcome {
    let (low, high) = (call.float_or("low", 0.0)?, call.float_or("high", 1.0)?);
    one(call.random(|rng| Tensor::rand_of(shape, dtype, rng) * (high - low) + low)?)
}

fn listed_shape(call: &Call) -> Result<Vec<usize>> {
    sizes(&call.integers("shape")?.ok_or_else(|| Error::operator("attribute 'shape' is missing"))?)
}

pub fn random_normal(call: &Call) -> Outcome {
    normal(call, &listed_shape(call)?, float_type(call, None)?)
}

pub fn random_uniform(call: &Call) -> Outcome {
    uniform(call, &listed_shape(call)?, float_type(call, None)?)
}

pub fn random_normal_like(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    normal(call, x.shape(), float_type(call, Some(x.dtype()))?)
}

pub fn random_uniform_like(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    uniform(call, x.shape(), float_type(call, Some(x.dtype()))?)
}

/// 1 with the probability that the input gives.
pub fn bernoulli(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let draw = call.random(|rng| Tensor::rand_of(x.shape(), x.dtype(), rng))?;
    one(draw.less(x).cast(call.dtype("dtype")?.unwrap_or(x.dtype())))
}

/// Class numbers drawn from unnormalised log-probabilities, by the largest of Gumbel's noise added: Gumbel (1954).
pub fn multinomial(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let &[rows, classes] = x.shape() else { return Err(Error::operator(format!("takes [rows, classes], not {:?}", x.shape()))) };
    let samples = size(call.integer_or("sample_size", 1)?, "sample_size")?;
    let uniform = call.random(|rng| 1.0 - Tensor::rand_of([rows, samples, classes], DType::F64, rng))?;
    let noisy = x.cast(DType::F64).unsqueeze(1) - (-uniform.log()).log();
    one(noisy.argmax(2).cast(call.dtype("dtype")?.unwrap_or(DType::I32)))
}
