//! The order in which results of products lie in memory: that in which their reader walks them.
//!
//! Patches that are added up where they overlap have the axes of a window last. The product that makes them would lay
//! the places of a window side by side, and apart what is added at once. Where there are many neighbours along the axes behind
//! those with windows, channels of an image say, a window is added as it lies: the places go before those axes. Where they are
//! few, one place of all windows is added at once: places and what is behind go before the axes with windows, also in the
//! result, and the product has as many columns as there are windows. Refuses results that somebody else reads as well.

use super::graph::{Graph, NodeId};
use super::simplify::Builder;
use crate::ops::contract::Labels;
use crate::ops::movement::{Axes, inverse_order};
use crate::ops::{Einsum, Fold, Op, Permute, Window};
use crate::tensor::{Shape, Type};
use smallvec::SmallVec;

/// Neighbours behind the axes with windows from which a window is added as it lies.
const MANY: usize = 8;

/// The graph with its products laid out for their readers.
pub fn lay_out(graph: Graph) -> Graph {
    let uses = graph.uses();
    let found = |id: NodeId| Found::new(&graph, &uses, id);
    let any = |id: NodeId| found(id).is_some();
    if !(0..graph.nodes.len() as NodeId).any(any) {
        return graph;
    }
    Builder::rebuilt(&graph, |builder, new_of, id| Some(found(id)?.laid_out(builder, new_of, &graph, id)))
}

/// A fold of a product.
struct Found<'a> {
    fold: &'a Fold,
    product: NodeId,
    einsum: &'a Einsum,
    /// The labels of the patches' axes.
    labels: Labels,
    /// The axes of the result in the order in which the fold is to have them.
    order: Axes,
    /// The axes of patches, in the order of [`Found::order`] and the places last, in that in which they are to lie.
    lying: Axes,
}

impl<'a> Found<'a> {
    /// What is to be laid out at a node, if it is not already.
    fn new(graph: &'a Graph, uses: &[u32], id: NodeId) -> Option<Found<'a>> {
        let node = graph.node(id);
        let Op::Fold(fold) = &node.op else { return None };
        let alone = |id: NodeId| (uses[id as usize] == 1).then(|| graph.node(id));
        let patches = alone(node.inputs[0])?;
        let (product, turned) = match &patches.op {
            Op::Permute(Permute(order)) => (patches.inputs[0], Some(order)),
            _ => (node.inputs[0], None),
        };
        let Op::Einsum(einsum) = &alone(product)?.op else { return None };
        let labels = turned.map_or_else(|| einsum.out.clone(), |order| order.iter().map(|&axis| einsum.out[axis]).collect());
        let (rank, axes) = (node.ty.shape.len(), &fold.window.axes);
        let (first, behind) = (*axes.first()?, axes.last()? + 1);
        let places = rank..rank + axes.len();
        let many = node.ty.shape[behind..].iter().product::<usize>() >= MANY;
        let (order, lying): (Axes, Axes) = if many {
            ((0..rank).collect(), (0..behind).chain(places).chain(behind..rank).collect())
        } else {
            ((0..first).chain(behind..rank).chain(first..behind).collect(), (0..first).chain(places).chain(first..rank).collect())
        };
        let found = Found { fold, product, einsum, labels, order, lying };
        let lies = if many { found.out() == einsum.out } else { behind == rank && einsum.out.ends_with(&found.labels[first..behind]) };
        (!lies).then_some(found)
    }

    /// The labels of the patches in the order of the fold that is to be.
    fn ordered(&self) -> Labels {
        let places = self.order.len()..self.labels.len();
        self.order.iter().copied().chain(places).map(|axis| self.labels[axis]).collect()
    }

    /// The labels of the product that is to be.
    fn out(&self) -> Labels {
        let ordered = self.ordered();
        self.lying.iter().map(|&axis| ordered[axis]).collect()
    }

    fn laid_out(&self, builder: &mut Builder, new_of: &[NodeId], graph: &Graph, id: NodeId) -> NodeId {
        let (product, ty) = (graph.node(self.product), &graph.node(id).ty);
        let out = self.out();
        let typed = |shape: Shape| Type::new(shape, ty.dtype);
        let size = |label: &u8| self.einsum.out.iter().position(|known| known == label).map_or(1, |axis| product.ty.shape[axis]);
        let shape = |labels: &Labels| typed(labels.iter().map(size).collect());
        let inputs: SmallVec<[NodeId; 2]> = product.inputs.iter().map(|&input| new_of[input as usize]).collect();
        let made = builder.add(Einsum { out: out.clone(), ..self.einsum.clone() }, &inputs, shape(&out));
        let patches = builder.add(Permute(inverse_order(&self.lying)), &[made], shape(&self.ordered()));
        let back = inverse_order(&self.order);
        let axes = self.fold.window.axes.iter().map(|&axis| back[axis]).collect();
        let fold = Fold { window: Window { axes, ..self.fold.window.clone() }, lengths: self.fold.lengths.clone() };
        let folded = builder.add(fold, &[patches], typed(self.order.iter().map(|&axis| ty.shape[axis]).collect()));
        builder.add(Permute(back), &[folded], ty.clone())
    }
}
