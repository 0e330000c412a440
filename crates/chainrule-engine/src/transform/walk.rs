//! The nodes of a graph in the order they were recorded, without recursion.

use crate::tensor::Tensor;
use rustc_hash::FxHashMap;

/// Nodes in the order of recording: inputs before what uses them.
pub struct Walk {
    /// The nodes.
    pub nodes: Vec<Tensor>,
    /// Position in `nodes` by node number.
    pub position: FxHashMap<u64, u32>,
}

impl Walk {
    /// All nodes that `roots` depend on and `enter` admits, with the roots.
    pub fn new<'a>(roots: impl IntoIterator<Item = &'a Tensor>, enter: impl Fn(&Tensor) -> bool) -> Walk {
        Walk::collect(roots, enter, |_| false)
    }

    /// All nodes that `roots` depend on, but not what nodes that `stop` depend on.
    pub fn stopping_at<'a>(roots: impl IntoIterator<Item = &'a Tensor>, stop: impl Fn(&Tensor) -> bool) -> Walk {
        Walk::collect(roots, |_| true, stop)
    }

    fn collect<'a>(roots: impl IntoIterator<Item = &'a Tensor>, enter: impl Fn(&Tensor) -> bool, stop: impl Fn(&Tensor) -> bool) -> Walk {
        let mut nodes: Vec<Tensor> = Vec::new();
        let mut position: FxHashMap<u64, u32> = FxHashMap::default();
        for root in roots {
            if position.insert(root.id(), 0).is_none() {
                nodes.push(root.clone());
            }
        }
        let mut next = 0;
        while next < nodes.len() {
            // Inputs are appended to the list that is being walked: every node is visited once.
            let inputs = if stop(&nodes[next]) { 0 } else { nodes[next].inputs().len() };
            for i in 0..inputs {
                let input = &nodes[next].inputs()[i];
                if !position.contains_key(&input.id()) && enter(input) {
                    position.insert(input.id(), 0);
                    nodes.push(input.clone());
                }
            }
            next += 1;
        }
        nodes.sort_unstable_by_key(Tensor::id);
        for (i, node) in nodes.iter().enumerate() {
            position.insert(node.id(), i as u32);
        }
        Walk { nodes, position }
    }

    /// Where a node is, if it was reached.
    pub fn find(&self, tensor: &Tensor) -> Option<usize> {
        self.position.get(&tensor.id()).map(|&at| at as usize)
    }

    /// For each node, whether it is one of `sources` or depends on one.
    pub fn depending_on(&self, sources: &[&Tensor]) -> Vec<bool> {
        let mut depends = vec![false; self.nodes.len()];
        sources.iter().filter_map(|source| self.find(source)).for_each(|at| depends[at] = true);
        for at in 0..self.nodes.len() {
            depends[at] |= self.nodes[at].inputs().iter().any(|input| self.find(input).is_some_and(|i| depends[i]));
        }
        depends
    }
}
