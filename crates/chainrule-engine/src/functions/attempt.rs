//! What functions of whole arrays share: mistakes that return early, and an axis brought to the end and back.

use super::recorded;
use crate::ops::movement::{Axes, inverse_order};
use crate::ops::{Gather, dtype_error, shape_error};
pub(super) use crate::tensor::indexing::{from_start, whole};
use crate::tensor::shape::resolve_axis;
use crate::tensor::{DType, Error, ErrorKind, Shape, Tensor};

/// A tensor, or the poisoned one to return instead.
pub(super) type Attempt<T = Tensor> = Result<T, Tensor>;

/// Runs `body` on behalf of the user's line, and hands on what it could not do.
#[track_caller]
pub(super) fn attempt(body: impl FnOnce() -> Attempt) -> Tensor {
    recorded(|| body().unwrap_or_else(|mistake| mistake))
}

/// As [`attempt`], of two results: after a mistake both are poisoned.
#[track_caller]
pub(super) fn attempt_two(body: impl FnOnce() -> Attempt<(Tensor, Tensor)>) -> (Tensor, Tensor) {
    recorded(|| body().unwrap_or_else(|mistake| (mistake.clone(), mistake)))
}

/// As [`attempt`], of a list: after a mistake it holds the one poisoned tensor.
#[track_caller]
pub(super) fn attempt_list(body: impl FnOnce() -> Attempt<Vec<Tensor>>) -> Vec<Tensor> {
    recorded(|| body().unwrap_or_else(|mistake| vec![mistake]))
}

/// Fails with the first mistake among the inputs.
pub(super) fn sound(inputs: &[&Tensor]) -> Attempt<()> {
    inputs.iter().find(|tensor| tensor.error().is_some()).map_or(Ok(()), |&mistake| Err(mistake.clone()))
}

/// Fails unless `true`, with a shape error.
pub(super) fn fits(name: &str, condition: bool, message: impl FnOnce() -> String) -> Attempt<()> {
    if condition { Ok(()) } else { Err(Tensor::poison(shape_error(name, message()))) }
}

/// Fails unless `true`, with an error of an argument.
pub(super) fn allowed(name: &str, condition: bool, message: impl FnOnce() -> String) -> Attempt<()> {
    if condition { Ok(()) } else { Err(Tensor::poison(Error::new(ErrorKind::Argument, name, message()))) }
}

/// Fails unless the elements are of one of the types that `takes` accepts.
pub(super) fn typed(name: &str, x: &Tensor, takes: &str, accepts: impl FnOnce(DType) -> bool) -> Attempt<()> {
    sound(&[x])?;
    let refused = || dtype_error(name, format!("takes {takes}, not {}; convert with `cast`", x.dtype()));
    if accepts(x.dtype()) { Ok(()) } else { Err(Tensor::poison(refused())) }
}

/// Fails unless the elements are floats.
pub(super) fn floats(name: &str, x: &Tensor) -> Attempt<()> {
    typed(name, x, "floats", DType::is_float)
}

/// Fails unless the elements can be positions.
pub(super) fn positions(name: &str, index: &Tensor) -> Attempt<()> {
    typed(name, index, "positions of type i64 or i32", |dtype| matches!(dtype, DType::I64 | DType::I32))
}

/// Fails unless both are of one element type.
pub(super) fn alike(name: &str, a: &Tensor, b: &Tensor) -> Attempt<()> {
    sound(&[a, b])?;
    let refused = || dtype_error(name, format!("{} with {}; convert one of them with `cast`", a.dtype(), b.dtype()));
    if a.dtype() == b.dtype() { Ok(()) } else { Err(Tensor::poison(refused())) }
}

/// An axis as people write it.
pub(super) fn axis_of(name: &str, x: &Tensor, axis: isize) -> Attempt<usize> {
    sound(&[x])?;
    resolve_axis(axis, x.rank()).ok_or_else(|| Tensor::poison(shape_error(name, format!("axis {axis} of {:?}", x.shape()))))
}

/// Axes as people write them, in their order, none twice.
pub(super) fn axes_of(name: &str, x: &Tensor, axes: &[isize]) -> Attempt<Axes> {
    let mut resolved = Axes::new();
    for &axis in axes {
        let at = axis_of(name, x, axis)?;
        fits(name, !resolved.contains(&at), || format!("axis {at} of {:?} is listed twice", x.shape()))?;
        resolved.push(at);
    }
    Ok(resolved)
}

/// The order that brings an axis to the end.
fn last_order(rank: usize, axis: usize) -> Axes {
    (0..rank).filter(|&other| other != axis).chain([axis]).collect()
}

/// The tensor with an axis brought to the end.
pub(super) fn to_last(x: &Tensor, axis: usize) -> Tensor {
    x.permute(last_order(x.rank(), axis))
}

/// The tensor with its last axis brought back to where `axis` was.
pub(super) fn from_last(x: &Tensor, axis: usize) -> Tensor {
    x.permute(inverse_order(&last_order(x.rank(), axis)))
}

/// The tensor with axes, in their order, brought to the front.
pub(super) fn to_front(x: &Tensor, axes: &[usize]) -> Tensor {
    let order: Axes = axes.iter().copied().chain((0..x.rank()).filter(|axis| !axes.contains(axis))).collect();
    x.permute(order)
}

/// A gather whose table and index share so many leading axes.
pub(super) fn gather(batch: usize, table: &Tensor, index: &Tensor) -> Tensor {
    Tensor::record(Gather { batch }, [table.clone(), index.clone()])
}

/// The shape with another size for one axis.
pub(super) fn resized(shape: &[usize], axis: usize, size: usize) -> Shape {
    let mut shape = Shape::from_slice(shape);
    shape[axis] = size;
    shape
}

/// A vector of so many positions, if there is memory for it.
pub(super) fn listed(name: &str, count: Option<usize>, positions: impl Iterator<Item = i64>) -> Attempt {
    let mut list: Vec<i64> = Vec::new();
    if count.is_none_or(|count| list.try_reserve_exact(count).is_err()) {
        return Err(Tensor::poison(Error::new(
            ErrorKind::Machine,
            name,
            "there is no memory for so many positions; make the tensors smaller",
        )));
    }
    list.extend(positions);
    Ok(Tensor::from_slice(&list, [list.len()]))
}

/// Whether elements are NaN; of integers none is.
pub(super) fn nan(x: &Tensor) -> Tensor {
    x.not_equal(x)
}
