//! The nodes of a graph in the order they were recorded, without recursion.

use crate::ops::Op;
use crate::tensor::Tensor;
use rustc_hash::{FxBuildHasher, FxHashMap};
use smallvec::SmallVec;
use std::hash::BuildHasher;

/// Nodes in the order of recording: inputs before what uses them.
pub struct Walk {
    /// The nodes.
    pub nodes: Vec<Tensor>,
    numbers: Numbers,
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
        let roots: Vec<&Tensor> = roots.into_iter().collect();
        let mut numbers = Numbers::below(roots.iter().map(|root| root.id()).max().unwrap_or(0));
        let mut nodes: Vec<Tensor> = Vec::new();
        for root in roots {
            if numbers.add(root.id(), 0) {
                nodes.push(root.clone());
            }
        }
        let mut next = 0;
        while next < nodes.len() {
            // Inputs are appended to the list that is being walked: every node is visited once.
            let inputs = if stop(&nodes[next]) { 0 } else { nodes[next].inputs().len() };
            for i in 0..inputs {
                let input = &nodes[next].inputs()[i];
                if numbers.get(input.id()).is_none() && enter(input) {
                    numbers.add(input.id(), nodes.len());
                    nodes.push(input.clone());
                }
            }
            next += 1;
        }
        nodes.sort_unstable_by_key(Tensor::id);
        nodes.iter().enumerate().for_each(|(i, node)| numbers.set(node.id(), i));
        Walk { nodes, numbers }
    }

    /// Where a node is, if it was reached.
    pub fn find(&self, tensor: &Tensor) -> Option<usize> {
        self.numbers.get(tensor.id())
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

    /// For each node, the first that is sure to have the same value: that applies the same operation to the same. A derivative
    /// of a derivative records again much of what the first did, and the rest of the way back is then gone once, not twice.
    ///
    /// That is so only of what derivatives recorded. Whatever else was recorded stands for itself alone, however equal, and so do
    /// nodes `apart` and those that have a value: a step may give them others. What is behind a barrier is to be computed
    /// again; what functions of the user do, nobody knows.
    pub fn first_equal(&self, apart: &[&Tensor]) -> Vec<usize> {
        let mut first: Vec<usize> = (0..self.nodes.len()).collect();
        let mut known: FxHashMap<u64, usize> = FxHashMap::default();
        for (at, node) in self.nodes.iter().enumerate() {
            let alone = matches!(node.op(), Op::Input(_) | Op::Barrier(_) | Op::Custom(_) | Op::HostCall(_) | Op::Poison(_));
            let asked = !node.origin().is_backward() || node.value().is_some() || apart.iter().any(|other| other.is(node));
            if alone || asked || !node.op().bodies().is_empty() {
                continue;
            }
            let of = |node: &Tensor| -> SmallVec<[u64; 4]> {
                node.inputs().iter().map(|input| self.find(input).map_or(input.id(), |i| self.nodes[first[i]].id())).collect()
            };
            let own = of(node);
            let hash = FxBuildHasher.hash_one((node.op(), &own));
            let equal = |&other: &usize| self.nodes[other].op() == node.op() && of(&self.nodes[other]) == own;
            match known.get(&hash).copied().filter(equal) {
                Some(other) => first[at] = other,
                None => _ = known.entry(hash).or_insert(at),
            }
        }
        first
    }
}

/// Positions by the numbers of nodes. Most nodes of a graph were recorded one after the other: near the last one a
/// table holds a position for every number, and only what lies further back (the parameters of a model, say) is
/// looked for in a map.
struct Numbers {
    /// The highest number.
    last: u64,
    /// For each number from the highest down, one more than the position, or 0.
    near: Vec<u32>,
    far: FxHashMap<u64, u32>,
    /// How many there are.
    count: usize,
}

/// Numbers that the table holds at least, and for each that is there.
const NEAR: usize = 256;
const SPARSE: usize = 8;

impl Numbers {
    /// None yet, and none ever above `last`.
    fn below(last: u64) -> Numbers {
        Numbers { last, near: Vec::new(), far: FxHashMap::default(), count: 0 }
    }

    #[inline]
    fn get(&self, id: u64) -> Option<usize> {
        match self.near.get(back(self.last, id)) {
            Some(&position) => (position as usize).checked_sub(1),
            None => self.far.get(&id).map(|&position| position as usize - 1),
        }
    }

    /// Adds a number; `false` if it was there.
    fn add(&mut self, id: u64, position: usize) -> bool {
        if self.get(id).is_some() {
            return false;
        }
        self.count += 1;
        let place = back(self.last, id);
        if place >= self.near.len() && place < NEAR + SPARSE * self.count {
            self.widen((2 * place).max(NEAR));
        }
        match self.near.get_mut(place) {
            Some(place) => *place = position as u32 + 1,
            None => _ = self.far.insert(id, position as u32 + 1),
        }
        true
    }

    /// Makes the table so long, and moves into it what was further back until now.
    fn widen(&mut self, len: usize) {
        self.near.resize(len, 0);
        let (last, near) = (self.last, &mut self.near);
        self.far.retain(|id, position| match near.get_mut(back(last, *id)) {
            Some(place) => {
                *place = *position;
                false
            }
            None => true,
        });
    }

    /// Changes the position of a number that is there.
    fn set(&mut self, id: u64, position: usize) {
        match self.near.get_mut(back(self.last, id)) {
            Some(place) => *place = position as u32 + 1,
            None => _ = self.far.insert(id, position as u32 + 1),
        }
    }
}

/// How far a number lies before the last one; beyond any table if it lies after it.
#[inline]
fn back(last: u64, id: u64) -> usize {
    usize::try_from(last.wrapping_sub(id)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{NEAR, Numbers, SPARSE};

    /// Near and far, in any order, and moved from one to the other: as a plain list says.
    #[test]
    fn numbers_are_found_again_wherever_they_are_kept() {
        let last = 1_000_000_u64;
        let mut numbers = Numbers::below(last);
        let mut plain: Vec<(u64, usize)> = Vec::new();
        // Far ones first, so that some are overtaken by the table as it grows.
        let ids = [0, last - 2_000, last - 900, last].into_iter().chain((0..700).map(|i| last - 1 - i * 7 % 4_001));
        for (position, id) in ids.enumerate() {
            let known = plain.iter().any(|&(other, _)| other == id);
            assert_eq!(numbers.add(id, position), !known, "{id}");
            if !known {
                plain.push((id, position));
            }
            if position % 50 == 3 {
                assert!(plain.iter().all(|&(id, at)| numbers.get(id) == Some(at)), "after {position}");
            }
        }
        for (at, (id, position)) in plain.iter_mut().enumerate() {
            *position = 3 * at;
            numbers.set(*id, *position);
        }
        assert!(plain.iter().all(|&(id, at)| numbers.get(id) == Some(at)));
        for absent in [last + 1, u64::MAX, last - 5_000, 1] {
            assert_eq!(numbers.get(absent), None, "{absent}");
        }
        assert!(!numbers.far.is_empty() && numbers.near.len() > 1_000, "both places are in use");
    }

    /// Long enough for all that lie close, never long for few that lie far, and not lengthened for each.
    #[test]
    fn the_table_is_as_long_as_its_numbers_are_dense() {
        let last = 1_000_000_u64;
        let (mut dense, mut sparse) = (Numbers::below(last), Numbers::below(last));
        let mut lengths = Vec::new();
        for i in 0..1_000 {
            dense.add(last - 7 * i, i as usize);
            sparse.add(last - 900 * i, i as usize);
            assert!(dense.near.len() <= 2 * (NEAR + SPARSE * dense.count), "{} for {}", dense.near.len(), dense.count);
            assert_eq!(sparse.near.len(), NEAR, "for {}", sparse.count);
            lengths.push(dense.near.len());
        }
        assert!(dense.far.is_empty(), "{} are looked for in the map", dense.far.len());
        lengths.dedup();
        assert!(lengths.len() < 10, "lengthened to {lengths:?}");
    }
}
