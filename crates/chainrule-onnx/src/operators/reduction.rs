//! Reductions along axes, positions of extremes, running sums and products.

use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, one};
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

/// What a reduction gives for no elements.
type Empty = Option<f64>;

/// The axes: an attribute, or, from the operator's version `input_since` on, an input. `None`: nothing is reduced.
fn axes(call: &Call, x: &Tensor, input_since: i64) -> Result<Option<Vec<isize>>> {
    let given = if call.version >= input_since { call.optional_whole_numbers(1)? } else { call.integers("axes")? };
    let axes = given.unwrap_or_default();
    if !axes.is_empty() {
        return call.axes(&axes, x.rank()).map(Some);
    }
    if call.flag("noop_with_empty_axes")? { Ok(None) } else { Ok(Some((0..x.rank() as isize).collect())) }
}

fn reduce(call: &Call, input_since: i64, empty: Empty, body: impl Fn(&Tensor, &[isize]) -> Tensor) -> Outcome {
    let x = call.tensor(0)?;
    // Where nothing is reduced, what is done to each element is done all the same.
    let axes = axes(call, x, input_since)?.unwrap_or_default();
    let sizes = x.shape().iter().enumerate();
    let kept: Vec<usize> = sizes.map(|(axis, &size)| if axes.contains(&(axis as isize)) { 1 } else { size }).collect();
    let none = axes.iter().any(|&axis| x.shape()[axis as usize] == 0);
    let y = match empty {
        Some(value) if none => Tensor::full(kept, value, x.dtype()),
        _ => body(x, &axes),
    };
    if call.integer_or("keepdims", 1)? != 0 {
        return one(y);
    }
    let left: Vec<usize> = (0..x.rank()).filter(|&axis| !axes.contains(&(axis as isize))).map(|axis| x.shape()[axis]).collect();
    one(if y.error().is_some() { y } else { y.reshape(left) })
}

pub fn sum(call: &Call) -> Outcome {
    reduce(call, 13, None, |x, axes| x.sum_keep(axes))
}

pub fn mean(call: &Call) -> Outcome {
    reduce(call, 18, None, |x, axes| if x.dtype().is_float() { x.mean_keep(axes) } else { whole_mean(x, axes) })
}

/// The mean of whole numbers, as NumPy rounds it to a whole number.
fn whole_mean(x: &Tensor, axes: &[isize]) -> Tensor {
    let count: f64 = axes.iter().map(|&axis| x.shape()[axis as usize] as f64).product();
    x.sum_keep(axes) / count.max(1.0)
}

pub fn product(call: &Call) -> Outcome {
    reduce(call, 18, None, |x, axes| x.prod_keep(axes))
}

pub fn sum_square(call: &Call) -> Outcome {
    reduce(call, 18, None, |x, axes| x.square().sum_keep(axes))
}

pub fn l1(call: &Call) -> Outcome {
    reduce(call, 18, None, |x, axes| x.abs().sum_keep(axes))
}

pub fn l2(call: &Call) -> Outcome {
    reduce(
        call,
        18,
        None,
        |x, axes| if x.dtype().is_float() { x.norm_keep(axes) } else { x.cast(DType::F64).norm_keep(axes).cast(x.dtype()) },
    )
}

pub fn log_sum(call: &Call) -> Outcome {
    reduce(call, 18, None, |x, axes| x.sum_keep(axes).log())
}

pub fn log_sum_exp(call: &Call) -> Outcome {
    reduce(call, 18, Some(f64::NEG_INFINITY), |x, axes| x.logsumexp_keep(axes))
}

pub fn maximum(call: &Call) -> Outcome {
    let lowest = call.tensor(0)?.dtype().lowest();
    reduce(call, 18, Some(lowest), |x, axes| of_numbers(x, |x| x.max_keep(axes)))
}

pub fn minimum(call: &Call) -> Outcome {
    let highest = call.tensor(0)?.dtype().highest();
    reduce(call, 18, Some(highest), |x, axes| of_numbers(x, |x| x.min_keep(axes)))
}

/// Bools as numbers, and back.
fn of_numbers(x: &Tensor, body: impl Fn(&Tensor) -> Tensor) -> Tensor {
    if x.dtype() == DType::Bool { body(&x.cast(DType::U8)).cast(DType::Bool) } else { body(x) }
}

fn extreme(call: &Call, find: impl Fn(&Tensor, isize) -> Tensor) -> Outcome {
    let x = call.tensor(0)?;
    let axis = call.axis(call.integer_or("axis", 0)?, x.rank())? as isize;
    let found = if call.flag("select_last_index")? {
        let last = x.shape()[axis as usize] as f64 - 1.0;
        last - find(&x.flip(&[axis]), axis)
    } else {
        find(x, axis)
    };
    one(if call.integer_or("keepdims", 1)? != 0 { found.unsqueeze(axis) } else { found })
}

pub fn arg_max(call: &Call) -> Outcome {
    extreme(call, Tensor::argmax)
}

pub fn arg_min(call: &Call) -> Outcome {
    extreme(call, Tensor::argmin)
}

/// A running reduction along the axis that input 1 names: from the end where `reverse`, without the element itself where
/// `exclusive`.
fn running(call: &Call, neutral: f64, body: impl Fn(&Tensor, isize) -> Tensor) -> Outcome {
    let x = call.tensor(0)?;
    let axis = match call.whole_numbers(1)?[..] {
        [axis] => call.axis(axis, x.rank())? as isize,
        ref axes => return Err(Error::operator(format!("input 1 names {} axes, not one", axes.len()))),
    };
    let turn = |x: &Tensor| -> Result<Tensor> { Ok(if call.flag("reverse")? { x.flip(&[axis]) } else { x.clone() }) };
    let mut y = turn(x)?;
    let size = x.shape()[axis as usize];
    if call.flag("exclusive")? && size > 0 {
        let mut first = x.shape().to_vec();
        first[axis as usize] = 1;
        y = Tensor::concat(&[&Tensor::full(first, neutral, x.dtype()), &y.slice(axis, 0..size - 1)], axis);
    }
    one(turn(&body(&y, axis))?)
}

pub fn cumulative_sum(call: &Call) -> Outcome {
    running(call, 0.0, Tensor::cumsum)
}

pub fn cumulative_product(call: &Call) -> Outcome {
    running(call, 1.0, Tensor::cumprod)
}
