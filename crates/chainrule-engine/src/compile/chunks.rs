//! Products whose sum is cut in chunks and that stay so: few who read the result add up two or four chunks as cheaply as one
//! kernel more would, with a wait of all threads before and after it.
//!
//! Refuses to know how products are cut ([`super::product`]) and to emit code.

use super::fuse::{Fusion, Kind, is_elementwise};
use super::graph::{Graph, GraphNode, NodeId};
use super::kernel::BufferId;
use super::product::Product;
use super::view::View;
use crate::ops::Op;
use crate::tensor::DType;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// The most chunks that are read in all, by all groups that read them.
const MOST_READ: usize = 4;

/// Where the chunks of a result are, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    /// All of them.
    pub buffer: BufferId,
    /// The type they are in.
    pub dtype: DType,
    /// How many.
    pub count: usize,
    /// Elements of each.
    pub len: usize,
}

/// Products that stay in chunks, in ascending order: those that only scalar code reads, that of a few groups.
pub fn left_to_readers(graph: &Graph, views: &[View], fusion: &Fusion) -> Vec<NodeId> {
    let chunks = |(id, node): (NodeId, &GraphNode)| match &node.op {
        Op::Einsum(einsum) => Some((id, Product::of(graph, id, einsum).chunks)).filter(|&(_, chunks)| chunks > 1),
        _ => None,
    };
    let mut readers: FxHashMap<NodeId, SmallVec<[u32; 4]>> =
        (0..).zip(&graph.nodes).filter_map(chunks).map(|(id, _)| (id, SmallVec::new())).collect();
    if readers.is_empty() {
        return Vec::new();
    }
    for &root in &graph.roots {
        readers.remove(&views[root as usize].base);
    }
    for (id, node) in (0..).zip(&graph.nodes) {
        for &input in &node.inputs {
            let base = views[input as usize].base;
            let Some(groups) = readers.get_mut(&base) else { continue };
            match fusion.place[id as usize] {
                Some((group, _)) if adds_up(fusion, node, group) && !fusion.again[id as usize] => {
                    if !groups.contains(&group) {
                        groups.push(group);
                    }
                }
                // A view is read by those who read it.
                None if views[id as usize].base == base => {}
                _ => {
                    readers.remove(&base);
                }
            }
        }
    }
    let few = |&(id, ref groups): &(NodeId, SmallVec<[u32; 4]>)| {
        let Op::Einsum(einsum) = &graph.node(id).op else { return false };
        groups.len() * Product::of(graph, id, einsum).chunks <= MOST_READ
    };
    let mut left: Vec<NodeId> = readers.into_iter().filter(few).map(|(id, _)| id).collect();
    left.sort_unstable();
    left
}

/// Whether a node reads its inputs by scalar code of its group.
fn adds_up(fusion: &Fusion, node: &GraphNode, group: u32) -> bool {
    let scalar = is_elementwise(&node.op) || matches!(node.op, Op::Sum(_) | Op::Max(_));
    scalar && matches!(fusion.groups[group as usize].kind, Kind::Region | Kind::Contract)
}
