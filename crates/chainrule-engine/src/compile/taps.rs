//! Convolutions with a kernel of its own for each channel, written out place by place of the kernel.
//!
//! As products these have a single row, and their gradients make patches of as many times the memory as a kernel has places. Written out
//! they are sums of moved images, each times one number of a channel: scalar code that reads what lies side by side. Refuses large
//! kernels, products that sum over more than a window, strides where patches are added up, and numbers of 16 bits, which would be rounded
//! at every place. Changes the order of a sum, nothing else.

use super::graph::{Graph, NodeId};
use super::simplify::Builder;
use crate::ops::contract::Labels;
use crate::ops::movement::Axes;
use crate::ops::{Binary, Broadcast, Einsum, Op, Pad, Permute, Slice, Window};
use crate::tensor::shape::for_each_index;
use crate::tensor::{DType, Shape, Type};

/// The most places of a kernel: seven by seven.
const MOST: usize = 49;

/// Whether so many places are written out, of numbers of such a type.
fn are_few(sizes: &[usize], dtype: DType) -> bool {
    (2..=MOST).contains(&sizes.iter().product()) && matches!(dtype, DType::F32 | DType::F64)
}

/// A product of windows with numbers that have no axis of their own.
pub struct Windowed<'a> {
    window: &'a Window,
    /// What the windows are of.
    image: NodeId,
    /// Labels of the windows' axes, those within them last.
    labels: Labels,
    /// The numbers, and their labels.
    numbers: (NodeId, &'a Labels),
    out: &'a Labels,
}

impl<'a> Windowed<'a> {
    /// What a node is, if it is one.
    pub fn find(graph: &'a Graph, id: NodeId) -> Option<Windowed<'a>> {
        let node = graph.node(id);
        let Op::Einsum(einsum) = &node.op else { return None };
        let Einsum { a, b, out, .. } = &**einsum;
        [(a, b, 0), (b, a, 1)].into_iter().find_map(|(own, other, side)| {
            let (windows, labels) = windows_of(graph, node.inputs[side], own)?;
            let Op::Window(window) = &graph.node(windows).op else { return None };
            let found = Windowed { window, image: graph.node(windows).inputs[0], labels, numbers: (node.inputs[1 - side], other), out };
            (are_few(&window.sizes, node.ty.dtype) && found.is_plain(graph)).then_some(found)
        })
    }

    /// Whether it sums over the windows alone, and the result's axes follow each other as those of the image do.
    fn is_plain(&self, graph: &Graph) -> bool {
        let shape = &graph.node(self.image).ty.shape;
        let (kept, within) = self.labels.split_at(shape.len());
        let (numbers, others) = (&graph.node(self.numbers.0).ty.shape, self.numbers.1);
        let known = |label: &u8| kept.contains(label) && self.out.contains(label);
        let own_are_one = others.iter().zip(numbers).all(|(label, &size)| size == 1 || within.contains(label) || known(label));
        let summed = within.iter().all(|label| others.contains(label) && !self.out.contains(label));
        let long = |label: &&u8| kept.iter().zip(shape).any(|(known, &size)| known == *label && size != 1);
        own_are_one && summed && self.out.iter().filter(long).eq(kept.iter().filter(long))
    }

    /// The sum of moved images.
    pub fn written_out(&self, builder: &mut Builder, new_of: &[NodeId], ty: &Type) -> NodeId {
        let Window { axes, sizes, strides, dilations } = self.window;
        let (image, numbers) = (new_of[self.image as usize], new_of[self.numbers.0 as usize]);
        let counts: Axes = axes.iter().map(|&axis| self.count(ty, axis)).collect();
        let within = &self.labels[self.labels.len() - sizes.len()..];
        let places: Axes = within.iter().filter_map(|label| self.numbers.1.iter().position(|other| other == label)).collect();
        sum(builder, sizes, ty, |builder, place| {
            let mut slice = whole(&builder.node(image).ty.shape);
            for (listed, &axis) in axes.iter().enumerate() {
                let start = place[listed] * dilations[listed];
                (slice.start[axis], slice.step[axis]) = (start, strides[listed]);
                slice.stop[axis] = start + (counts[listed] - 1) * strides[listed] + 1;
            }
            let part = sliced(builder, image, slice);
            let mut slice = whole(&builder.node(numbers).ty.shape);
            for (&axis, &at) in places.iter().zip(place) {
                (slice.start[axis], slice.stop[axis]) = (at, at + 1);
            }
            let number = sliced(builder, numbers, slice);
            (builder.reshape(part, &ty.shape), self.repeated(builder, number, ty))
        })
    }

    /// How many windows there are along an axis of the image.
    fn count(&self, ty: &Type, axis: usize) -> usize {
        self.out.iter().position(|label| *label == self.labels[axis]).map_or(1, |at| ty.shape[at])
    }

    /// Numbers of one place, repeated along the axes of the result that they lack.
    fn repeated(&self, builder: &mut Builder, number: NodeId, ty: &Type) -> NodeId {
        let ours = |label: &&u8| self.numbers.1.contains(label) && self.labels.contains(label);
        let kept: Labels = self.out.iter().filter(ours).copied().collect();
        let order: Axes = kept.iter().filter_map(|label| self.numbers.1.iter().position(|other| other == label)).collect();
        let rest = (0..self.numbers.1.len()).filter(|axis| !order.contains(axis));
        let order: Axes = order.iter().copied().chain(rest).collect();
        let shape: Shape = order.iter().map(|&axis| builder.node(number).ty.shape[axis]).collect();
        let dtype = ty.dtype;
        let number = builder.add(Permute(order), &[number], Type::new(shape.clone(), dtype));
        let number = builder.reshape(number, &shape[..kept.len()]);
        let axes: Axes = (0..self.out.len()).filter(|&at| !kept.contains(&self.out[at])).collect();
        let sizes: Axes = axes.iter().map(|&axis| ty.shape[axis]).collect();
        builder.add(Broadcast { axes, sizes }, &[number], ty.clone())
    }
}

/// The windows behind an operand, and the labels of their axes.
fn windows_of(graph: &Graph, id: NodeId, labels: &Labels) -> Option<(NodeId, Labels)> {
    let node = graph.node(id);
    match &node.op {
        Op::Window(_) => Some((id, labels.clone())),
        Op::Permute(Permute(order)) => {
            let mut moved = labels.clone();
            order.iter().zip(labels).for_each(|(&axis, &label)| moved[axis] = label);
            windows_of(graph, node.inputs[0], &moved)
        }
        _ => None,
    }
}

/// Patches that are added up, of which each is a number times a window's numbers.
pub struct Patches {
    /// The factors, moved to the shape of the patches: the one that moves with them, and the one within.
    factors: [NodeId; 2],
    /// How the factors come to that shape.
    moves: Vec<NodeId>,
}

impl Patches {
    /// What a fold adds up, if it is that and nobody else reads it.
    pub fn find(graph: &Graph, uses: &[u32], folded: NodeId) -> Option<Patches> {
        let node = graph.node(folded);
        let Op::Fold(fold) = &node.op else { return None };
        let window = &fold.window;
        let shape = &graph.node(node.inputs[0]).ty.shape;
        if !are_few(&window.sizes, node.ty.dtype) || window.strides.iter().any(|&stride| stride != 1) {
            return None;
        }
        let (mut id, mut moves) = (node.inputs[0], Vec::new());
        while uses[id as usize] == 1 && matches!(graph.node(id).op, Op::Permute(_) | Op::Reshape(_)) {
            moves.push(id);
            id = graph.node(id).inputs[0];
        }
        let product = graph.node(id);
        if product.op != Op::Binary(Binary::Multiply) || uses[id as usize] != 1 {
            return None;
        }
        moves.reverse();
        let rank = shape.len() - window.axes.len();
        let [a, b] = [product.inputs[0], product.inputs[1]].map(|factor| varying(graph, factor, &moves).map(|varies| (factor, varies)));
        let is = |one: &[bool], other: &[bool]| !one[rank..].contains(&true) && window.axes.iter().all(|&axis| !other[axis]);
        let ((a, one), (b, other)) = (a?, b?);
        let factors = match (is(&one, &other), is(&other, &one)) {
            (true, _) => [a, b],
            (_, true) => [b, a],
            _ => return None,
        };
        Some(Patches { factors, moves })
    }

    /// The sum of moved images, with zeros before and after each folded axis.
    pub fn written_out(
        &self,
        (builder, new_of, graph): (&mut Builder, &[NodeId], &Graph),
        window: &Window,
        around: &[(usize, usize)],
        ty: &Type,
    ) -> NodeId {
        let Window { axes, sizes, dilations, .. } = window;
        let [moving, within] = self.factors.map(|factor| self.moved(builder, new_of, graph, factor));
        let patches = builder.node(moving).ty.shape.clone();
        let rank = patches.len() - axes.len();
        let mut one = whole(&patches);
        one.stop[rank..].fill(1);
        let moving = sliced(builder, moving, one);
        let moving = builder.reshape(moving, &patches[..rank]);
        let none = || Axes::from_elem(0, rank);
        let (mut pad, mut padded) = (Pad { low: none(), high: none(), interior: none() }, Shape::from_slice(&patches[..rank]));
        for (listed, &axis) in axes.iter().enumerate() {
            (pad.low[axis], pad.high[axis]) = around[listed];
            padded[axis] += around[listed].0 + around[listed].1;
        }
        let padded = builder.add(pad, &[moving], Type::new(padded, ty.dtype));
        sum(builder, sizes, ty, |builder, place| {
            let mut slice = whole(&builder.node(padded).ty.shape);
            let mut number = whole(&patches);
            for (listed, &axis) in axes.iter().enumerate() {
                let start = place[listed] * dilations[listed];
                (slice.start[axis], slice.stop[axis]) = (start, start + ty.shape[axis]);
                // Turned round: what is far behind in the window comes from far before.
                let at = sizes[listed] - 1 - place[listed];
                (number.start[rank + listed], number.stop[rank + listed]) = (at, at + 1);
                number.stop[axis] = 1;
            }
            let part = sliced(builder, padded, slice);
            let number = sliced(builder, within, number);
            let kept: Shape = (0..rank).filter(|axis| !axes.contains(axis)).map(|axis| patches[axis]).collect();
            let number = builder.reshape(number, &kept);
            let mut sorted = axes.clone();
            sorted.sort_unstable();
            let lengths: Axes = sorted.iter().map(|&axis| ty.shape[axis]).collect();
            (part, builder.add(Broadcast { axes: sorted, sizes: lengths }, &[number], ty.clone()))
        })
    }

    /// A factor in the shape of the patches.
    fn moved(&self, builder: &mut Builder, new_of: &[NodeId], graph: &Graph, factor: NodeId) -> NodeId {
        let same = |builder: &mut Builder, id, &step: &NodeId| {
            let node = graph.node(step);
            builder.add(node.op.clone(), &[id], node.ty.clone())
        };
        self.moves.iter().fold(new_of[factor as usize], |id, step| same(builder, id, step))
    }
}

/// Along which axes a factor is not one number repeated, after some moves; `None` if they mix axes.
fn varying(graph: &Graph, factor: NodeId, moves: &[NodeId]) -> Option<Vec<bool>> {
    let node = graph.node(factor);
    let mut varies: Vec<bool> = node.ty.shape.iter().map(|&size| size != 1).collect();
    if let Op::Broadcast(broadcast) = &node.op {
        broadcast.axes.iter().for_each(|&axis| varies[axis] = false);
    }
    let mut shape = &node.ty.shape;
    for &step in moves {
        let step = graph.node(step);
        varies = match &step.op {
            Op::Permute(Permute(order)) => order.iter().map(|&axis| varies[axis]).collect(),
            _ => {
                let long = |shape: &Shape| shape.iter().copied().filter(|&size| size != 1).collect::<Shape>();
                if long(shape) != long(&step.ty.shape) {
                    return None;
                }
                let mut kept = varies.iter().zip(shape).filter(|(_, size)| **size != 1).map(|(varies, _)| *varies);
                step.ty.shape.iter().map(|&size| size != 1 && kept.next() == Some(true)).collect()
            }
        };
        shape = &step.ty.shape;
    }
    Some(varies)
}

/// The sum, over the places of a kernel, of an image times numbers.
fn sum(builder: &mut Builder, sizes: &[usize], ty: &Type, mut factors: impl FnMut(&mut Builder, &[usize]) -> (NodeId, NodeId)) -> NodeId {
    let mut places: Vec<Axes> = Vec::new();
    for_each_index(sizes, |place| places.push(place.into()));
    let mut product = |builder: &mut Builder, place: &Axes| {
        let (image, number) = factors(builder, place);
        builder.add(Binary::Multiply, &[image, number], ty.clone())
    };
    let first = product(builder, &places[0]);
    places[1..].iter().fold(first, |sum, place| {
        let product = product(builder, place);
        builder.add(Binary::Add, &[sum, product], ty.clone())
    })
}

/// A slice of everything, to be made smaller.
fn whole(shape: &Shape) -> Slice {
    Slice { start: Axes::from_elem(0, shape.len()), stop: shape.iter().copied().collect(), step: Axes::from_elem(1, shape.len()) }
}

fn sliced(builder: &mut Builder, id: NodeId, slice: Slice) -> NodeId {
    let along = |axis: usize| (slice.stop[axis] - slice.start[axis]).div_ceil(slice.step[axis]);
    let ty = Type::new((0..slice.start.len()).map(along).collect::<Shape>(), builder.node(id).ty.dtype);
    builder.add(slice, &[id], ty)
}
