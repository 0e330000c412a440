//! The order in which results of products lie in memory: that in which their reader walks them.
//!
//! Patches that are added up where they overlap have the axes of a window last. The product that makes them would lay
//! the places of a window side by side, and apart what is added at once: neighbours along the axes behind those with
//! windows, channels of an image say. Such a result is laid out with the places of a window before those axes. Refuses
//! results that somebody else reads as well.

use super::graph::{Graph, NodeId};
use super::simplify::Builder;
use crate::ops::movement::{Axes, inverse_order};
use crate::ops::{Einsum, Fold, Op, Permute};
use crate::tensor::{Shape, Type};
use smallvec::SmallVec;

/// The graph with its products laid out for their readers.
pub fn lay_out(graph: Graph) -> Graph {
    let uses = graph.uses();
    let mut orders: Vec<(NodeId, Axes)> = graph
        .nodes
        .iter()
        .filter_map(|node| match &node.op {
            Op::Fold(fold) => Some((node.inputs[0], order(fold, node.ty.shape.len())?)),
            _ => None,
        })
        .filter(|&(id, _)| uses[id as usize] == 1 && matches!(graph.node(id).op, Op::Einsum(_)))
        .collect();
    if orders.is_empty() {
        return graph;
    }
    orders.sort_by_key(|&(id, _)| id);
    Builder::rebuilt(&graph, |builder, new_of, id| {
        let at = orders.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        let (node, order) = (graph.node(id), &orders[at].1);
        let Op::Einsum(einsum) = &node.op else { return None };
        let inputs: SmallVec<[NodeId; 2]> = node.inputs.iter().map(|&input| new_of[input as usize]).collect();
        let out = order.iter().map(|&axis| einsum.out[axis]).collect();
        let shape: Shape = order.iter().map(|&axis| node.ty.shape[axis]).collect();
        let laid_out = builder.add(Einsum { out, ..(**einsum).clone() }, &inputs, Type::new(shape, node.ty.dtype));
        Some(builder.add(Permute(inverse_order(order)), &[laid_out], node.ty.clone()))
    })
}

/// The axes of patches in the order in which a fold to so many axes walks them, if they are not: `None` if nothing is
/// behind the axes with windows.
fn order(fold: &Fold, rank: usize) -> Option<Axes> {
    let behind = fold.window.axes.last()? + 1;
    (behind < rank).then(|| (0..behind).chain(rank..rank + fold.window.axes.len()).chain(behind..rank).collect())
}
