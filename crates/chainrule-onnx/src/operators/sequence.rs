//! Sequences of tensors, and values that may be absent. All of it happens while recording: no node is made for a list.

use super::shape::{even, sizes};
use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, entries, limit, one, size};
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

/// How long a sequence grows one by one: each time it is copied.
const LONGEST: usize = 4096;

fn sequence(tensors: Vec<Tensor>) -> Outcome {
    Ok(vec![Value::Sequence(tensors)])
}

pub fn empty(_: &Call) -> Outcome {
    sequence(Vec::new())
}

pub fn construct(call: &Call) -> Outcome {
    sequence(call.tensors(0)?.into_iter().cloned().collect())
}

/// A position that input `index` names, by default `default`, of one of `length`.
fn position(call: &Call, index: usize, default: i64, length: usize) -> Result<usize> {
    let at = call.number(index)?.map_or(default, |at| at as i64);
    let found = if at < 0 { at + length as i64 } else { at };
    usize::try_from(found)
        .ok()
        .filter(|&found| found < length)
        .ok_or_else(|| Error::operator(format!("position {at} in a sequence of {length}")))
}

pub fn at(call: &Call) -> Outcome {
    let tensors = call.sequence(0)?;
    one(tensors[position(call, 1, 0, tensors.len())?].clone())
}

pub fn length(call: &Call) -> Outcome {
    one(Tensor::from_slice(&[call.sequence(0)?.len() as i64], ()))
}

pub fn insert(call: &Call) -> Outcome {
    let mut tensors = call.sequence(0)?.to_vec();
    if tensors.len() >= LONGEST {
        return Err(limit(format!("a sequence of more than {LONGEST} tensors that grows one by one")));
    }
    // It may also be put behind the last.
    let place = position(call, 2, tensors.len() as i64, tensors.len() + 1)?;
    let place = if call.number(2)?.is_some_and(|at| at < 0.0) { place.saturating_sub(1) } else { place };
    tensors.insert(place, call.tensor(1)?.clone());
    sequence(tensors)
}

pub fn erase(call: &Call) -> Outcome {
    let mut tensors = call.sequence(0)?.to_vec();
    tensors.remove(position(call, 1, -1, tensors.len())?);
    sequence(tensors)
}

pub fn concat(call: &Call) -> Outcome {
    let tensors: Vec<&Tensor> = call.sequence(0)?.iter().collect();
    let axis = call.integer("axis")?.ok_or_else(|| Error::operator("attribute 'axis' is missing"))? as isize;
    one(if call.flag("new_axis")? { Tensor::stack(&tensors, axis) } else { Tensor::concat(&tensors, axis) })
}

/// Parts of the sizes that are listed, or all of one size but the last; of size 1, without the axis where asked for.
pub fn split(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let axis = call.axis(call.integer_or("axis", 0)?, x.rank())?;
    let total = x.shape()[axis];
    let parts = match call.optional(1)? {
        None => {
            let parts = x.split(&vec![1; entries(total, "parts")?], axis as isize);
            let keep = call.integer_or("keepdims", 1)? != 0;
            return sequence(if keep { parts } else { parts.iter().map(|part| part.squeeze(axis as isize)).collect() });
        }
        Some(each) if each.rank() == 0 => {
            let each = call.whole_numbers(1)?.first().copied().unwrap_or(1);
            let each = size(each, "the size of a part")?.max(1);
            even(total, each, entries(total.div_ceil(each), "parts")?)
        }
        Some(_) => sizes(&call.whole_numbers(1)?)?,
    };
    if parts.iter().try_fold(0usize, |sum, &part| sum.checked_add(part)) != Some(total) {
        return Err(Error::operator(format!("parts of {parts:?} do not make up axis {axis} of {:?}", x.shape())));
    }
    sequence(x.split(&parts, axis as isize))
}

pub fn optional(call: &Call) -> Outcome {
    Ok(vec![Value::Optional(if call.given(0) { Some(Box::new(call.value(0)?.clone())) } else { None })])
}

pub fn has_element(call: &Call) -> Outcome {
    let has = call.given(0) && !matches!(call.value(0)?, Value::Optional(None));
    one(Tensor::scalar(has as u8 as f64, DType::Bool))
}

pub fn get_element(call: &Call) -> Outcome {
    match call.value(0)? {
        Value::Optional(Some(held)) => Ok(vec![(**held).clone()]),
        Value::Optional(None) => Err(Error::operator("the optional is empty")),
        value => Ok(vec![value.clone()]),
    }
}
