//! Sizes and order: what moves elements and changes none.
//!
//! Sizes are inputs in newer versions and attributes in older ones; either way they are known when the node is recorded.

use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, entries, one, several, size};
use chainrule::functions::DepthOrder;
use chainrule::tensor::shape::{broadcast_shapes, checked_product};
use chainrule::{DType, Index, Tensor};

type Outcome = Result<Vec<Value>>;

pub fn identity(call: &Call) -> Outcome {
    Ok(vec![call.value(0)?.clone()])
}

/// A vector of whole numbers that is known.
pub fn vector(values: &[i64]) -> Tensor {
    Tensor::from_slice(values, [values.len()])
}

/// How many elements an array of these sizes has; as many as can be counted where it has more, which no array does.
pub fn volume(sizes: &[usize]) -> usize {
    checked_product(sizes).unwrap_or(usize::MAX)
}

pub fn shape(call: &Call) -> Outcome {
    let sizes: Vec<i64> = call.tensor(0)?.shape().iter().map(|&size| size as i64).collect();
    let rank = sizes.len() as i64;
    let bound = |at: i64| (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize;
    let (start, end) = (bound(call.integer_or("start", 0)?), bound(call.integer_or("end", rank)?));
    one(vector(&sizes[start..end.max(start)]))
}

pub fn count(call: &Call) -> Outcome {
    one(Tensor::from_slice(&[call.tensor(0)?.len() as i64], ()))
}

/// Sizes with 0 for "as it was" and -1 for "what is left".
pub fn reshape(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let wanted = if call.version >= 5 { call.whole_numbers(1)? } else { call.integers("shape")?.unwrap_or_default() };
    let keep_zero = call.flag("allowzero")?;
    let mut sizes = Vec::with_capacity(wanted.len());
    let mut left_over = None;
    for (axis, &wanted) in wanted.iter().enumerate() {
        sizes.push(match wanted {
            0 if !keep_zero => *x.shape().get(axis).ok_or_else(|| Error::operator(format!("size 0 at axis {axis} of {:?}", x.shape())))?,
            -1 if left_over.is_none() => {
                left_over = Some(axis);
                1
            }
            _ => size(wanted, "a size")?,
        });
    }
    if let Some(axis) = left_over {
        let known = volume(&sizes);
        let Some(rest) = x.len().checked_div(known).filter(|rest| rest.checked_mul(known) == Some(x.len())) else {
            return Err(Error::operator(format!("{:?} does not fill {wanted:?}", x.shape())));
        };
        sizes[axis] = rest;
    }
    one(x.reshape(sizes))
}

pub fn flatten(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let axis = match call.integer_or("axis", 1)? {
        axis if axis == x.rank() as i64 => x.rank(),
        axis => call.axis(axis, x.rank())?,
    };
    let (outer, inner) = x.shape().split_at(axis);
    one(x.reshape([volume(outer), volume(inner)]))
}

/// An attribute until operator set 13, then an input.
fn axes(call: &Call) -> Result<Option<Vec<i64>>> {
    if call.version >= 13 { call.optional_whole_numbers(1) } else { call.integers("axes") }
}

pub fn squeeze(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let gone: Vec<usize> = match axes(call)? {
        Some(axes) => axes.iter().map(|&axis| call.axis(axis, x.rank())).collect::<Result<_>>()?,
        None => (0..x.rank()).filter(|&axis| x.shape()[axis] == 1).collect(),
    };
    if let Some(axis) = gone.iter().find(|&&axis| x.shape()[axis] != 1) {
        return Err(Error::operator(format!("axis {axis} of {:?} is not of size 1", x.shape())));
    }
    let kept: Vec<usize> = (0..x.rank()).filter(|axis| !gone.contains(axis)).map(|axis| x.shape()[axis]).collect();
    one(x.reshape(kept))
}

pub fn unsqueeze(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let axes = axes(call)?.ok_or_else(|| Error::operator("the axes are missing"))?;
    let rank = x.rank() + axes.len();
    let mut new: Vec<usize> = axes.iter().map(|&axis| call.axis(axis, rank)).collect::<Result<_>>()?;
    new.sort_unstable();
    new.dedup();
    if new.len() != axes.len() {
        return Err(Error::operator(format!("the axes {axes:?} name one twice")));
    }
    let mut sizes = x.shape().to_vec();
    new.iter().for_each(|&axis| sizes.insert(axis, 1));
    one(x.reshape(sizes))
}

pub fn transpose(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let order: Vec<usize> = match call.integers("perm")? {
        Some(order) => order.iter().map(|&axis| call.axis(axis, x.rank())).collect::<Result<_>>()?,
        None => (0..x.rank()).rev().collect(),
    };
    one(x.permute(order))
}

/// Sizes that must not be negative.
pub fn sizes(values: &[i64]) -> Result<Vec<usize>> {
    values.iter().map(|&value| size(value, "a size")).collect()
}

pub fn expand(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let wanted = sizes(&call.whole_numbers(1)?)?;
    match broadcast_shapes(x.shape(), &wanted) {
        Ok(joint) => one(x.broadcast_to(joint)),
        Err(_) => Err(Error::operator(format!("{:?} does not broadcast to {wanted:?}", x.shape()))),
    }
}

pub fn concat(call: &Call) -> Outcome {
    let tensors = call.tensors(0)?;
    let default = if call.version < 4 { Some(1) } else { None };
    let axis = call.integer("axis")?.or(default).ok_or_else(|| Error::operator("attribute 'axis' is missing"))?;
    one(Tensor::concat(&tensors, axis as isize))
}

/// Sizes as they are listed, or as many parts as outputs, the last ones shorter where they must be.
pub fn split(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let axis = call.axis(call.integer_or("axis", 0)?, x.rank())?;
    let listed =
        if call.version >= 13 { call.optional_whole_numbers(1)? } else { call.integers("split")?.or(call.optional_whole_numbers(1)?) };
    let parts = match listed {
        Some(listed) => sizes(&listed)?,
        None => {
            let count = size(call.integer_or("num_outputs", call.outputs() as i64)?, "num_outputs")?;
            let count = entries(count, "parts")?.max(1);
            even(x.shape()[axis], x.shape()[axis].div_ceil(count), count)
        }
    };
    several(x.split(&parts, axis as isize))
}

/// Parts of `each`, as many as are asked for; what is short is short at the end.
pub fn even(mut total: usize, each: usize, count: usize) -> Vec<usize> {
    let part = |_| {
        let part = each.min(total);
        total -= part;
        part
    };
    (0..count).map(part).collect()
}

pub fn slice(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let (starts, ends, axes, steps) = if call.version >= 10 {
        (call.whole_numbers(1)?, call.whole_numbers(2)?, call.optional_whole_numbers(3)?, call.optional_whole_numbers(4)?)
    } else {
        let listed = |name: &str| -> Result<Vec<i64>> {
            call.integers(name)?.ok_or_else(|| Error::operator(format!("attribute '{name}' is missing")))
        };
        (listed("starts")?, listed("ends")?, call.integers("axes")?, None)
    };
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err(Error::operator(format!(
            "{} starts, {} ends, {} axes and {} steps",
            starts.len(),
            ends.len(),
            axes.len(),
            steps.len()
        )));
    }
    let mut indices = vec![Index::All; x.rank()];
    for (at, &axis) in axes.iter().enumerate() {
        let axis = call.axis(axis, x.rank())?;
        indices[axis] = range(starts[at], ends[at], steps[at], x.shape()[axis] as i64);
    }
    one(x.at(indices))
}

/// A range as ONNX writes it: bounds that are far away stand for the ends.
fn range(start: i64, stop: i64, step: i64, length: i64) -> Index {
    let from_start = |at: i64| if at < 0 { at.saturating_add(length) } else { at };
    let (start, stop) = if step < 0 {
        // Before the first position there is none: a stop there takes the first one too.
        (from_start(start).clamp(-1, length - 1), from_start(stop).clamp(-1, length - 1))
    } else {
        (from_start(start).clamp(0, length), from_start(stop).clamp(0, length))
    };
    if step < 0 && start < 0 {
        return Index::Range { start: Some(0), stop: Some(0), step: 1 };
    }
    let stop = if step < 0 && stop < 0 { None } else { Some(stop as isize) };
    Index::Range { start: Some(start as isize), stop, step: step as isize }
}

pub fn tile(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    if call.version < 6 {
        let axis = call.number(2)?.unwrap_or(0.0) as i64;
        let mut counts = vec![1; x.rank()];
        counts[call.axis(axis, x.rank())?] = size(call.number(1)?.unwrap_or(1.0) as i64, "the number of tiles")?;
        return one(x.tile(&counts));
    }
    one(x.tile(&sizes(&call.whole_numbers(1)?)?))
}

/// The depth of a pixel spread over a block, in the order that `mode` says.
pub fn depth_to_space(call: &Call) -> Outcome {
    let order = match call.text_or("mode", "DCR")?.as_str() {
        "DCR" => DepthOrder::BlockFirst,
        "CRD" => DepthOrder::DepthFirst,
        other => return Err(Error::operator(format!("there is no mode '{other}'"))),
    };
    one(call.tensor(0)?.depth_to_space(size(call.integer_or("blocksize", 0)?, "blocksize")?, order))
}

pub fn space_to_depth(call: &Call) -> Outcome {
    one(call.tensor(0)?.space_to_depth(size(call.integer_or("blocksize", 0)?, "blocksize")?, DepthOrder::BlockFirst))
}

/// Cut from or padded around the middle, to the sizes of input 1.
pub fn center_crop_pad(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let wanted = sizes(&call.whole_numbers(1)?)?;
    let axes = match call.integers("axes")? {
        Some(axes) => call.axes(&axes, x.rank())?,
        None => (0..x.rank() as isize).collect(),
    };
    if axes.len() != wanted.len() {
        return Err(Error::operator(format!("{} sizes for {} axes", wanted.len(), axes.len())));
    }
    let mut y = x.clone();
    let mut widths = vec![(0, 0); x.rank()];
    for (&axis, &wanted) in axes.iter().zip(&wanted) {
        let size = x.shape()[axis as usize];
        if wanted < size {
            let start = (size - wanted) / 2;
            y = y.slice(axis, start..start + wanted);
        } else {
            let missing = wanted - size;
            widths[axis as usize] = (missing / 2, missing - missing / 2);
        }
    }
    one(y.pad(&widths))
}

/// The first elements of each example in reverse order, as many as input 1 says.
pub fn reverse_sequence(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let (batch, time) = (call.axis(call.integer_or("batch_axis", 1)?, x.rank())?, call.axis(call.integer_or("time_axis", 0)?, x.rank())?);
    one(reversed(x, &call.tensor(1)?.cast(DType::I64), batch, time))
}

/// Along `time`, the first `lengths` elements of each index of `batch` turned round.
pub fn reversed(x: &Tensor, lengths: &Tensor, batch: usize, time: usize) -> Tensor {
    let along = |values: &Tensor, axis: usize| {
        let mut shape = vec![1; x.rank()];
        shape[axis] = values.len();
        values.reshape(shape)
    };
    let (step, length) = (along(&Tensor::arange(x.shape()[time], DType::I64), time), along(lengths, batch));
    let position = step.less(&length).select(&(&length - &step - 1), &step);
    x.take_along_axis(&position, time as isize)
}

/// The lower or upper triangle of matrices.
pub fn triangle(call: &Call) -> Outcome {
    let (x, k) = (call.tensor(0)?, call.number(1)?.unwrap_or(0.0) as isize);
    one(if call.integer_or("upper", 1)? != 0 { x.triu(k) } else { x.tril(k) })
}
