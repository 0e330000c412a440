//! The axes of a product, sorted by where they stand (batch, rows, columns, summed), and its kernel.
//!
//! Refuses to know machines: how a kernel is cut in tiles is the backend's.

use super::chunks::Chunks;
use super::emit::Emitter;
use super::graph::{Graph, NodeId};
use super::kernel::{Access, Axes, Contract, Kernel, Lane, Reduction};
use super::lower::{Lowering, Place};
use crate::ops::contract::Labels;
use crate::ops::{Einsum, Op};
use crate::tensor::shape::dense_strides;

/// How a two-operand product is laid out as matrices.
pub struct Product {
    /// Labels in both operands and in the result.
    pub batch: Vec<u8>,
    /// Labels of the left operand and the result.
    pub m: Vec<u8>,
    /// Labels of the right operand and the result.
    pub n: Vec<u8>,
    /// Labels of both operands only.
    pub k: Vec<u8>,
    /// Whether the operands change sides, so that the result's last axes are the right one's.
    pub swapped: bool,
    /// Whether the result lies in the order batch, m, n.
    pub ordered: bool,
    /// In how many parts the sum is computed, later added up: 1 unless the sum is long and the
    /// result small.
    pub chunks: usize,
}

impl Product {
    /// The layout of the product at a node.
    pub fn of(graph: &Graph, id: NodeId, einsum: &Einsum) -> Product {
        let in_a = |label: &u8| einsum.a.contains(label);
        let in_b = |label: &u8| einsum.b.contains(label);
        // The side that owns the last label of the result gives the columns.
        let last_own = einsum.out.iter().rev().find(|label| in_a(label) != in_b(label));
        let swapped = last_own.is_some_and(in_a);
        let pick = |left: bool, right: bool| -> Vec<u8> {
            einsum.out.iter().copied().filter(|label| in_a(label) == left && in_b(label) == right).collect()
        };
        let batch = pick(true, true);
        let (m, n) = if swapped { (pick(false, true), pick(true, false)) } else { (pick(true, false), pick(false, true)) };
        let k: Vec<u8> = einsum.a.iter().copied().filter(|label| !einsum.out.contains(label)).collect();
        let ordered = batch.iter().chain(&m).chain(&n).eq(einsum.out.iter());
        let node = graph.node(id);
        let shape = &graph.node(node.inputs[0]).ty.shape;
        let length: usize = einsum.a.iter().zip(shape).filter(|(label, _)| k.contains(label)).map(|(_, &size)| size).product();
        let columns = if swapped { (node.inputs[0], &einsum.a) } else { (node.inputs[1], &einsum.b) };
        let chunks = match chunks(node.ty.len(), length) {
            1 if node.ty.len() <= HALVED && length >= LONG_ENOUGH && sums_windows(graph, columns, &k) => 2,
            chunks => chunks,
        };
        Product { batch, m, n, k, swapped, ordered, chunks }
    }

    /// The number of columns of the result.
    pub fn columns(&self, einsum: &Einsum, shape: &[usize]) -> usize {
        einsum.out.iter().zip(shape).filter(|(label, _)| self.n.contains(label)).map(|(_, &size)| size).product()
    }
}

/// Results up to which a sum over windows' places is cut in two, and the least of such a sum.
const HALVED: usize = 1 << 20;
const LONG_ENOUGH: usize = 256;

/// Whether an operand is windows of which the sum goes through the places, as in the gradient of a kernel by images with channels
/// first: cut in chunks, it can be read where it lies (`backend/cpu/contract/plan.rs`), as no code follows then.
fn sums_windows(graph: &Graph, (operand, labels): (NodeId, &Labels), summed: &[u8]) -> bool {
    match &graph.node(operand).op {
        Op::Window(window) => window.axes.iter().all(|&axis| summed.contains(&labels[axis])),
        _ => false,
    }
}

/// Results up to which a long sum is cut so that there is work to share, what a long sum is, and what is worth a chunk, as each begins
/// anew with what is laid out for it: as many are made as there are of these, rounded up to a power of two.
const FEW_RESULTS: usize = 1 << 16;
const LONG: usize = 1024;
const WORTH_A_CHUNK: usize = 784;

/// A result of few tiles whose sum is long is cut along the sum, so that there is work to share: in a power of two, which two
/// and four threads can share evenly.
fn chunks(results: usize, length: usize) -> usize {
    if results <= FEW_RESULTS && length >= LONG { (length / WORTH_A_CHUNK).next_power_of_two().clamp(2, 16) } else { 1 }
}

/// Sizes or strides of labels, in their order.
pub fn by_label<T: Copy>(labels: &[u8], own: &[u8], values: &[T], missing: T) -> Axes<T> {
    labels.iter().map(|label| own.iter().position(|l| l == label).map_or(missing, |at| values[at])).collect()
}

impl Lowering<'_> {
    /// A product; with a group, the scalar code of its other members on each tile.
    pub fn contract(&mut self, id: NodeId, group: Option<u32>) {
        let node = self.graph.node(id);
        let Op::Einsum(einsum) = &node.op else { return };
        let product = Product::of(self.graph, id, einsum);
        let sides = if product.swapped { [1, 0] } else { [0, 1] };
        let own = [&einsum.a, &einsum.b];
        let (left, right) = (own[sides[0]], own[sides[1]]);
        let shape = |k: usize| self.graph.node(node.inputs[k]).ty.shape.clone();
        let (left_shape, right_shape) = (shape(sides[0]), shape(sides[1]));
        let size = |label: &u8| {
            let at = left.iter().position(|l| l == label).map(|i| left_shape[i]);
            at.or_else(|| right.iter().position(|l| l == label).map(|i| right_shape[i])).unwrap_or(1)
        };
        // Axes of one element carry nothing.
        let long = |labels: &[u8]| -> Vec<u8> { labels.iter().copied().filter(|label| size(label) != 1).collect() };
        let (batch, m, n, mut k) = (long(&product.batch), long(&product.m), long(&product.n), long(&product.k));
        let sizes = |labels: &[u8]| -> Axes<usize> { labels.iter().map(size).collect() };
        let (a, b) = (self.access(node.inputs[sides[0]]), self.access(node.inputs[sides[1]]));
        // The sum walks the larger operand as it lies in memory: what it reads next is then side by side if it can be.
        let larger = if left_shape.iter().product::<usize>() >= right_shape.iter().product() { (left, &a) } else { (right, &b) };
        k.sort_by_key(|label| {
            let at = larger.0.iter().position(|own| own == label);
            std::cmp::Reverse(at.map_or(0, |at| larger.1.strides[at].unsigned_abs()))
        });
        let a_strides = by_label(&[&batch[..], &m, &k].concat(), left, &a.strides, 0);
        let b_strides = by_label(&[&batch[..], &k, &n].concat(), right, &b.strides, 0);
        let out_strides = by_label(&[&batch[..], &m, &n].concat(), &einsum.out, &dense_strides(&node.ty.shape), 0);
        let single = group.is_none_or(|group| self.fusion.groups[group as usize].members.len() == 1);
        let epilogue = match (group, single) {
            (Some(group), false) => Some(Emitter::region(self, group).0),
            _ => None,
        };
        if epilogue.as_ref().is_some_and(|region| region.stores.is_empty()) {
            return;
        }
        let len = node.ty.len();
        let chunked = product.chunks > 1;
        let parts = if chunked { Lane::of_parts(node.ty.dtype) } else { node.ty.dtype };
        let buffer = match (chunked, &epilogue) {
            (true, _) => self.buffer(len * product.chunks, parts, Place::Temporary),
            // With scalar code the tile is written by its stores only.
            (false, Some(region)) => region.stores[0].buffer,
            (false, None) => self.own_buffer(id),
        };
        let strides = chunked.then_some(len as isize).into_iter().chain(out_strides).collect();
        let kernel = Contract {
            batch: sizes(&batch),
            m: sizes(&m),
            n: sizes(&n),
            k: sizes(&k),
            a: Access { strides: a_strides, ..a },
            b: Access { strides: b_strides, ..b },
            out: Access { buffer, dtype: parts, offset: 0, strides },
            k_chunks: product.chunks,
            accumulate: false,
            precision: einsum.precision.unwrap_or(self.options.precision),
            epilogue,
        };
        self.push(Kernel::Contract(Box::new(kernel)), id);
        if chunked && !self.leaves_chunks(id, Chunks { buffer, dtype: parts, count: product.chunks, len }) {
            let out = self.own_buffer(id);
            let combine = Emitter::combine((buffer, parts), (out, node.ty.dtype), product.chunks, len, Reduction::Sum);
            self.push(Kernel::Region(combine), id);
        }
    }
}
