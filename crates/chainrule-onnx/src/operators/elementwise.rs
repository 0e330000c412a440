//! Functions of single elements: arithmetic, comparisons, logic, powers, rounding, conversions.
//!
//! Shapes broadcast by NumPy's rule from operator set 7 on; before, by an axis that the node names.

use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, one};
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

/// A function of one tensor.
pub fn unary(call: &Call, function: impl Fn(&Tensor) -> Tensor) -> Outcome {
    one(function(call.tensor(0)?))
}

/// A function of two tensors that broadcast.
pub fn binary(call: &Call, function: impl Fn(&Tensor, &Tensor) -> Tensor) -> Outcome {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    one(function(a, &legacy(call, a, b)?))
}

/// The second operand, brought to where the node's `axis` says: before operator set 7 nothing broadcast by itself.
fn legacy(call: &Call, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if call.version >= 7 || !call.flag("broadcast")? || b.rank() == 0 {
        return Ok(b.clone());
    }
    let first = match call.integer("axis")? {
        Some(axis) => call.axis(axis, a.rank())?,
        None => a.rank().saturating_sub(b.rank()),
    };
    let Some(after) = a.rank().checked_sub(first + b.rank()) else {
        return Err(Error::operator(format!("{:?} at axis {first} reaches beyond {:?}", b.shape(), a.shape())));
    };
    Ok(b.reshape([b.shape(), &vec![1; after]].concat()))
}

/// All inputs, one after the other.
pub fn fold(call: &Call, function: impl Fn(&Tensor, &Tensor) -> Tensor) -> Result<Tensor> {
    let tensors = call.tensors(0)?;
    let Some((first, rest)) = tensors.split_first() else { return Err(Error::operator("there is no input")) };
    Ok(rest.iter().fold((*first).clone(), |so_far, next| function(&so_far, next)))
}

pub fn maximum(call: &Call) -> Outcome {
    one(fold(call, Tensor::maximum)?)
}

pub fn minimum(call: &Call) -> Outcome {
    one(fold(call, Tensor::minimum)?)
}

pub fn sum(call: &Call) -> Outcome {
    one(fold(call, |a, b| a + b)?)
}

pub fn mean(call: &Call) -> Outcome {
    one(fold(call, |a, b| a + b)? / call.count() as f64)
}

pub fn exclusive_or(a: &Tensor, b: &Tensor) -> Tensor {
    a.not_equal(b)
}

/// The result has the type of the base, whatever the type of the exponent.
pub fn power(call: &Call) -> Outcome {
    binary(call, |a, b| {
        let dtype = a.dtype();
        if dtype.is_float() {
            // An exponent that is the same number everywhere and has no history: a product where it is small and whole.
            match constant(b) {
                Some(exponent) => a.powf(exponent) + Tensor::scalar(0.0, dtype).broadcast_to(b.shape()),
                None => a.pow(&b.cast(dtype)),
            }
        } else {
            a.cast(DType::F64).pow(&b.cast(DType::F64)).cast(dtype)
        }
    })
}

/// The one number of a tensor that is known and can have no derivative.
fn constant(x: &Tensor) -> Option<f64> {
    (x.len() == 1 && !x.dtype().is_float()).then(|| x.item().ok()).flatten()
}

/// The remainder with the sign of the divisor, or, as C's `fmod`, of the dividend.
pub fn modulo(call: &Call) -> Outcome {
    if call.flag("fmod")? { binary(call, Tensor::fmod) } else { binary(call, |a, b| a % b) }
}

/// Bits moved up or down.
pub fn shift(call: &Call) -> Outcome {
    match call.text_or("direction", "")?.as_str() {
        "LEFT" => binary(call, Tensor::left_shift),
        "RIGHT" => binary(call, Tensor::right_shift),
        other => Err(Error::operator(format!("attribute 'direction' is '{other}', and must be LEFT or RIGHT"))),
    }
}

/// Between bounds, which are attributes until operator set 11 and then inputs. The upper one wins where they cross.
pub fn clip(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let bound = |index: usize, name: &str| -> Result<Option<Tensor>> {
        if call.version >= 11 {
            return Ok(call.optional(index)?.map(|bound| bound.cast(x.dtype())));
        }
        Ok(call.float(name)?.filter(|bound| bound.abs() < f32::MAX as f64).map(|bound| Tensor::scalar(bound, x.dtype())))
    };
    let (low, high) = (bound(1, "min")?, bound(2, "max")?);
    one(x.clamp_between(low.as_ref(), high.as_ref()))
}

pub fn negate(x: &Tensor) -> Tensor {
    -x
}

pub fn reciprocal(x: &Tensor) -> Tensor {
    x.recip()
}

pub fn is_infinite(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let infinite = |sign: f64| x.equal(&Tensor::full(x.shape(), sign * f64::INFINITY, x.dtype()));
    let (positive, negative) = (call.integer_or("detect_positive", 1)? != 0, call.integer_or("detect_negative", 1)? != 0);
    one(match (positive, negative) {
        (true, true) => infinite(1.0) | infinite(-1.0),
        (true, false) => infinite(1.0),
        (false, true) => infinite(-1.0),
        (false, false) => Tensor::full(x.shape(), 0.0, DType::Bool),
    })
}

/// To the type that is named: by its number, or, before operator set 6, by its name.
pub fn cast(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    if call.version >= 6 {
        let dtype = call.dtype("to")?.ok_or_else(|| Error::operator("attribute 'to' is missing"))?;
        return one(converted(x, dtype));
    }
    let name = call.text_or("to", "")?.to_lowercase();
    let found = (0..32).map(crate::proto::tensor::Element).find(|element| element.name() == name);
    let found = found.ok_or_else(|| Error::unsupported(format!("there is no element type '{name}'")))?;
    one(converted(x, call.element(found.0)?))
}

pub fn cast_like(call: &Call) -> Outcome {
    one(converted(call.tensor(0)?, call.tensor(1)?.dtype()))
}

/// Whole numbers wrap where they do not fit, as in C.
fn converted(x: &Tensor, dtype: DType) -> Tensor {
    match (x.dtype(), dtype) {
        (DType::I64 | DType::I32, DType::U8) => (x % 256).cast(dtype),
        _ => x.cast(dtype),
    }
}

pub fn choose(call: &Call) -> Outcome {
    one(call.tensor(0)?.select(call.tensor(1)?, call.tensor(2)?))
}
