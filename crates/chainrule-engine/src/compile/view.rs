//! Movement operations as views: an offset and strides into a dense value.
//!
//! A view has no mask: what reads zeros around a value (padding) is written out instead.

use super::control::parts;
use super::graph::{Graph, NodeId};
use super::kernel::Axes;
use crate::ops::Op;
use crate::tensor::shape::dense_strides;

/// How a node's elements lie in a dense value: element `index` is at `offset + sum(index[i] * strides[i])`.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The node whose dense value is viewed; a node that moves nothing views itself.
    pub base: NodeId,
    /// Of the first element.
    pub offset: isize,
    /// One per axis of the node.
    pub strides: Axes<isize>,
}

/// For every node, where its elements are. A node that is no view of another is its own base, and
/// so is a root, which gets a dense value of its own; but not one that is a result of a loop or branch, which writes it there.
pub fn views(graph: &Graph) -> Vec<View> {
    let written: Vec<NodeId> = parts(graph).into_values().flatten().filter_map(|(_, root)| root).collect();
    let mut views: Vec<View> = Vec::with_capacity(graph.nodes.len());
    for (id, node) in graph.nodes.iter().enumerate() {
        let own = graph.roots.contains(&(id as NodeId)) && !written.contains(&(id as NodeId));
        let source = if own { None } else { node.inputs.first() };
        let moved = source.and_then(|&input| moved(&node.op, &views[input as usize], &graph.node(input).ty.shape, &node.ty.shape));
        views.push(moved.unwrap_or_else(|| View { base: id as NodeId, offset: 0, strides: dense_strides(&node.ty.shape) }));
    }
    views
}

/// What a movement that has a value of its own copies: the shape to walk, and the view to read.
/// Walked row by row, either gives the elements in the order of the node.
pub fn copied(graph: &Graph, views: &[View], id: NodeId) -> (crate::tensor::Shape, View) {
    let (node, input) = (graph.node(id), graph.node(id).inputs[0]);
    let from = &graph.node(input).ty.shape;
    match moved(&node.op, &views[input as usize], from, &node.ty.shape) {
        Some(view) => (node.ty.shape.clone(), view),
        None => (from.clone(), views[input as usize].clone()),
    }
}

/// The view that a movement makes of its input's, or `None` if the operation is no movement or
/// would have to copy.
fn moved(op: &Op, input: &View, from: &[usize], to: &[usize]) -> Option<View> {
    let with = |offset: isize, strides: Axes<isize>| Some(View { base: input.base, offset: input.offset + offset, strides });
    match op {
        Op::Reshape(_) => with(0, reshaped(from, &input.strides, to)?),
        Op::Permute(order) => with(0, order.0.iter().map(|&axis| input.strides[axis]).collect()),
        Op::Broadcast(broadcast) => {
            let mut strides = input.strides.clone();
            broadcast.axes.iter().for_each(|&axis| strides.insert(axis, 0));
            with(0, strides)
        }
        Op::Slice(slice) => {
            let offset = slice.start.iter().zip(&input.strides).map(|(&start, &stride)| start as isize * stride).sum();
            with(offset, slice.step.iter().zip(&input.strides).map(|(&step, &stride)| step as isize * stride).collect())
        }
        Op::Reverse(reverse) => {
            let (mut offset, mut strides) = (0, input.strides.clone());
            for &axis in &reverse.0 {
                offset += (to[axis] as isize - 1).max(0) * strides[axis];
                strides[axis] = -strides[axis];
            }
            with(offset, strides)
        }
        Op::Window(window) => {
            let mut strides = input.strides.clone();
            for (i, &axis) in window.axes.iter().enumerate() {
                strides[axis] *= window.strides[i] as isize;
                strides.push(input.strides[axis] * window.dilations[i] as isize);
            }
            with(0, strides)
        }
        Op::Barrier(_) | Op::StopGradient(_) | Op::Custom(_) => Some(input.clone()),
        _ => None,
    }
}

/// Strides of the same elements under another shape, if no copy is needed: axes of the new shape
/// must divide, or be made of, axes that lie regularly one inside the other.
fn reshaped(from: &[usize], strides: &[isize], to: &[usize]) -> Option<Axes<isize>> {
    if from.contains(&0) {
        return Some(dense_strides(to));
    }
    let old: Vec<(usize, isize)> = from.iter().copied().zip(strides.iter().copied()).filter(|&(size, _)| size != 1).collect();
    let mut result: Axes<isize> = Axes::from_elem(0, to.len());
    let (mut o, mut n) = (0, 0);
    while n < to.len() {
        if to[n] == 1 {
            n += 1;
            continue;
        }
        // The shortest runs of old and new axes that hold equally many elements.
        let (o0, n0) = (o, n);
        let (mut have, mut want) = (old.get(o)?.0, to[n]);
        (o, n) = (o + 1, n + 1);
        while have != want {
            if have < want {
                have *= old.get(o)?.0;
                o += 1;
            } else {
                want *= *to.get(n)?;
                n += 1;
            }
        }
        let regular = old[o0..o].windows(2).all(|pair| pair[0].1 == pair[1].1 * pair[1].0 as isize);
        if !regular {
            return None;
        }
        let mut stride = old[o - 1].1;
        for axis in (n0..n).rev() {
            result[axis] = stride;
            stride *= to[axis] as isize;
        }
    }
    Some(result)
}

/// The strides of a view over axes that are cut finer: `sizes` refines `shape`.
pub fn refined(shape: &[usize], strides: &[isize], sizes: &[usize]) -> Axes<isize> {
    let mut result: Axes<isize> = Axes::from_elem(0, sizes.len());
    let mut at = sizes.len();
    for axis in (0..shape.len()).rev() {
        let (mut covered, mut stride) = (1, strides[axis]);
        while covered < shape[axis] {
            at -= 1;
            result[at] = stride;
            covered *= sizes[at];
            stride *= sizes[at] as isize;
        }
    }
    result
}

/// Whether strides are those of a dense, row-major value of `shape`; axes of one element do not count.
pub fn is_dense(shape: &[usize], strides: &[isize]) -> bool {
    let mut step = 1_isize;
    shape.iter().zip(strides).rev().all(|(&size, &stride)| {
        let next = step.saturating_mul(size.max(1) as isize);
        let dense = std::mem::replace(&mut step, next);
        size == 1 || stride == dense
    })
}
