//! Picking and placing elements by number: gathers, scatters, what is not zero, what is unique.
//!
//! Numbers count from the end where they are negative. Where they are data they stay data: a gather is recorded, not
//! evaluated. Operators whose result has as many elements as the values say are evaluated while recording, and only as
//! far as to know which elements they pick: what is picked keeps its derivative.

use super::shape::{vector, volume};
use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, entries, one, several, size};
use chainrule::functions::{PadMode, Reduce};
use chainrule::ops::Gather;
use chainrule::tensor::shape::dense_strides;
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

/// Positions as i64, the negative ones counted from the end of an axis of `size`.
pub fn positions(index: &Tensor, size: usize) -> Tensor {
    let index = index.cast(DType::I64);
    index.less(&index.zeros_like()).select(&(&index + size as f64), &index)
}

pub fn gather(call: &Call) -> Outcome {
    let (x, index) = (call.tensor(0)?, call.tensor(1)?);
    let axis = call.axis(call.integer_or("axis", 0)?, x.rank())?;
    one(x.index_select(axis as isize, &positions(index, x.shape()[axis])))
}

/// Elements of the other axes beyond the sizes of the index are left out.
fn within(x: &Tensor, index: &Tensor, axis: usize) -> Result<Tensor> {
    if index.rank() != x.rank() {
        return Err(Error::operator(format!("an index {:?} for {:?}: they have as many axes", index.shape(), x.shape())));
    }
    let mut part = x.clone();
    for at in (0..x.rank()).filter(|&at| at != axis) {
        if index.shape()[at] > x.shape()[at] {
            return Err(Error::operator(format!("an index {:?} reaches beyond {:?}", index.shape(), x.shape())));
        }
        part = part.slice(at as isize, 0..index.shape()[at]);
    }
    Ok(part)
}

pub fn gather_elements(call: &Call) -> Outcome {
    let (x, index) = (call.tensor(0)?, call.tensor(1)?);
    let axis = call.axis(call.integer_or("axis", 0)?, x.rank())?;
    let index = positions(index, x.shape()[axis]);
    one(within(x, &index, axis)?.take_along_axis(&index, axis as isize))
}

/// The rows of `index`, each a position in the axes after the first `batch`, as numbers of the elements (or parts) that
/// they name: `[batch.., rows..]`. Also how many parts there are, and the sizes of one.
fn flat(x: &[usize], index: &Tensor, batch: usize) -> Result<(Tensor, usize, Vec<usize>)> {
    let Some((&depth, _)) = index.shape().split_last() else { return Err(Error::operator("an index without axes")) };
    if batch + depth > x.len() || batch >= index.rank() {
        return Err(Error::operator(format!("an index {:?} with {batch} shared axes for {x:?}", index.shape())));
    }
    let named = &x[batch..batch + depth];
    let strides = dense_strides(named);
    let mut flat = Tensor::full(&index.shape()[..index.rank() - 1], 0.0, DType::I64);
    for (at, (&stride, &size)) in strides.iter().zip(named).enumerate() {
        flat = flat + positions(&index.index(-1, at as isize), size) * stride as f64;
    }
    Ok((flat, volume(named), x[batch + depth..].to_vec()))
}

pub fn gather_nd(call: &Call) -> Outcome {
    let (x, index) = (call.tensor(0)?, call.tensor(1)?);
    let batch = size(call.integer_or("batch_dims", 0)?, "batch_dims")?;
    let (flat, parts, rest) = flat(x.shape(), index, batch)?;
    let table = x.reshape([&x.shape()[..batch], &[parts], &rest].concat());
    one(Tensor::record(Gather { batch }, [table, flat]))
}

/// `updates` `[n, rest..]` put at the positions `index` `[n]` of `x` `[size, rest..]`, as the node says.
fn place(call: &Call, x: &Tensor, index: &Tensor, updates: &Tensor) -> Result<Tensor> {
    let how = match call.text_or("reduction", "none")?.as_str() {
        "none" => return Ok(x.index_copy(0, index, updates)),
        "add" => Reduce::Sum,
        "mul" => Reduce::Prod,
        "max" => Reduce::Max,
        "min" => Reduce::Min,
        other => return Err(Error::operator(format!("there is no reduction '{other}'"))),
    };
    Ok(x.index_reduce(0, index, updates, how, true))
}

/// Elements put where `index` says along an axis: every element of it has its own place in the other axes.
pub fn scatter_elements(call: &Call) -> Outcome {
    let (x, index, updates) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let axis = call.axis(call.integer_or("axis", 0)?, x.rank())?;
    if index.shape() != updates.shape() || index.rank() != x.rank() {
        return Err(Error::operator(format!("an index {:?} and updates {:?} for {:?}", index.shape(), updates.shape(), x.shape())));
    }
    let strides = dense_strides(x.shape());
    let mut flat = positions(index, x.shape()[axis]) * strides[axis] as f64;
    for at in (0..x.rank()).filter(|&at| at != axis) {
        let mut shape = vec![1; x.rank()];
        shape[at] = index.shape()[at];
        flat = flat + Tensor::arange(index.shape()[at], DType::I64).reshape(shape) * strides[at] as f64;
    }
    one(place(call, &x.flatten(), &flat.flatten(), &updates.flatten())?.reshape(x.shape()))
}

pub fn scatter_nd(call: &Call) -> Outcome {
    let (x, index, updates) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (flat, parts, rest) = flat(x.shape(), index, 0)?;
    let table = x.reshape([&[parts][..], &rest].concat());
    let updates = updates.reshape([&[flat.len()][..], &rest].concat());
    one(place(call, &table, &flat.flatten(), &updates)?.reshape(x.shape()))
}

/// A cache that new keys or values are written into, at a position for each example.
pub fn tensor_scatter(call: &Call) -> Outcome {
    let (past, update) = (call.tensor(0)?, call.tensor(1)?);
    let axis = call.axis(call.integer_or("axis", -2)?, past.rank())?;
    if axis == 0 || past.rank() != update.rank() {
        return Err(Error::operator(format!("an update {:?} of {:?} along axis {axis}", update.shape(), past.shape())));
    }
    let (length, new) = (past.shape()[axis], update.shape()[axis]);
    let along = |values: Tensor, at: usize| {
        let mut shape = vec![1; past.rank()];
        shape[at] = values.len();
        values.reshape(shape)
    };
    let start = match call.optional(2)? {
        Some(start) => start.cast(DType::I64),
        None => Tensor::full([past.shape()[0]], 0.0, DType::I64),
    };
    // Which element of the update comes to a place: its distance from the start, round the end where that is asked for.
    let mut from = along(Tensor::arange(length, DType::I64), axis) - along(start, 0);
    if call.text_or("mode", "linear")? == "circular" {
        from = from % length as f64;
    }
    let zero = from.zeros_like();
    let hit = from.greater_equal(&zero) & from.less(&Tensor::full(from.shape(), new as f64, DType::I64));
    one(hit.select(&update.take_along_axis(&hit.select(&from, &zero), axis as isize), past))
}

/// The positions of what is not zero, one column each.
pub fn non_zero(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let values = call.numbers(0)?;
    let found: Vec<usize> = (0..values.len()).filter(|&at| values[at] != 0.0).collect();
    let strides = dense_strides(x.shape());
    let mut columns = Vec::with_capacity(found.len() * x.rank());
    for (&stride, &size) in strides.iter().zip(x.shape()) {
        columns.extend(found.iter().map(|&at| (at / stride.max(1) as usize % size) as i64));
    }
    one(Tensor::from_slice(&columns, [x.rank(), found.len()]))
}

/// The parts of an axis, or of all elements, where a condition is true.
pub fn compress(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let kept: Vec<i64> = call.numbers(1)?.iter().enumerate().filter(|(_, value)| **value != 0.0).map(|(at, _)| at as i64).collect();
    match call.integer("axis")? {
        Some(axis) => one(x.index_select(call.axis(axis, x.rank())? as isize, &vector(&kept))),
        None => one(x.flatten().index_select(0, &vector(&kept))),
    }
}

/// The largest or smallest along an axis, in order, with their positions.
pub fn top_k(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let axis = call.axis(call.integer_or("axis", -1)?, x.rank())? as isize;
    let k = match call.version {
        1 => call.integer_or("k", 1)?,
        _ => call.whole_numbers(1)?.first().copied().ok_or_else(|| Error::operator("input 1, the number of elements, is empty"))?,
    };
    let k = size(k, "the number of elements")?;
    let (values, positions) = if call.integer_or("largest", 1)? != 0 { x.top_k(k, axis) } else { x.bottom_k(k, axis) };
    several([values, positions])
}

/// Each element, or part of an axis, once; where it stood first, which stands where, and how many there were of each.
pub fn unique(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let axis = call.integer("axis")?.map(|axis| call.axis(axis, x.rank())).transpose()?;
    let (x, axis) = match axis {
        Some(axis) => (x.clone(), axis),
        None => (x.flatten(), 0),
    };
    let values = x.to_data()?.to_f64();
    let (count, strides) = (x.shape()[axis], dense_strides(x.shape()));
    // The elements of part `at`, in order: what lies before and after the axis runs through.
    let (outer, inner): (usize, usize) = (volume(&x.shape()[..axis]), strides.get(axis).map_or(1, |&stride| stride as usize));
    let part = |at: usize| (0..outer).flat_map(move |o| (0..inner).map(move |i| (o * count + at) * inner + i)).map(|at| values[at]);
    let compare = |a: usize, b: usize| {
        part(a).zip(part(b)).map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    };
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| compare(a, b));
    // Groups of equal parts; the sort is stable, so each starts with the part that stood first.
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for at in order {
        match groups.last_mut() {
            Some(group) if compare(group[0], at).is_eq() => group.push(at),
            _ => groups.push(vec![at]),
        }
    }
    if call.integer_or("sorted", 1)? == 0 {
        groups.sort_by_key(|group| group[0]);
    }
    let mut inverse = vec![0; count];
    for (number, group) in groups.iter().enumerate() {
        group.iter().for_each(|&at| inverse[at] = number as i64);
    }
    let first: Vec<i64> = groups.iter().map(|group| group[0] as i64).collect();
    let counts: Vec<i64> = groups.iter().map(|group| group.len() as i64).collect();
    several([x.index_select(axis as isize, &vector(&first)), vector(&first), vector(&inverse), vector(&counts)])
}

/// How far what lies before and after reaches, along each axis that is named.
fn widths(call: &Call, rank: usize) -> Result<Vec<(i64, i64)>> {
    let pads = match call.version {
        1 => call.integers("paddings")?,
        2..=10 => call.integers("pads")?,
        _ => Some(call.whole_numbers(1)?),
    };
    let pads = pads.ok_or_else(|| Error::operator("the widths are missing"))?;
    let axes = match call.optional_whole_numbers(3)? {
        Some(axes) => call.axes(&axes, rank)?,
        None => (0..rank as isize).collect(),
    };
    if pads.len() != axes.len() * 2 {
        return Err(Error::operator(format!("{} widths for both sides of {} axes", pads.len(), axes.len())));
    }
    let mut widths = vec![(0, 0); rank];
    for (at, &axis) in axes.iter().enumerate() {
        let fits =
            |width: i64| if width.unsigned_abs() < 1 << 40 { Ok(width) } else { Err(Error::operator(format!("a width of {width}"))) };
        widths[axis as usize] = (fits(pads[at])?, fits(pads[at + axes.len()])?);
    }
    Ok(widths)
}

/// Elements around, or, where a width is negative, cut off.
pub fn pad(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let widths = widths(call, x.rank())?;
    let mut y = x.clone();
    for (axis, &(low, high)) in widths.iter().enumerate() {
        let length = y.shape()[axis] as i64;
        let (start, stop) = ((-low).clamp(0, length), (length + high.min(0)).clamp(0, length));
        y = y.slice(axis as isize, start..stop.max(start));
    }
    let outer: Vec<(usize, usize)> = widths.iter().map(|&(low, high)| (low.max(0) as usize, high.max(0) as usize)).collect();
    let mode = match call.text_or("mode", "constant")?.as_str() {
        "constant" if call.version < 11 => PadMode::Constant(call.float_or("value", 0.0)?),
        "constant" => {
            let Some(value) = call.optional(2)? else { return one(y.pad(&outer)) };
            let inside = Tensor::full(y.shape(), 1.0, DType::Bool).pad(&outer);
            return one(inside.select(&y.pad(&outer), &value.cast(y.dtype()).reshape(())));
        }
        "edge" => PadMode::Edge,
        "wrap" => PadMode::Wrap,
        "reflect" => PadMode::Reflect,
        other => return Err(Error::operator(format!("there is no padding mode '{other}'"))),
    };
    if !matches!(mode, PadMode::Constant(_)) {
        let longest = outer.iter().zip(y.shape()).map(|(width, size)| width.0 + width.1 + size).max();
        entries(longest.unwrap_or(0), "elements of an axis")?;
    }
    one(y.pad_mode(&outer, mode))
}

/// Boxes that overlap one of a higher score by too much are left out: which boxes stay is found while recording.
pub fn non_max_suppression(call: &Call) -> Outcome {
    let (boxes, scores) = (call.numbers(0)?, call.numbers(1)?);
    let &[batches, classes, count] = call.tensor(1)?.shape() else { return Err(Error::operator("scores are [batches, classes, boxes]")) };
    if call.tensor(0)?.shape() != [batches, count, 4] {
        return Err(Error::operator(format!("boxes {:?} for scores {:?}", call.tensor(0)?.shape(), call.tensor(1)?.shape())));
    }
    let most = call.number(2)?.unwrap_or(0.0);
    let (overlap, least) = (call.number(3)?.unwrap_or(0.0), call.number(4)?.unwrap_or(f64::NEG_INFINITY));
    let centers = call.flag("center_point_box")?;
    let corners = |at: usize| -> [f64; 4] {
        let [a, b, c, d] = [0, 1, 2, 3].map(|k| boxes[at * 4 + k]);
        // Corners come in any order; centers as x, y, width, height.
        if centers { [a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0] } else { [a.min(c), b.min(d), a.max(c), b.max(d)] }
    };
    let mut picked: Vec<i64> = Vec::new();
    for (batch, class) in (0..batches).flat_map(|batch| (0..classes).map(move |class| (batch, class))) {
        let score = |at: usize| scores[(batch * classes + class) * count + at];
        let mut order: Vec<usize> = (0..count).filter(|&at| score(at) > least).collect();
        order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
        let mut kept: Vec<[f64; 4]> = Vec::new();
        for at in order {
            if kept.len() as f64 >= most {
                break;
            }
            let candidate = corners(batch * count + at);
            if kept.iter().all(|other| shared(&candidate, other) <= overlap) {
                kept.push(candidate);
                picked.extend([batch as i64, class as i64, at as i64]);
            }
        }
    }
    one(Tensor::from_slice(&picked, [picked.len() / 3, 3]))
}

/// The area that two boxes share, as a part of what they cover together.
fn shared(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let side = |k: usize| (a[k + 2].min(b[k + 2]) - a[k].max(b[k])).max(0.0);
    let area = |c: &[f64; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let both = side(0) * side(1);
    if both == 0.0 { 0.0 } else { both / (area(a) + area(b) - both) }
}
