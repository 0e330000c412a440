//! Rewrites of tensors that are made of parts along one axis: padded, sliced, put together.
//!
//! They belong to the table of [`super::rules`] and refuse what that refuses.

use super::graph::NodeId;
use super::rules::constant_of;
use super::simplify::Builder;
use crate::ops::movement::Axes;
use crate::ops::{Binary, Concat, Constant, Op, Scalar, Slice};
use crate::tensor::Type;
use smallvec::SmallVec;

/// A tensor made of pieces along one axis: of each its length and, unless it is zeros, the nodes that are added
/// up there, with the position along the axis from which on.
type Pieces = Vec<(usize, SmallVec<[(NodeId, usize); 2]>)>;

/// The pieces of a padded tensor (zeros on both sides along one axis) or of a concatenation.
fn pieces(builder: &Builder, id: NodeId) -> Option<(usize, Pieces)> {
    let node = builder.node(id);
    let one = |input: NodeId| SmallVec::from_slice(&[(input, 0)]);
    match &node.op {
        Op::Pad(pad) => {
            let mut axes = (0..node.ty.shape.len()).filter(|&axis| pad.low[axis] + pad.high[axis] > 0);
            let (axis, None) = (axes.next()?, axes.next()) else { return None };
            if pad.interior.iter().any(|&gap| gap > 0) {
                return None;
            }
            let own = builder.node(node.inputs[0]).ty.shape[axis];
            let zeros = |length: usize| (length, SmallVec::new());
            Some((axis, vec![zeros(pad.low[axis]), (own, one(node.inputs[0])), zeros(pad.high[axis])]))
        }
        Op::Concat(concat) => {
            let piece = |&input: &NodeId| {
                let zeros = constant_of(builder, input).is_some_and(|c| c.is(0.0));
                (builder.node(input).ty.shape[concat.axis], if zeros { SmallVec::new() } else { one(input) })
            };
            Some((concat.axis, node.inputs.iter().map(piece).collect()))
        }
        _ => None,
    }
}

/// Parts that were sliced from one tensor each give back a gradient with zeros around it: their sum
/// is the gradients side by side. Where parts overlapped, only what they have in common is added up.
pub fn side_by_side(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let Op::Binary(Binary::Add) = op else { return None };
    let sides = [pieces(builder, inputs[0]), pieces(builder, inputs[1])];
    // Beside a padded tensor, one that is no such is a single piece.
    let axis = sides.iter().flatten().find(|(_, pieces)| pieces.iter().any(|(length, parts)| *length > 0 && parts.is_empty()))?.0;
    let whole = |id: NodeId| vec![(ty.shape[axis], SmallVec::from_slice(&[(id, 0)]))];
    let [a, b] = sides;
    let [a, b] = [(a, inputs[0]), (b, inputs[1])].map(|(side, id)| match side {
        Some((own, pieces)) if own == axis => pieces,
        _ => whole(id),
    });
    let parts: Vec<NodeId> = merge(a, b).into_iter().map(|(length, added)| piece(builder, axis, ty, length, &added)).collect();
    match parts[..] {
        [one] => Some(one),
        _ => Some(builder.add(Concat { axis }, &parts, ty.clone())),
    }
}

/// Slices of one tensor that are put together in its order.
pub fn neighbours(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let Op::Concat(Concat { axis }) = op else { return None };
    let slice = |id: NodeId| match &builder.node(id).op {
        Op::Slice(slice) if slice.step[*axis] == 1 => Some((&**slice, builder.node(id).inputs[0])),
        _ => None,
    };
    let (first, whole) = slice(*inputs.first()?)?;
    let mut joined = first.clone();
    for &input in &inputs[1..] {
        let (next, of) = slice(input)?;
        let mut moved = next.clone();
        (moved.start[*axis], moved.stop[*axis]) = (joined.start[*axis], joined.stop[*axis]);
        if of != whole || moved != joined || next.start[*axis] != joined.stop[*axis] {
            return None;
        }
        joined.stop[*axis] = next.stop[*axis];
    }
    Some(builder.add(joined, &[whole], ty.clone()))
}

/// A slice of a slice.
pub fn slice_twice(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let Op::Slice(outer) = op else { return None };
    let node = builder.node(inputs[0]);
    let (Op::Slice(inner), whole) = (&node.op, node.inputs.first().copied()?) else { return None };
    let at = |axis: usize, index: usize| inner.start[axis] + index * inner.step[axis];
    let axes = 0..ty.shape.len();
    let start: Axes = axes.clone().map(|axis| at(axis, outer.start[axis])).collect();
    let step: Axes = axes.clone().map(|axis| inner.step[axis] * outer.step[axis]).collect();
    let stop = axes.map(|axis| start[axis] + ty.shape[axis].saturating_sub(1) * step[axis] + ty.shape[axis].min(1)).collect();
    Some(builder.add(Slice { start, stop, step }, &[whole], ty.clone()))
}

/// A slice that reaches into one piece alone of what was put together.
pub fn part_of_one(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let Op::Slice(slice) = op else { return None };
    let (axis, pieces) = pieces(builder, inputs[0])?;
    let (mut from, mut own) = (0, None);
    for (length, parts) in pieces {
        if from <= slice.start[axis] && slice.stop[axis] <= from + length && length > 0 {
            own = Some((from, parts));
            break;
        }
        from += length;
    }
    let (from, parts) = own?;
    match parts[..] {
        [(id, 0)] => {
            let mut inner = Slice::clone(slice);
            (inner.start[axis], inner.stop[axis]) = (slice.start[axis] - from, slice.stop[axis] - from);
            Some(builder.add(inner, &[id], ty.clone()))
        }
        [] => Some(builder.add(Constant { value: Scalar::new(0.0, ty.dtype), ty: ty.clone() }, &[], ty.clone())),
        _ => None,
    }
}

/// The sum of parts of some nodes along an axis of a tensor of type `ty`.
fn piece(builder: &mut Builder, axis: usize, ty: &Type, length: usize, added: &[(NodeId, usize)]) -> NodeId {
    let mut own = ty.clone();
    own.shape[axis] = length;
    let part = |builder: &mut Builder, (id, from): (NodeId, usize)| {
        let shape = &builder.node(id).ty.shape;
        if shape[axis] == length {
            return id;
        }
        let mut slice =
            Slice { start: Axes::from_elem(0, shape.len()), stop: shape.iter().copied().collect(), step: Axes::from_elem(1, shape.len()) };
        (slice.start[axis], slice.stop[axis]) = (from, from + length);
        builder.add(slice, &[id], own.clone())
    };
    let parts: SmallVec<[NodeId; 2]> = added.iter().map(|&one| part(builder, one)).collect();
    match parts.split_first() {
        None => builder.add(Constant { value: Scalar::new(0.0, ty.dtype), ty: own.clone() }, &[], own),
        Some((&first, rest)) => rest.iter().fold(first, |sum, &part| builder.add(Binary::Add, &[sum, part], own.clone())),
    }
}

/// The pieces of a sum: cut wherever a piece of either operand ends.
fn merge(a: Pieces, b: Pieces) -> Pieces {
    let mut merged: Pieces = Vec::new();
    let ((mut i, mut x), (mut j, mut y)) = ((0, 0), (0, 0));
    while let (Some((m, p)), Some((n, q))) = (a.get(i), b.get(j)) {
        let length = (m - x).min(n - y);
        let added: SmallVec<_> = p.iter().map(|&(id, from)| (id, from + x)).chain(q.iter().map(|&(id, from)| (id, from + y))).collect();
        match merged.last_mut() {
            _ if length == 0 => (),
            Some((before, parts)) if parts.is_empty() && added.is_empty() => *before += length,
            _ => merged.push((length, added)),
        }
        (x, y) = (x + length, y + length);
        (i, x) = if x == *m { (i + 1, 0) } else { (i, x) };
        (j, y) = if y == *n { (j + 1, 0) } else { (j, y) };
    }
    merged
}
