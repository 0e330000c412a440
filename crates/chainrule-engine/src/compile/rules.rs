//! The table of rewrites: each says when it applies and what it puts in a node's place.
//!
//! Every rule keeps the value of every element (the sign of a zero excepted); a test evaluates both
//! sides on random inputs.

use super::graph::NodeId;
use super::kernel::Lane;
use super::parts::{neighbours, part_of_one, side_by_side, slice_twice};
use super::repeated::repeated_operand;
use super::simplify::Builder;
use crate::ops::movement::{Axes, inverse_order};
use crate::ops::{
    Binary, Broadcast, Cast, Constant, CumulativeSum, Einsum, Iota, Max, Op, Permute, Reshape, Scalar, Select, Slice, Sum, Unary,
};
use crate::ops::{elementwise, source};
use crate::tensor::shape::for_each_index;
use crate::tensor::{DType, Shape, Type};
use smallvec::SmallVec;

/// A rewrite: the node's replacement, if the rule applies.
type Rule = fn(&mut Builder, &Op, &[NodeId], &Type) -> Option<NodeId>;

/// A rule and its name.
pub struct NamedRule {
    /// What it does.
    pub name: &'static str,
    /// Whether later passes rely on it.
    pub needed: bool,
    rule: Rule,
}

impl NamedRule {
    /// The replacement of a node, if the rule applies.
    pub fn apply(&self, builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
        (self.rule)(builder, op, inputs, ty)
    }
}

/// All rules, tried in this order.
pub static RULES: &[NamedRule] = &[
    NamedRule { name: "an alias is its value", needed: true, rule: alias },
    NamedRule { name: "what has no element is a constant", needed: true, rule: nothing_there },
    NamedRule { name: "a movement that moves nothing is its input", needed: true, rule: no_movement },
    NamedRule { name: "a reduction of nothing is zero", needed: true, rule: empty_reduction },
    NamedRule { name: "a reduction over axes of one element is a reshape", needed: true, rule: unit_reduction },
    NamedRule { name: "coordinates are those of a vector, repeated", needed: true, rule: vector_iota },
    NamedRule { name: "reshape of reshape is one reshape", needed: false, rule: reshape_twice },
    NamedRule { name: "permute of permute is one permute", needed: false, rule: permute_twice },
    NamedRule { name: "a moved constant is a constant", needed: false, rule: moved_constant },
    NamedRule { name: "arithmetic of constants is a constant", needed: false, rule: constant_arithmetic },
    NamedRule { name: "x * 1, x / 1, x - 0, scale(1, x) are x", needed: false, rule: neutral },
    NamedRule { name: "-(-x) and not not x are x", needed: false, rule: twice },
    NamedRule { name: "-(x * c) and (-x) * c are x * (-c)", needed: false, rule: negative_multiple },
    NamedRule { name: "select with equal branches, or of a constant, is a branch", needed: false, rule: decided },
    NamedRule { name: "a product that sums nothing is a multiplication", needed: true, rule: outer_product },
    NamedRule { name: "what is repeated is multiplied once", needed: false, rule: repeated_operand },
    NamedRule { name: "a reduction over middle axes is one over last or first axes", needed: true, rule: sorted_reduction },
    NamedRule { name: "a long sum is a sum of sums", needed: true, rule: long_sum },
    NamedRule { name: "a running sum is over the last axis", needed: true, rule: last_axis },
    NamedRule { name: "a sum of parts laid side by side is one concat", needed: false, rule: side_by_side },
    NamedRule { name: "neighbouring parts of a tensor are one part of it", needed: false, rule: neighbours },
    NamedRule { name: "a part of a part is one part", needed: false, rule: slice_twice },
    NamedRule { name: "a part of what is laid side by side is a part of one of them", needed: false, rule: part_of_one },
    NamedRule { name: "windows that tile an axis are a reshape", needed: false, rule: tiling_window },
];

/// The replacement of a node by the first rule that applies.
pub fn apply(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type, all: bool) -> Option<NodeId> {
    RULES.iter().filter(|named| all || named.needed).find_map(|named| named.apply(builder, op, inputs, ty))
}

/// The value that every element of a node has, if it is a constant.
pub fn constant_of(builder: &Builder, id: NodeId) -> Option<Scalar> {
    match &builder.node(id).op {
        Op::Constant(constant) => Some(constant.value),
        _ => None,
    }
}

fn alias(_: &mut Builder, op: &Op, inputs: &[NodeId], _: &Type) -> Option<NodeId> {
    matches!(op, Op::StopGradient(_) | Op::Custom(_)).then(|| inputs[0])
}

/// So that nothing is computed for it.
fn nothing_there(builder: &mut Builder, op: &Op, _: &[NodeId], ty: &Type) -> Option<NodeId> {
    let empty = ty.is_empty() && !matches!(op, Op::Constant(_));
    empty.then(|| builder.add(Constant { value: Scalar::new(0.0, ty.dtype), ty: ty.clone() }, &[], ty.clone()))
}

fn no_movement(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let same_shape = inputs.len() == 1 && builder.node(inputs[0]).ty == *ty;
    let nothing = match op {
        Op::Reshape(_) | Op::Slice(_) | Op::Pad(_) | Op::Concat(_) => same_shape,
        Op::Cast(_) => same_shape,
        Op::Permute(order) => order.0.iter().copied().eq(0..order.0.len()),
        Op::Broadcast(broadcast) => broadcast.axes.is_empty(),
        Op::Sum(Sum(axes)) | Op::Max(Max(axes)) => axes.is_empty(),
        Op::Reverse(reverse) => reverse.0.iter().all(|&axis| ty.shape[axis] <= 1),
        Op::Window(window) => window.axes.is_empty(),
        Op::Fold(fold) => fold.window.axes.is_empty(),
        _ => false,
    };
    nothing.then(|| inputs[0])
}

fn empty_reduction(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let empty = inputs.iter().any(|&id| builder.node(id).ty.is_empty());
    let value = match op {
        Op::Sum(_) | Op::Einsum(_) | Op::ScatterAdd(_) | Op::Pad(_) | Op::Fold(_) => 0.0,
        Op::ScatterReduce(scatter) => scatter.how.none(ty.dtype),
        _ => return None,
    };
    if !empty || ty.is_empty() {
        return None;
    }
    let value = Scalar::new(value, ty.dtype);
    Some(builder.add(Constant { value, ty: ty.clone() }, &[], ty.clone()))
}

fn unit_reduction(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let (Op::Sum(Sum(axes)) | Op::Max(Max(axes))) = op else { return None };
    let shape = builder.node(inputs[0]).ty.shape.clone();
    let long: Axes = axes.iter().copied().filter(|&axis| shape[axis] != 1).collect();
    if long.len() == axes.len() {
        return None;
    }
    // Drop the axes of one element first, then reduce the others where they are now.
    let gone = |axis: &usize| axes.contains(axis) && shape[*axis] == 1;
    let kept: Shape = (0..shape.len()).filter(|axis| !gone(axis)).map(|axis| shape[axis]).collect();
    let slim = builder.reshape(inputs[0], &kept);
    let moved: Axes = long.iter().map(|&axis| axis - (0..axis).filter(gone).count()).collect();
    let op = if matches!(op, Op::Sum(_)) { Op::Sum(Sum(moved)) } else { Op::Max(Max(moved)) };
    Some(builder.add(op, &[slim], ty.clone()))
}

fn vector_iota(builder: &mut Builder, op: &Op, _: &[NodeId], ty: &Type) -> Option<NodeId> {
    let Op::Iota(iota) = op else { return None };
    if ty.shape.len() == 1 {
        return None;
    }
    let vector = Type::new(Shape::from_slice(&[ty.shape[iota.axis]]), ty.dtype);
    let line = builder.add(Iota { axis: 0, ty: vector.clone() }, &[], vector);
    let axes: Axes = (0..ty.shape.len()).filter(|&axis| axis != iota.axis).collect();
    let sizes: Axes = axes.iter().map(|&axis| ty.shape[axis]).collect();
    Some(builder.add(Broadcast { axes, sizes }, &[line], ty.clone()))
}

fn reshape_twice(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let (Op::Reshape(_), Op::Reshape(_)) = (op, &builder.node(*inputs.first()?).op) else { return None };
    let source = builder.node(inputs[0]).inputs[0];
    Some(builder.reshape(source, &ty.shape))
}

fn permute_twice(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let (Op::Permute(outer), Op::Permute(inner)) = (op, &builder.node(*inputs.first()?).op) else { return None };
    let order: Axes = outer.0.iter().map(|&axis| inner.0[axis]).collect();
    let source = builder.node(inputs[0]).inputs[0];
    Some(builder.add(Permute(order), &[source], ty.clone()))
}

fn moved_constant(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    if !matches!(op, Op::Reshape(_) | Op::Permute(_) | Op::Broadcast(_) | Op::Slice(_) | Op::Reverse(_) | Op::Window(_)) {
        return None;
    }
    let value = constant_of(builder, inputs[0])?;
    Some(builder.add(Constant { value, ty: ty.clone() }, &[], ty.clone()))
}

/// Only operations that IEEE 754 rounds correctly: the backend would compute the same bits.
fn constant_arithmetic(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let float = |builder: &Builder, id: NodeId| match constant_of(builder, id)? {
        Scalar::Float(bits) => Some(f64::from_bits(bits)),
        Scalar::Integer(_) => None,
    };
    let value = match op {
        Op::Unary(unary @ (Unary::Negate | Unary::Sqrt)) => (elementwise::unary_row(*unary)?.evaluate)(float(builder, inputs[0])?),
        Op::Binary(binary @ (Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide))
            if ty.dtype == DType::F64 || ty.dtype == DType::F32 =>
        {
            (elementwise::binary_row(*binary).evaluate)(float(builder, inputs[0])?, float(builder, inputs[1])?)
        }
        Op::Cast(_) if ty.dtype.is_float() => constant_of(builder, inputs[0])?.to_f64(),
        _ => return None,
    };
    let value = source::Scalar::new(value, ty.dtype);
    Some(builder.add(Constant { value, ty: ty.clone() }, &[], ty.clone()))
}

fn neutral(builder: &mut Builder, op: &Op, inputs: &[NodeId], _: &Type) -> Option<NodeId> {
    let Op::Binary(binary) = op else { return None };
    let is = |builder: &Builder, k: usize, value: f64| constant_of(builder, inputs[k]).is_some_and(|c| c.is(value));
    match binary {
        Binary::Multiply | Binary::Scale if is(builder, 1, 1.0) => Some(inputs[0]),
        Binary::Multiply | Binary::Scale if is(builder, 0, 1.0) => Some(inputs[1]),
        Binary::Divide if is(builder, 1, 1.0) => Some(inputs[0]),
        Binary::Subtract if is(builder, 1, 0.0) => Some(inputs[0]),
        _ => None,
    }
}

fn twice(builder: &mut Builder, op: &Op, inputs: &[NodeId], _: &Type) -> Option<NodeId> {
    let Op::Unary(unary @ (Unary::Negate | Unary::Not)) = op else { return None };
    let inner = builder.node(inputs[0]);
    (inner.op == Op::Unary(*unary)).then(|| inner.inputs[0])
}

/// One operation less, and multiples that were negated in different places look equal: the derivatives
/// of a sigmoid of `2 x` and of `-2 x` ask for each other's value.
fn negative_multiple(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let inner = builder.node(*inputs.first()?);
    let (x, constant) = match (op, &inner.op) {
        (Op::Unary(Unary::Negate), Op::Binary(Binary::Multiply)) => (inner.inputs[0], inner.inputs[1]),
        (Op::Binary(Binary::Multiply), Op::Unary(Unary::Negate)) => (inner.inputs[0], inputs[1]),
        _ => return None,
    };
    let Scalar::Float(bits) = constant_of(builder, constant)? else { return None };
    let opposite = Constant { value: Scalar::new(-f64::from_bits(bits), ty.dtype), ty: ty.clone() };
    let opposite = builder.add(opposite, &[], ty.clone());
    Some(builder.add(Op::Binary(Binary::Multiply), &[x, opposite], ty.clone()))
}

fn decided(builder: &mut Builder, op: &Op, inputs: &[NodeId], _: &Type) -> Option<NodeId> {
    let Op::Select(Select) = op else { return None };
    if inputs[1] == inputs[2] {
        return Some(inputs[1]);
    }
    constant_of(builder, inputs[0]).map(|c| if c.is(0.0) { inputs[2] } else { inputs[1] })
}

/// Without a summed label, or with nothing but batch and summed labels, a product is elementwise;
/// products of integers always are.
fn outer_product(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let Op::Einsum(einsum) = op else { return None };
    let Einsum { a, b, out, .. } = &**einsum;
    let summed: Vec<u8> = a.iter().copied().filter(|label| !out.contains(label)).collect();
    let sizes: Vec<(u8, usize)> = [(a, inputs[0]), (b, inputs[1])]
        .into_iter()
        .flat_map(|(labels, id)| labels.iter().copied().zip(builder.node(id).ty.shape.iter().copied()).collect::<Vec<_>>())
        .collect();
    let only_batch = out.iter().all(|label| a.contains(label) && b.contains(label));
    let sums = summed.iter().any(|label| sizes.iter().any(|(known, size)| known == label && *size != 1));
    if sums && !only_batch && ty.dtype.is_float() {
        return None;
    }
    if sums && Lane::of_parts(ty.dtype) != ty.dtype {
        // The products, too, are parts of the sum.
        return Some(in_parts_type(builder, op, inputs, ty));
    }
    let order: Vec<u8> = out.iter().copied().chain(summed.iter().copied()).collect();
    let shape: Shape = order.iter().filter_map(|label| sizes.iter().find(|(l, _)| l == label).map(|&(_, size)| size)).collect();
    let (x, y) = (align(builder, inputs[0], a, &order, &shape), align(builder, inputs[1], b, &order, &shape));
    let product = builder.add(Binary::Multiply, &[x, y], Type::new(shape, ty.dtype));
    if summed.is_empty() {
        return Some(product);
    }
    let axes: Axes = (out.len()..order.len()).collect();
    Some(builder.add(Sum(axes), &[product], ty.clone()))
}

/// A sum that is about to be computed in steps, of bf16 or f16: all steps in f32, the result rounded once.
fn in_parts_type(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> NodeId {
    let wide = Lane::of_parts(ty.dtype);
    let widened: SmallVec<[NodeId; 2]> = inputs
        .iter()
        .map(|&id| {
            let ty = Type::new(builder.node(id).ty.shape.clone(), wide);
            builder.add(Cast(wide), &[id], ty)
        })
        .collect();
    let sum = builder.add(op.clone(), &widened, Type::new(ty.shape.clone(), wide));
    builder.add(Cast(ty.dtype), &[sum], ty.clone())
}

/// An operand with its axes in the order of `labels`, repeated along those it lacks.
fn align(builder: &mut Builder, id: NodeId, own: &[u8], labels: &[u8], shape: &Shape) -> NodeId {
    let dtype = builder.node(id).ty.dtype;
    let order: Axes = labels.iter().filter_map(|label| own.iter().position(|l| l == label)).collect();
    let sorted: Shape = order.iter().map(|&axis| builder.node(id).ty.shape[axis]).collect();
    let sorted = builder.add(Permute(order), &[id], Type::new(sorted, dtype));
    let axes: Axes = (0..labels.len()).filter(|&i| !own.contains(&labels[i])).collect();
    let sizes: Axes = axes.iter().map(|&i| shape[i]).collect();
    builder.add(Broadcast { axes, sizes }, &[sorted], Type::new(shape.clone(), dtype))
}

/// Reductions are over the last axes or over the first; others are split, permuted first, or written out, as those of few elements of
/// windows are, too.
fn sorted_reduction(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let (Op::Sum(Sum(axes)) | Op::Max(Max(axes))) = op else { return None };
    let input = builder.node(inputs[0]).ty.clone();
    let rank = input.shape.len();
    let last = axes.iter().rev().zip((0..rank).rev()).take_while(|(a, b)| **a == *b).count();
    let first = axes.iter().enumerate().take_while(|(i, axis)| i == *axis).count();
    let count = axes.iter().map(|&axis| input.shape[axis]).product::<usize>();
    // The innermost axis that is kept; windows of a tensor have it before their own.
    let inner = (0..rank).rev().find(|axis| !axes.contains(axis)).map_or(1, |axis| input.shape[axis]);
    let few = count <= SHORT_REDUCTION && (last == 0 || 2 * inner >= count);
    let windows = few && matches!(builder.node(inputs[0]).op, Op::Window(_));
    if first == axes.len() || last == axes.len() && !windows {
        return None;
    }
    if matches!(op, Op::Sum(_)) && Lane::of_parts(ty.dtype) != ty.dtype {
        return Some(in_parts_type(builder, op, inputs, ty));
    }
    if few {
        return Some(unrolled(builder, op, inputs[0], axes, ty));
    }
    let remade = |axes: Axes| if matches!(op, Op::Sum(_)) { Op::Sum(Sum(axes)) } else { Op::Max(Max(axes)) };
    if last > 0 {
        let (front, back) = axes.split_at(axes.len() - last);
        let shape = Shape::from_slice(&input.shape[..rank - last]);
        let inner = builder.add(remade(back.into()), inputs, Type::new(shape, input.dtype));
        return Some(builder.add(remade(front.into()), &[inner], ty.clone()));
    }
    let order: Axes = (0..rank).filter(|axis| !axes.contains(axis)).chain(axes.iter().copied()).collect();
    let shape: Shape = order.iter().map(|&axis| input.shape[axis]).collect();
    let sorted = builder.add(Permute(order), inputs, Type::new(shape, input.dtype));
    Some(builder.add(remade((rank - axes.len()..rank).collect()), &[sorted], ty.clone()))
}

/// Reductions of so few elements (pooling) are written out, element by element, so that a long axis stays the inner one.
const SHORT_REDUCTION: usize = 16;

/// A reduction as a chain of additions or maxima of slices.
fn unrolled(builder: &mut Builder, op: &Op, input: NodeId, axes: &Axes, ty: &Type) -> NodeId {
    let whole = builder.node(input).ty.clone();
    let binary = if matches!(op, Op::Sum(_)) { Binary::Add } else { Binary::Maximum };
    let lengths: Shape = axes.iter().map(|&axis| whole.shape[axis]).collect();
    let mut points: Vec<Axes> = Vec::new();
    for_each_index(&lengths, |index| points.push(index.into()));
    let mut result: Option<NodeId> = None;
    for point in points {
        let mut slice = Slice {
            start: Axes::from_elem(0, whole.shape.len()),
            stop: whole.shape.iter().copied().collect(),
            step: Axes::from_elem(1, whole.shape.len()),
        };
        for (&axis, &at) in axes.iter().zip(&point) {
            (slice.start[axis], slice.stop[axis]) = (at, at + 1);
        }
        let part = slice_of_truths(builder, input, &slice, &ty.shape);
        result = Some(match result {
            Some(sum) => builder.add(binary, &[sum, part], ty.clone()),
            None => part,
        });
    }
    // There is at least one point: a reduction of nothing was replaced before.
    result.unwrap_or(input)
}

/// A slice that leaves one place of some axes, without these. What is true is found anew for each slice from what was
/// compared: which of the pooled elements are the greatest, say, is nothing to write to memory and read again.
fn slice_of_truths(builder: &mut Builder, id: NodeId, slice: &Slice, shape: &Shape) -> NodeId {
    let node = builder.node(id).clone();
    let is_truth = |id: NodeId| builder.node(id).ty.dtype == DType::Bool;
    let cheap = match &node.op {
        Op::Cast(_) => is_truth(node.inputs[0]),
        Op::Binary(Binary::Less | Binary::Equal) => true,
        _ => false,
    };
    if cheap {
        let inputs: SmallVec<[NodeId; 2]> = node.inputs.iter().map(|&input| slice_of_truths(builder, input, slice, shape)).collect();
        return builder.add(node.op, &inputs, Type::new(shape.clone(), node.ty.dtype));
    }
    let sizes: Shape = slice.start.iter().zip(&slice.stop).map(|(&start, &stop)| stop - start).collect();
    let part = builder.add(slice.clone(), &[id], Type::new(sizes, node.ty.dtype));
    builder.reshape(part, shape)
}

/// Rows beyond this many elements are cut, so that a row fits a core's cache and parts run in parallel.
const LONG_ROW: usize = 8192;

fn long_sum(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let (Op::Sum(Sum(axes)) | Op::Max(Max(axes))) = op else { return None };
    let input = builder.node(inputs[0]).ty.clone();
    let kept = input.shape.len() - axes.len();
    if axes[0] != kept {
        return None;
    }
    let length: usize = input.shape[kept..].iter().product();
    if length <= LONG_ROW {
        return None;
    }
    let inner = (64..=4096).rev().find(|part| length.is_multiple_of(*part))?;
    if matches!(op, Op::Sum(_)) && Lane::of_parts(ty.dtype) != ty.dtype {
        return Some(in_parts_type(builder, op, inputs, ty));
    }
    let remade = |axes: Axes| if matches!(op, Op::Sum(_)) { Op::Sum(Sum(axes)) } else { Op::Max(Max(axes)) };
    let mut shape: Shape = input.shape[..kept].into();
    shape.extend([length / inner, inner]);
    let cut = builder.reshape(inputs[0], &shape);
    shape.pop();
    let parts = builder.add(remade([kept + 1].as_slice().into()), &[cut], Type::new(shape, input.dtype));
    Some(builder.add(remade([kept].as_slice().into()), &[parts], ty.clone()))
}

fn last_axis(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let Op::CumulativeSum(CumulativeSum { axis, reverse }) = op else { return None };
    let rank = ty.shape.len();
    if *axis + 1 == rank {
        return None;
    }
    let order: Axes = (0..rank).filter(|a| a != axis).chain([*axis]).collect();
    let shape: Shape = order.iter().map(|&a| ty.shape[a]).collect();
    let wide = Type::new(shape, ty.dtype);
    let sorted = builder.add(Permute(order.clone()), inputs, wide.clone());
    let summed = builder.add(CumulativeSum { axis: rank - 1, reverse: *reverse }, &[sorted], wide);
    Some(builder.add(Permute(inverse_order(&order)), &[summed], ty.clone()))
}

/// Windows that neither overlap nor leave gaps: `[n] -> [count, size]`, also for their adjoint.
fn tiling_window(builder: &mut Builder, op: &Op, inputs: &[NodeId], ty: &Type) -> Option<NodeId> {
    let (window, whole, patches) = match op {
        Op::Window(window) => (&**window, builder.node(inputs[0]).ty.shape.clone(), ty.shape.clone()),
        Op::Fold(fold) => (&fold.window, ty.shape.clone(), builder.node(inputs[0]).ty.shape.clone()),
        _ => return None,
    };
    let tiles = (0..window.axes.len()).all(|i| {
        // So many windows of so many elements fit only if these are neighbours.
        window.strides[i] == window.sizes[i] && whole[window.axes[i]] == patches[window.axes[i]] * window.sizes[i]
    });
    if !tiles {
        return None;
    }
    // Cut each windowed axis in two; then move the second halves to the end, or back from there.
    let rank = whole.len();
    let mut cut = Shape::new();
    let (mut own, mut tail) = (Axes::new(), Axes::new());
    for axis in 0..rank {
        own.push(cut.len());
        cut.push(patches[axis]);
        if let Some(i) = window.axes.iter().position(|&a| a == axis) {
            tail.push(cut.len());
            cut.push(window.sizes[i]);
        }
    }
    let order: Axes = own.into_iter().chain(tail).collect();
    if matches!(op, Op::Window(_)) {
        let split = builder.reshape(inputs[0], &cut);
        return Some(builder.add(Permute(order), &[split], ty.clone()));
    }
    let together = builder.add(Permute(inverse_order(&order)), inputs, Type::new(cut, ty.dtype));
    Some(builder.add(Reshape(ty.shape.clone()), &[together], ty.clone()))
}
