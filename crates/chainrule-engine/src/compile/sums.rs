//! Products that are only added up become one product: `A1 B1 + A2 B2 + ..` is `[A1 A2 ..]` times
//! `[B1; B2; ..]`.
//!
//! The gradient of a weight that is used at every step of a sequence is such a sum. Computed term by
//! term, its large result is read and written for every step, and each term alone is a product with a
//! short sum, the slowest kind. Refuses what would copy more than it saves, and terms that somebody
//! else reads. Changes the order of a sum, nothing else.

use super::graph::{Graph, NodeId};
use super::kernel::Binary;
use super::product::Product;
use super::simplify::Builder;
use crate::ops::{Concat, Einsum, Op};
use crate::tensor::{Shape, Type};
use smallvec::SmallVec;

/// What is saved must be at least so many times what is copied.
const WORTH: usize = 2;

/// The graph with its sums of products gathered.
pub fn gather_sums(graph: Graph) -> Graph {
    let uses = graph.uses();
    let sums: Vec<(NodeId, Vec<NodeId>)> = roots_of_sums(&graph, &uses)
        .filter_map(|root| {
            let terms = terms(&graph, &uses, root);
            groups(&graph, &uses, &terms).iter().any(|group| group.len() > 1).then_some((root, terms))
        })
        .collect();
    if sums.is_empty() {
        return graph;
    }
    Builder::rebuilt(&graph, |builder, new_of, id| {
        let at = sums.binary_search_by_key(&id, |&(root, _)| root).ok()?;
        let mut parts = groups(&graph, &uses, &sums[at].1).into_iter().map(|group| match group[..] {
            [one] => new_of[one as usize],
            _ => joined(builder, &graph, new_of, &group),
        });
        let parts: Vec<NodeId> = parts.by_ref().collect();
        parts.into_iter().reduce(|sum, part| builder.add(Op::Binary(Binary::Add), &[sum, part], graph.node(id).ty.clone()))
    })
}

/// The additions whose result is not just another term of an addition.
fn roots_of_sums<'a>(graph: &'a Graph, uses: &'a [u32]) -> impl Iterator<Item = NodeId> + 'a {
    let is_sum = |id: &NodeId| matches!(graph.node(*id).op, Op::Binary(Binary::Add));
    let mut inner = vec![false; graph.nodes.len()];
    for id in (0..graph.nodes.len() as NodeId).filter(is_sum) {
        for &input in &graph.node(id).inputs {
            inner[input as usize] |= uses[input as usize] == 1;
        }
    }
    (0..graph.nodes.len() as NodeId).filter(move |id| is_sum(id) && !inner[*id as usize])
}

/// What a tree of additions adds up, in order.
fn terms(graph: &Graph, uses: &[u32], root: NodeId) -> Vec<NodeId> {
    let (mut terms, mut open) = (Vec::new(), vec![root]);
    while let Some(id) = open.pop() {
        let node = graph.node(id);
        match node.op {
            Op::Binary(Binary::Add) if id == root || uses[id as usize] == 1 => open.extend(node.inputs.iter().rev()),
            _ => terms.push(id),
        }
    }
    terms
}

/// The terms, those that can be one product together; each group stands where its first term stood.
fn groups(graph: &Graph, uses: &[u32], terms: &[NodeId]) -> Vec<SmallVec<[NodeId; 4]>> {
    let mut groups: Vec<SmallVec<[NodeId; 4]>> = Vec::new();
    for &id in terms {
        let alike = |group: &&mut SmallVec<[NodeId; 4]>| {
            let (one, two) = (graph.node(group[0]), graph.node(id));
            one.op == two.op && one.inputs.iter().zip(&two.inputs).all(|(&a, &b)| graph.node(a).ty == graph.node(b).ty)
        };
        match groups.iter_mut().find(|group| uses[id as usize] == 1 && uses[group[0] as usize] == 1 && alike(group)) {
            Some(group) if pays(graph, id) => group.push(id),
            _ => groups.push(SmallVec::from_slice(&[id])),
        }
    }
    // In the order in which their operands were recorded, which is that of the steps of a sequence: its
    // gradients are likely to be put together in that order elsewhere, too.
    groups.iter_mut().for_each(|group| group.sort_by_key(|&id| graph.node(id).inputs.iter().min().copied()));
    groups
}

/// Whether reading and writing the result of a product costs more than copying its operands.
fn pays(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    let Op::Einsum(einsum) = &node.op else { return false };
    if einsum.a.len() + einsum.b.len() > u8::MAX as usize || !Product::of(graph, id, einsum).batch.is_empty() {
        return false;
    }
    let operands: usize = node.inputs.iter().map(|&input| graph.node(input).ty.len()).sum();
    node.ty.len() >= WORTH * operands
}

/// One product in the place of several.
fn joined(builder: &mut Builder, graph: &Graph, new_of: &[NodeId], group: &[NodeId]) -> NodeId {
    let node = graph.node(group[0]);
    let Op::Einsum(einsum) = &node.op else { return new_of[group[0] as usize] };
    let label = (0..=u8::MAX).find(|label| !einsum.a.contains(label) && !einsum.b.contains(label)).unwrap_or(0);
    let with = |labels: &[u8]| std::iter::once(label).chain(labels.iter().copied()).collect();
    let mut side = |k: usize| {
        let ty = &graph.node(node.inputs[k]).ty;
        let stacked = |count: usize| -> Shape { std::iter::once(count).chain(ty.shape.iter().copied()).collect() };
        let pieces: Vec<NodeId> = group.iter().map(|&id| builder.reshape(new_of[graph.node(id).inputs[k] as usize], &stacked(1))).collect();
        builder.add(Concat { axis: 0 }, &pieces, Type::new(stacked(group.len()), ty.dtype))
    };
    let inputs = [side(0), side(1)];
    let op = Einsum { a: with(&einsum.a), b: with(&einsum.b), ..Einsum::clone(einsum) };
    builder.add(op, &inputs, node.ty.clone())
}
