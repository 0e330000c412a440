//! Random views: orders of axes, steps of either sign, offsets, repetitions, windows. Programs read their inputs through
//! them, and apply them to what they have computed.
//!
//! Refuses to compute anything: every element of a result is one of the operand's.

use crate::support::Numbers;
use chainrule_engine::Tensor;
use chainrule_engine::ops::{Broadcast, Permute, Reverse, Slice, Window};
use chainrule_engine::tensor::indexing::Index;

/// Elements that a view may have at most: a larger one is not taken.
const MOST: usize = 80;

/// A shape of no to four axes, of at most so many elements; one in sixty has an axis without any.
pub fn shape(numbers: &mut Numbers, most: usize) -> Vec<usize> {
    let (rank, empty) = (numbers.below(5), numbers.below(60) == 0);
    let mut shape: Vec<usize> = Vec::new();
    for _ in 0..rank {
        let size = [1, 2, 3, 4, 5, 7, 2, 3, 11, 17][numbers.below(10)];
        shape.push(if shape.iter().product::<usize>() * size <= most { size } else { 1 });
    }
    if let (true, Some(size)) = (empty, shape.first_mut()) {
        *size = 0;
    }
    shape
}

/// Some view of `x`; now and then `x` itself.
pub fn view(x: &Tensor, numbers: &mut Numbers) -> Tensor {
    let y = match numbers.below(12) {
        0 | 1 => Tensor::record(Permute(order(x.rank(), numbers).as_slice().into()), [x.clone()]),
        2 | 3 => sliced(x, numbers),
        4 => stepped(x, numbers),
        5 => Tensor::record(Reverse(some_axes(x.rank(), numbers).as_slice().into()), [x.clone()]),
        6 => repeated(x, numbers),
        7 => stretched(x, numbers),
        8 => windows(x, numbers),
        9 => position(x, numbers),
        10 => reshaped(x, numbers),
        _ => x.unsqueeze(numbers.below(x.rank() + 1) as isize),
    };
    if y.len() > MOST || y.rank() > 5 { x.clone() } else { y }
}

fn order(rank: usize, numbers: &mut Numbers) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rank).collect();
    (1..rank).rev().for_each(|i| order.swap(i, numbers.below(i + 1)));
    order
}

fn some_axes(rank: usize, numbers: &mut Numbers) -> Vec<usize> {
    (0..rank).filter(|_| numbers.below(2) == 0).collect()
}

/// A slice with an offset and a step along every axis; one in forty axes is left without elements.
fn sliced(x: &Tensor, numbers: &mut Numbers) -> Tensor {
    let (mut start, mut stop, mut step) = (Vec::new(), Vec::new(), Vec::new());
    for &n in x.shape() {
        let from = numbers.below(n.clamp(1, 3));
        let left = n - from.min(n);
        let count = if numbers.below(40) == 0 { 0 } else { left - numbers.below(left.clamp(1, 2)) };
        start.push(from.min(n));
        stop.push(from.min(n) + count);
        step.push(1 + numbers.below(3));
    }
    Tensor::record(Slice { start: start.as_slice().into(), stop: stop.as_slice().into(), step: step.as_slice().into() }, [x.clone()])
}

/// Ranges with steps of either sign along some axes.
fn stepped(x: &Tensor, numbers: &mut Numbers) -> Tensor {
    some_axes(x.rank(), numbers).into_iter().fold(x.clone(), |x, axis| {
        let by = [-3, -2, -1, 2][numbers.below(4)];
        let end = numbers.below(2) as isize;
        let range = if by < 0 { Index::Range { start: Some(-1 - end), stop: None, step: by } } else { Index::range(end, isize::MAX, by) };
        x.slice(axis as isize, range)
    })
}

/// One or two new axes along which elements repeat.
fn repeated(x: &Tensor, numbers: &mut Numbers) -> Tensor {
    let count = 1 + numbers.below(2);
    let rank = x.rank() + count;
    let axes: Vec<usize> = {
        let mut axes = order(rank, numbers);
        axes.truncate(count);
        axes.sort_unstable();
        axes
    };
    let sizes: Vec<usize> = axes.iter().map(|_| 1 + numbers.below(3)).collect();
    Tensor::record(Broadcast { axes: axes.as_slice().into(), sizes: sizes.as_slice().into() }, [x.clone()])
}

/// Axes of one element, repeated; if there is none, one is taken out first.
fn stretched(x: &Tensor, numbers: &mut Numbers) -> Tensor {
    let x = if x.shape().contains(&1) || x.rank() == 0 { x.clone() } else { position(x, numbers).unsqueeze(0) };
    let shape: Vec<usize> = x.shape().iter().map(|&n| if n == 1 { 1 + numbers.below(4) } else { n }).collect();
    x.broadcast_to(shape)
}

/// Windows along one axis, which may overlap: the same element in several places.
fn windows(x: &Tensor, numbers: &mut Numbers) -> Tensor {
    let (Some(last), stride, dilation) = (x.rank().checked_sub(1), 1 + numbers.below(2), 1 + numbers.below(2)) else { return x.clone() };
    let axis = numbers.below(last + 1);
    if x.shape()[axis] <= dilation {
        return x.clone();
    }
    let one = |n: usize| [n].as_slice().into();
    Tensor::record(Window { axes: one(axis), sizes: one(2), strides: one(stride), dilations: one(dilation) }, [x.clone()])
}

/// One position along one axis, which goes.
fn position(x: &Tensor, numbers: &mut Numbers) -> Tensor {
    let axis = numbers.below(x.rank().max(1));
    match x.shape().get(axis) {
        Some(&n) if n > 0 => x.index(axis as isize, numbers.below(n) as isize),
        _ => x.clone(),
    }
}

/// Two axes made one, one axis made two, or all made one.
fn reshaped(x: &Tensor, numbers: &mut Numbers) -> Tensor {
    let mut shape = x.shape().to_vec();
    let axis = numbers.below(x.rank().max(1));
    match numbers.below(3) {
        0 if axis + 1 < x.rank() => shape[axis] *= shape.remove(axis + 1),
        1 if axis < x.rank() && shape[axis].is_multiple_of(2) => {
            shape[axis] /= 2;
            shape.insert(axis + numbers.below(2), 2);
        }
        _ => shape = vec![x.len()],
    }
    x.reshape(shape)
}
