//! What is cheaper to make again than to keep for a product: a large elementwise value that a product read in the
//! forward pass and another reads much later, in the backward pass.
//!
//! `recompute.rs` lets kernels of scalar code make such values as they read them; a product reads from memory. For it
//! the value is made a second time, shortly before, from one that is kept until then anyway: the activation
//! of a layer from the sum that went into it, a normalised row from the row. In between its memory is free.
//!
//! Refuses to repeat products and reductions, to make small values again (a first step feels memory, but a steady
//! step feels work), and to change a bit: the same operations on the same numbers.

use super::fuse::{is_elementwise, is_inline, is_movement};
use super::graph::{Graph, GraphNode, NodeId};
use crate::ops::{Barrier, Op};
use smallvec::SmallVec;
use std::collections::BTreeSet;

/// Elements from which a value is worth a second making.
pub(super) const LARGE: usize = 1 << 19;
/// Products between the two that read it, from which it is worth the while.
const BETWEEN: usize = 8;
/// The most operations that make it.
const LONGEST: usize = 32;

/// A value to be made again.
struct Again {
    /// The product that reads it last, and by which input.
    reader: NodeId,
    side: usize,
    /// What it is made from.
    from: NodeId,
    /// The operations from there on, in order; the last is what the product reads.
    steps: Vec<NodeId>,
}

/// The graph in which late readers have values of their own.
pub fn remake(graph: Graph) -> Graph {
    let wanted = wanted(&graph);
    if wanted.is_empty() { graph } else { with_copies(graph, &wanted) }
}

/// Whether an operation only names what it is given.
fn is_transparent(op: &Op) -> bool {
    is_elementwise(op) || is_movement(op) && !matches!(op, Op::Barrier(_) | Op::Window(_))
}

fn wanted(graph: &Graph) -> Vec<Again> {
    let is_product = |id: NodeId| matches!(graph.node(id).op, Op::Einsum(_));
    let mut last = vec![0; graph.nodes.len()];
    let mut read_early = vec![None; graph.nodes.len()];
    let mut before = vec![0_usize; graph.nodes.len()];
    let mut count = 0;
    for (id, node) in graph.nodes.iter().enumerate() {
        (before[id], count) = (count, count + usize::from(is_product(id as NodeId)));
        for &input in &node.inputs {
            last[input as usize] = id as NodeId;
            if is_product(id as NodeId) {
                read_early[value_of(graph, input) as usize].get_or_insert(id as NodeId);
            }
        }
    }
    let readers = (0..graph.nodes.len() as NodeId).filter(|&id| is_product(id));
    let sides = readers.flat_map(|id| graph.node(id).inputs.iter().enumerate().map(move |(side, &input)| (id, side, input)));
    let late = sides.filter(|&(reader, _, input)| {
        let value = value_of(graph, input);
        let early = read_early[value as usize].unwrap_or(reader);
        is_elementwise(&graph.node(value).op)
            && graph.node(value).ty.len() >= LARGE
            && before[reader as usize] - before[early as usize] >= BETWEEN
            && !graph.roots.contains(&value)
            && last_use(graph, &last, value) == reader
    });
    late.filter_map(|(reader, side, input)| {
        let (from, steps) = origin(graph, &last, input, reader)?;
        Some(Again { reader, side, from, steps })
    })
    .collect()
}

/// The value that a node names by other axes.
fn value_of(graph: &Graph, mut id: NodeId) -> NodeId {
    while is_movement(&graph.node(id).op) && graph.node(id).inputs.len() == 1 {
        id = graph.node(id).inputs[0];
    }
    id
}

/// The last that reads a value, also by other axes.
fn last_use(graph: &Graph, last: &[NodeId], value: NodeId) -> NodeId {
    let mut reader = last[value as usize];
    while is_movement(&graph.node(reader).op) && last[reader as usize] > 0 {
        reader = last[reader as usize];
    }
    reader
}

/// Whether a value is read by scalar code after `reader`, which can then make it from what is kept instead. A mask is not worth it:
/// it is smaller than what it is made from.
fn is_made_late(graph: &Graph, last: &[NodeId], step: NodeId, reader: NodeId) -> bool {
    let late = last[step as usize];
    late > reader && is_elementwise(&graph.node(late).op) && graph.node(step).ty.dtype.is_float()
}

/// The one large value that `id` is made from and that is read again after `reader`, itself or by what is made of it, and the operations in between: nothing
/// else is kept for longer than it was. `None` if there is no such value.
fn origin(graph: &Graph, last: &[NodeId], id: NodeId, reader: NodeId) -> Option<(NodeId, Vec<NodeId>)> {
    let large = |id: &NodeId| graph.node(*id).ty.len() >= LARGE;
    let mut open = BTreeSet::from([id]);
    let mut steps = Vec::new();
    while let Some(latest) = open.pop_last() {
        let node = graph.node(latest);
        // Nothing else is open: whatever is large in the value comes from here.
        let late = || last[latest as usize] > reader || steps.iter().any(|&step| is_made_late(graph, last, step, reader));
        if open.is_empty() && latest < value_of(graph, id) && node.leaf.is_none() && late() {
            steps.reverse();
            return Some((latest, steps));
        }
        if !is_transparent(&node.op) || steps.len() == LONGEST {
            return None;
        }
        steps.push(latest);
        open.extend(node.inputs.iter().copied().filter(|input| large(input) && !is_inline(&graph.node(*input).op)));
    }
    None
}

/// The graph with the values made again just before their readers.
fn with_copies(graph: Graph, wanted: &[Again]) -> Graph {
    let mut nodes: Vec<GraphNode> = Vec::with_capacity(graph.nodes.len() + wanted.iter().map(|again| again.steps.len() + 1).sum::<usize>());
    let mut new_of: Vec<NodeId> = Vec::with_capacity(graph.nodes.len());
    let mut wanted = wanted.iter().peekable();
    for (id, mut node) in graph.nodes.into_iter().enumerate() {
        node.inputs.iter_mut().for_each(|input| *input = new_of[*input as usize]);
        while let Some(again) = wanted.next_if(|again| again.reader as usize == id) {
            node.inputs[again.side] = copied(&mut nodes, &new_of, again, node.inputs[1 - again.side]);
        }
        new_of.push(nodes.len() as NodeId);
        nodes.push(node);
    }
    Graph { nodes, roots: graph.roots.iter().map(|&root| new_of[root as usize]).collect(), leaves: graph.leaves }
}

/// Appends the operations of `again` on a barrier that opens with `other`, so that the copy is not made before it is needed.
fn copied(nodes: &mut Vec<GraphNode>, new_of: &[NodeId], again: &Again, other: NodeId) -> NodeId {
    let from = new_of[again.from as usize];
    let GraphNode { ty, site, .. } = nodes[from as usize].clone();
    nodes.push(GraphNode { op: Barrier.into(), inputs: SmallVec::from_slice(&[from, other]), ty, leaf: None, site });
    let mut made = vec![(again.from, nodes.len() as NodeId - 1)];
    for &step in &again.steps {
        let mut node = nodes[new_of[step as usize] as usize].clone();
        for input in &mut node.inputs {
            let found = made.iter().find(|(old, _)| new_of[*old as usize] == *input);
            *input = found.map_or(*input, |&(_, new)| new);
        }
        nodes.push(node);
        made.push((step, nodes.len() as NodeId - 1));
    }
    nodes.len() as NodeId - 1
}
