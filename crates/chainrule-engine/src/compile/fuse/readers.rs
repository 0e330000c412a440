//! Small groups that read the same product become one.
//!
//! A kernel more, and adding up the chunks of a product once more, is what such a group costs: in the steps of a recurrent network on
//! their way back the gate that a state went out by comes to stand apart from the others. Refuses groups that do not wait for just the
//! same, so that nothing is made later than before.

use super::{Fusion, Kind};
use crate::compile::graph::{Graph, NodeId};
use crate::compile::view::View;
use crate::ops::Op;
use rustc_hash::FxHashMap;

/// Points of a group up to which a kernel more costs more than what it computes.
const SMALL: usize = 1 << 14;

impl Fusion {
    /// Puts groups together that read the same product.
    pub(super) fn join_readers(&mut self, graph: &Graph, views: &[View]) {
        let mut readers: FxHashMap<NodeId, Vec<NodeId>> = FxHashMap::default();
        for (id, node) in (0..).zip(&graph.nodes) {
            for base in node.inputs.iter().map(|&input| views[input as usize].base) {
                let small = matches!(graph.node(base).op, Op::Einsum(_)) && graph.node(base).ty.len() <= SMALL;
                if small && self.place[id as usize].is_some() {
                    readers.entry(base).or_default().push(id);
                }
            }
        }
        let mut readers: Vec<(NodeId, Vec<NodeId>)> = readers.into_iter().collect();
        readers.sort_unstable_by_key(|&(product, _)| product);
        for (product, readers) in readers {
            let mut groups: Vec<u32> = readers.iter().filter_map(|&id| Some(self.place[id as usize]?.0)).collect();
            groups.sort_unstable();
            groups.dedup();
            for pair in groups.windows(2) {
                if self.alike(pair[0], pair[1], graph.node(product).ty.len()) {
                    self.merge(graph, views, pair[0], pair[1]);
                }
            }
        }
    }

    /// Whether two groups are scalar code over so many points and wait for the same.
    fn alike(&self, one: u32, other: u32, total: usize) -> bool {
        let [a, b] = [one, other].map(|group| &self.groups[group as usize]);
        let regions = [a, b].iter().all(|group| group.kind == Kind::Region && group.total == total);
        let [before, others] = [one, other].map(|group| &self.before[group as usize]);
        let word = |words: &[u64], i: usize| words.get(i).copied().unwrap_or(0);
        regions && (0..before.len().max(others.len())).all(|i| word(before, i) == word(others, i))
    }
}
