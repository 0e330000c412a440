//! Products one of whose operands is repeated: what is the same for every row is multiplied once.
//!
//! Belongs to the table of [`super::rules`] and refuses what that refuses: a sum over an axis along which an operand is
//! repeated stays as it is, since adding first and multiplying then rounds elsewhere, and so does an axis of both
//! operands, which tells matrices apart that would lie crosswise in the result.

use super::graph::NodeId;
use super::simplify::Builder;
use crate::ops::contract::Labels;
use crate::ops::movement::Axes;
use crate::ops::{Broadcast, Einsum, Op};
use crate::tensor::{Shape, Type};

/// A direction that is the same for every example, say, gives the same row of a product for each of them.
pub fn repeated_operand(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let Op::Einsum(einsum) = op else { return None };
    let Einsum { a, b, out, precision } = &**einsum;
    let again = |builder: &Builder, own: &Labels, other: &Labels, id: NodeId| -> Labels {
        let Op::Broadcast(broadcast) = &builder.node(id).op else { return Labels::new() };
        broadcast.axes.iter().map(|&axis| own[axis]).filter(|label| out.contains(label) && !other.contains(label)).collect()
    };
    let repeated: Labels = [again(builder, a, b, inputs[0]), again(builder, b, a, inputs[1])].concat().into();
    if repeated.is_empty() {
        return None;
    }
    let without = |labels: &Labels| -> Labels { labels.iter().copied().filter(|label| !repeated.contains(label)).collect() };
    let operands = [narrowed(builder, inputs[0], a, &repeated), narrowed(builder, inputs[1], b, &repeated)];
    let small = Einsum { a: without(a), b: without(b), out: without(out), precision: *precision };
    let gone = |axis: &usize| repeated.contains(&out[*axis]);
    let shape: Shape = (0..out.len()).filter(|axis| !gone(axis)).map(|axis| ty.shape[axis]).collect();
    let product = builder.add(small, &operands, Type::new(shape, ty.dtype));
    let axes: Axes = (0..out.len()).filter(gone).collect();
    let sizes: Axes = axes.iter().map(|&axis| ty.shape[axis]).collect();
    Some(builder.add(Broadcast { axes, sizes }, &[product], ty.clone()))
}

/// An operand without the axes of some labels, along which it is repeated if it has them.
fn narrowed(builder: &mut Builder, id: NodeId, own: &Labels, repeated: &Labels) -> NodeId {
    if !own.iter().any(|label| repeated.contains(label)) {
        return id;
    }
    let node = builder.node(id).clone();
    let Op::Broadcast(all) = &node.op else { return id };
    let kept: Labels = own.iter().copied().filter(|label| !repeated.contains(label)).collect();
    let shape: Shape = own.iter().zip(&node.ty.shape).filter(|(label, _)| kept.contains(label)).map(|(_, &size)| size).collect();
    let axes: Axes = (0..kept.len()).filter(|&at| all.axes.iter().any(|&axis| own[axis] == kept[at])).collect();
    let sizes: Axes = axes.iter().map(|&axis| shape[axis]).collect();
    builder.add(Broadcast { axes, sizes }, &[node.inputs[0]], Type::new(shape, node.ty.dtype))
}
