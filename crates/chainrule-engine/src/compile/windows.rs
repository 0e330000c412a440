//! The gradient of a convolution's input as a convolution.
//!
//! Recorded, it is a product that makes the gradient of every patch, and a fold that adds up patches where they overlap:
//! `r[p] = sum over k of patches[p - k, k]`, with `patches[h, k] = sum over o of a[h, o] w[k, o]`. That is a product of
//! windows of `a`, with zeros around, and `w` turned round, `r[p] = sum over k and o of a[p - k, o] w[k, o]`: as many
//! multiplications, and no patches in memory. Where only a part of the result is read, as where the input was padded,
//! only that part is computed. Where each channel has a kernel of its own, both are written out (`taps.rs`). Refuses strides,
//! numbers of 16 bits, whose patches are rounded, and few channels, whose patches are smaller than their windows. Changes the order of a
//! sum, nothing else.

use super::graph::{Graph, NodeId};
use super::simplify::Builder;
use super::taps::{Patches, Windowed};
use crate::ops::contract::Labels;
use crate::ops::movement::Axes;
use crate::ops::{Einsum, Fold, Op, Pad, Reverse, Window};
use crate::tensor::{DType, Shape, Type};

/// Channels of the result from which it pays.
const LEAST_KEPT: usize = 16;
/// How many times more channels may be summed over: windows are read that often, patches written.
const MOST_SUMMED: usize = 2;

/// What is written anew; with zeros before and after each folded axis.
enum Found<'a> {
    /// A product and a fold that can be a product of windows.
    Product(Product<'a>, Vec<(usize, usize)>),
    /// A fold of patches of single channels.
    Patches(Patches, &'a Window, Vec<(usize, usize)>),
    /// A product of windows of single channels.
    Windowed(Windowed<'a>),
}

/// A fold, or a part of one.
struct Place<'a> {
    fold: &'a Fold,
    folded: NodeId,
    /// First and last but one of each folded axis that is wanted.
    wanted: Vec<(usize, usize)>,
}

/// A product and a fold that can be a product of windows.
struct Product<'a> {
    einsum: &'a Einsum,
    place: Place<'a>,
    /// The product.
    product: NodeId,
    /// Its operand that moves with the patches.
    moving: usize,
}

/// The graph with folds of products as products of windows.
pub fn as_windows(graph: Graph) -> Graph {
    let uses = graph.uses();
    let found = |id: NodeId| found(&graph, &uses, id);
    let any = |id: NodeId| found(id).is_some();
    if !(0..graph.nodes.len() as NodeId).any(any) {
        return graph;
    }
    Builder::rebuilt(&graph, |builder, new_of, id| {
        let ty = &graph.node(id).ty;
        Some(match found(id)? {
            Found::Windowed(windowed) => windowed.written_out(builder, new_of, ty),
            Found::Product(product, around) => product.of_windows(builder, new_of, &graph, (id, &around)),
            Found::Patches(patches, window, around) => patches.written_out((builder, new_of, &graph), window, &around, ty),
        })
    })
}

/// What stands at a node: a fold, or a part of one that nobody else reads.
fn found<'a>(graph: &'a Graph, uses: &[u32], id: NodeId) -> Option<Found<'a>> {
    if let Some(windowed) = Windowed::find(graph, id) {
        return Some(Found::Windowed(windowed));
    }
    let place = Place::find(graph, uses, id)?;
    let around = place.around(graph)?;
    match Patches::find(graph, uses, place.folded) {
        Some(patches) => Some(Found::Patches(patches, &place.fold.window, around)),
        None => Some(Found::Product(Product::new(graph, uses, place)?, around)),
    }
}

impl<'a> Place<'a> {
    /// What is read of a fold at a node: all of it, or a part if nobody reads the rest.
    fn find(graph: &'a Graph, uses: &[u32], id: NodeId) -> Option<Place<'a>> {
        let node = graph.node(id);
        match &node.op {
            Op::Fold(fold) => Some(Place { fold, folded: id, wanted: fold.lengths.iter().map(|&length| (0, length)).collect() }),
            Op::Slice(slice) if uses[node.inputs[0] as usize] == 1 => {
                let (whole, folded) = (&graph.node(node.inputs[0]).ty.shape, node.inputs[0]);
                let Op::Fold(fold) = &graph.node(folded).op else { return None };
                let axes = &fold.window.axes;
                let all = |axis: usize| axes.contains(&axis) || (slice.start[axis], slice.stop[axis]) == (0, whole[axis]);
                let even = (0..whole.len()).all(|axis| slice.step[axis] == 1 && all(axis));
                let wanted = axes.iter().map(|&axis| (slice.start[axis], slice.stop[axis])).collect();
                even.then_some(Place { fold, folded, wanted })
            }
            _ => None,
        }
    }

    /// Zeros before and after each listed axis, if nothing has to be cut off instead.
    fn around(&self, graph: &Graph) -> Option<Vec<(usize, usize)>> {
        let Window { axes, sizes, dilations, .. } = &self.fold.window;
        let patches = &graph.node(graph.node(self.folded).inputs[0]).ty.shape;
        let each = self.wanted.iter().enumerate();
        each.map(|(listed, &(start, stop))| {
            Some((((sizes[listed] - 1) * dilations[listed]).checked_sub(start)?, stop.checked_sub(patches[axes[listed]])?))
        })
        .collect()
    }
}

impl<'a> Product<'a> {
    fn new(graph: &'a Graph, uses: &[u32], place: Place<'a>) -> Option<Product<'a>> {
        let fold = place.fold;
        let product = graph.node(place.folded).inputs[0];
        let Op::Einsum(einsum) = &graph.node(product).op else { return None };
        let ty = &graph.node(product).ty;
        let rank = ty.shape.len() - fold.window.axes.len();
        let moved: Labels = fold.window.axes.iter().map(|&axis| einsum.out[axis]).collect();
        let (kept, within) = einsum.out.split_at(rank);
        let has_all = |labels: &Labels, of: &[u8]| of.iter().all(|label| labels.contains(label));
        let has_any = |labels: &Labels, of: &[u8]| of.iter().any(|label| labels.contains(label));
        let is = |moving: &Labels, other: &Labels| {
            has_all(moving, &moved) && has_all(other, within) && !has_any(moving, within) && !has_any(other, &moved)
        };
        let moving = [(&einsum.a, &einsum.b), (&einsum.b, &einsum.a)].into_iter().position(|(moving, other)| is(moving, other))?;
        let found = Product { einsum, place, product, moving };
        let [(labels, shape), (other, other_shape)] = [moving, 1 - moving].map(|side| found.operand(graph, side));
        let size_of = |chosen: &dyn Fn(&u8) -> bool, labels: &Labels, shape: &Shape| -> usize {
            labels.iter().zip(shape).filter(|(label, _)| chosen(label)).map(|(_, &size)| size).product()
        };
        let channels = size_of(&|label| kept.contains(label) && !labels.contains(label), other, other_shape);
        let summed = size_of(&|label| !kept.contains(label), labels, shape);
        let pays = channels >= LEAST_KEPT && summed <= MOST_SUMMED * channels;
        let plain = matches!(ty.dtype, DType::F32 | DType::F64) && fold.window.strides.iter().all(|&stride| stride == 1);
        (plain && pays && uses[product as usize] == 1).then_some(found)
    }

    fn operand<'g>(&self, graph: &'g Graph, side: usize) -> (&'a Labels, &'g Shape) {
        let labels = if side == 0 { &self.einsum.a } else { &self.einsum.b };
        (labels, &graph.node(graph.node(self.product).inputs[side]).ty.shape)
    }

    /// The product of windows.
    fn of_windows(&self, builder: &mut Builder, new_of: &[NodeId], graph: &Graph, (id, around): (NodeId, &[(usize, usize)])) -> NodeId {
        let (labels, shape) = self.operand(graph, self.moving);
        let (others, _) = self.operand(graph, 1 - self.moving);
        let product = graph.node(self.product);
        let Place { fold, wanted, .. } = &self.place;
        let [moving, other] = [self.moving, 1 - self.moving].map(|side| new_of[product.inputs[side] as usize]);
        let rank = product.ty.shape.len() - wanted.len();
        // Listed axes in the order in which the operand has them.
        let place = |listed: usize| labels.iter().position(|&label| label == self.einsum.out[fold.window.axes[listed]]);
        let mut listed: Vec<(usize, usize)> = (0..wanted.len()).filter_map(|listed| Some((place(listed)?, listed))).collect();
        listed.sort_unstable();
        let each = |value: &dyn Fn(usize) -> usize| -> Axes { listed.iter().map(|&(_, listed)| value(listed)).collect() };
        let dtype = product.ty.dtype;

        let mut pad =
            Pad { low: Axes::from_elem(0, shape.len()), high: Axes::from_elem(0, shape.len()), interior: Axes::from_elem(0, shape.len()) };
        let (mut padded, mut windows) = (shape.clone(), shape.clone());
        for &(axis, listed) in &listed {
            (pad.low[axis], pad.high[axis]) = around[listed];
            padded[axis] += pad.low[axis] + pad.high[axis];
            windows[axis] = wanted[listed].1 - wanted[listed].0;
        }
        let padded = builder.add(pad, &[moving], Type::new(padded, dtype));
        let window = Window {
            axes: listed.iter().map(|&(axis, _)| axis).collect(),
            sizes: each(&|listed| fold.window.sizes[listed]),
            strides: each(&|_| 1),
            dilations: each(&|listed| fold.window.dilations[listed]),
        };
        windows.extend(window.sizes.iter().copied());
        let windows = builder.add(window, &[padded], Type::new(windows, dtype));

        let within = |listed: usize| self.einsum.out[rank + listed];
        let turned = (0..others.len()).filter(|&axis| (0..wanted.len()).any(|listed| within(listed) == others[axis])).collect();
        let turned = builder.add(Reverse(turned), &[other], builder.node(other).ty.clone());
        let windowed: Labels = labels.iter().copied().chain(listed.iter().map(|&(_, listed)| within(listed))).collect();
        let out: Labels = self.einsum.out[..rank].into();
        let (a, b, inputs) = match self.moving {
            0 => (windowed, others.clone(), [windows, turned]),
            _ => (others.clone(), windowed, [turned, windows]),
        };
        builder.add(Einsum { a, b, out, ..self.einsum.clone() }, &inputs, graph.node(id).ty.clone())
    }
}
