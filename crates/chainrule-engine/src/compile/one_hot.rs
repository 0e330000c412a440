//! A number put at one place of each row, as elements that ask whether they are that place.
//!
//! The gradient of a cross-entropy adds, to a row of probabilities, one number at the true class. A scatter would write
//! all rows, zeros but for that number, only to be read again; a comparison with the element's own position is fused
//! with the sum. Refuses an index that nothing else reads in the same way, as a comparison would not notice one that points
//! outside: the loss itself, which picks the same elements, does. Changes nothing but the sign of a zero.

use super::graph::{Graph, NodeId};
use super::simplify::Builder;
use crate::ops::{Binary, Broadcast, Cast, Constant, Gather, Iota, Op, Scalar, ScatterAdd, Select};
use crate::tensor::{DType, Shape, Type};
use rustc_hash::FxHashSet;

/// What an index is, and how it is read: its node, the leading axes that both share, and the size it points into.
type Reading = (NodeId, usize, usize);

/// The graph with comparisons in the place of such scatters.
pub fn as_one_hot(graph: Graph) -> Graph {
    let checked: FxHashSet<Reading> = (0..graph.nodes.len() as NodeId).filter_map(|id| gathered(&graph, id)).collect();
    let is = |id: NodeId| scattered(&graph, id).is_some_and(|reading| checked.contains(&reading));
    if !(0..graph.nodes.len() as NodeId).any(is) {
        return graph;
    }
    Builder::rebuilt(&graph, |builder, new_of, id| is(id).then(|| compared(builder, new_of, &graph, id)))
}

/// How a gather reads its index, if it is one.
fn gathered(graph: &Graph, id: NodeId) -> Option<Reading> {
    let node = graph.node(id);
    let Op::Gather(Gather { batch }) = node.op else { return None };
    Some((node.inputs[1], batch, graph.node(node.inputs[0]).ty.shape[batch]))
}

/// How a scatter reads its index, if it puts one float at one place of each row and a float of 32 bits can count the places.
fn scattered(graph: &Graph, id: NodeId) -> Option<Reading> {
    let node = graph.node(id);
    let Op::ScatterAdd(ScatterAdd { batch, size }) = node.op else { return None };
    let (updates, index) = (&graph.node(node.inputs[0]).ty, &graph.node(node.inputs[1]).ty.shape);
    let one = updates.shape == *index && index[batch..].iter().all(|&count| count == 1);
    (one && batch > 0 && updates.dtype.is_float() && size <= 1 << 24).then_some((node.inputs[1], batch, size))
}

/// `select(position == index, update, 0)`.
fn compared(builder: &mut Builder, new_of: &[NodeId], graph: &Graph, id: NodeId) -> NodeId {
    let node = graph.node(id);
    let ty = &node.ty;
    let rows = ty.shape.len() - 1;
    builder.stand_for(Some(node.site));
    let [update, index] = [node.inputs[0], node.inputs[1]].map(|input| builder.reshape(new_of[input as usize], &ty.shape[..rows]));
    let counted = if ty.dtype == DType::F64 { DType::F64 } else { DType::F32 };
    let all = |dtype: DType| Type::new(ty.shape.clone(), dtype);
    let spread = Broadcast { axes: [rows].into_iter().collect(), sizes: [ty.shape[rows]].into_iter().collect() };
    let index = builder.add(Cast(counted), &[index], Type::new(Shape::from_slice(&ty.shape[..rows]), counted));
    let index = builder.add(spread.clone(), &[index], all(counted));
    let update = builder.add(spread, &[update], ty.clone());
    let place = builder.add(Iota { axis: rows, ty: all(counted) }, &[], all(counted));
    let here = builder.add(Binary::Equal, &[place, index], all(DType::Bool));
    let zero = builder.add(Constant { value: Scalar::new(0.0, ty.dtype), ty: ty.clone() }, &[], ty.clone());
    builder.add(Select, &[here, update, zero], ty.clone())
}
