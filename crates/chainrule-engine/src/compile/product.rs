//! The axes of a product, sorted by where they stand: batch, rows, columns, summed.

use super::graph::{Graph, NodeId};
use super::kernel::Axes;
use crate::ops::Einsum;

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
        Product { batch, m, n, k, swapped, ordered, chunks: chunks(node.ty.len(), length) }
    }

    /// The number of columns of the result.
    pub fn columns(&self, einsum: &Einsum, shape: &[usize]) -> usize {
        einsum.out.iter().zip(shape).filter(|(label, _)| self.n.contains(label)).map(|(_, &size)| size).product()
    }
}

/// A result of few tiles whose sum is long is cut along the sum, so that there is work to share: in a power of two, which two
/// and four threads can share evenly.
fn chunks(results: usize, length: usize) -> usize {
    if results <= 1 << 16 && length >= 1024 { (length / 512).next_power_of_two().min(16) } else { 1 }
}

/// Sizes or strides of labels, in their order.
pub fn by_label<T: Copy>(labels: &[u8], own: &[u8], values: &[T], missing: T) -> Axes<T> {
    labels.iter().map(|label| own.iter().position(|l| l == label).map_or(missing, |at| values[at])).collect()
}
