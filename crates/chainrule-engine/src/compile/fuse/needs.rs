//! Which groups need which, kept while groups grow and become one.
//!
//! Each group has the set of all groups that it needs, directly or not, as bits. Refuses to know what a group computes.

use super::Fusion;
use smallvec::SmallVec;

impl Fusion {
    /// Whether `group` needs `other`.
    pub(super) fn needs(&self, group: u32, other: u32) -> bool {
        self.before[group as usize].get(other as usize / 64).is_some_and(|word| word >> (other % 64) & 1 == 1)
    }

    /// Records that a group needs others, for itself and for all that need it.
    pub(super) fn require(&mut self, group: u32, needed: &[u32]) {
        let mut new: SmallVec<[u64; 16]> = SmallVec::from_elem(0, self.groups.len() / 64 + 1);
        self.needed.resize(self.groups.len(), false);
        for &other in needed.iter().filter(|&&other| other != group) {
            self.needed[other as usize] = true;
            new[other as usize / 64] |= 1 << (other % 64);
            self.before[other as usize].iter().zip(&mut new).for_each(|(&word, all)| *all |= word);
        }
        let known = &self.before[group as usize];
        if new.iter().enumerate().all(|(i, &word)| word & !known.get(i).copied().unwrap_or(0) == 0) {
            return;
        }
        let all = if self.needed[group as usize] { 0..self.groups.len() as u32 } else { group..group + 1 };
        for at in all {
            if at == group || self.needs(at, group) {
                unite(&mut self.before[at as usize], &new);
            }
        }
    }

    /// Whether `to` needs `from` by way of a third group, so that they cannot become one.
    pub(super) fn needed_elsewhere(&self, from: u32, to: u32) -> bool {
        bits(&self.before[to as usize]).any(|between| between != from && self.needs(between, from))
    }

    /// All that `from` needed, and those who needed it, pass on to `to`, whose members its own have become.
    pub(super) fn inherit(&mut self, from: u32, to: u32) {
        let inherited = std::mem::take(&mut self.before[from as usize]);
        let mut newly: SmallVec<[u32; 16]> = SmallVec::new();
        for (at, words) in self.before.iter_mut().enumerate() {
            if let Some(word) = words.get_mut(from as usize / 64).filter(|word| **word >> (from % 64) & 1 == 1) {
                *word &= !(1 << (from % 64));
                if at as u32 != to {
                    self.needed[to as usize] = true;
                    words.resize(words.len().max(to as usize / 64 + 1), 0);
                    words[to as usize / 64] |= 1 << (to % 64);
                    newly.push(at as u32);
                }
            }
        }
        // Whoever took over the need for `from` now needs all that `to` needs; those who need them in turn did so, too. And `to` needed
        // before what `from` did: it needed `from` itself, or just the same.
        debug_assert!(inherited.iter().enumerate().all(|(i, &word)| word & !self.before[to as usize].get(i).copied().unwrap_or(0) == 0));
        let all = self.before[to as usize].clone();
        newly.iter().for_each(|&at| unite(&mut self.before[at as usize], &all));
    }

    /// The last group takes the number of those right before it that are empty. Every set has room for all numbers, and a
    /// chain of a million operations empties half a million groups on its way back.
    pub(super) fn close_gap(&mut self) {
        let Some(last) = self.groups.iter().rposition(|group| !group.members.is_empty()) else { return };
        let free = self.groups[..last].iter().rposition(|group| !group.members.is_empty()).map_or(0, |at| at + 1);
        self.groups.swap(free, last);
        self.before.swap(free, last);
        self.groups.truncate(free + 1);
        self.before.truncate(free + 1);
        self.needed.resize(last + 1, false);
        self.needed.swap(free, last);
        self.needed.truncate(free + 1);
        if free == last {
            return;
        }
        for &id in &self.groups[free].members {
            self.place[id as usize].iter_mut().for_each(|(group, _)| *group = free as u32);
        }
        for words in &mut self.before {
            if words.get(last / 64).is_some_and(|word| word >> (last % 64) & 1 == 1) {
                words[last / 64] &= !(1 << (last % 64));
                words[free / 64] |= 1 << (free % 64);
            }
            words.truncate(free / 64 + 1);
        }
    }
}

/// The numbers in a set.
pub(super) fn bits(words: &[u64]) -> impl Iterator<Item = u32> + '_ {
    let rest = |&word: &u64| (word != 0).then_some(word);
    let numbers = move |(w, &word): (usize, &u64)| {
        std::iter::successors(rest(&word), move |&word| rest(&(word & (word - 1)))).map(move |word| w as u32 * 64 + word.trailing_zeros())
    };
    words.iter().enumerate().flat_map(numbers)
}

/// Adds the numbers of a set to another.
fn unite(set: &mut Vec<u64>, more: &[u64]) {
    if set.len() < more.len() {
        set.resize(more.len(), 0);
    }
    set.iter_mut().zip(more).for_each(|(word, &more)| *word |= more);
}

#[cfg(test)]
mod tests {
    use crate::compile::fuse::fuse;
    use crate::compile::graph::Graph;
    use crate::compile::simplify::simplify;
    use crate::compile::view::views;
    use crate::tensor::{Rng, Tensor};
    use std::collections::BTreeSet;

    /// A value of random operations on a few matrices, and its gradients.
    fn random(seed: u64) -> Vec<Tensor> {
        let mut rng = Rng::new(seed);
        let leaves: Vec<Tensor> = (0..4).map(|i| Tensor::from_slice(&[0.1 * i as f32; 64], [8, 8])).collect();
        let mut values = leaves.clone();
        for _ in 0..40 {
            let mut any = |values: &[Tensor]| values[(rng.next_u64() % values.len() as u64) as usize].clone();
            let (a, b) = (any(&values), any(&values));
            let next = match rng.next_u64() % 7 {
                0 => a + b,
                1 => a * b,
                2 => a.sin(),
                3 => a.matmul(&b),
                4 => a.sum_keep(&[1]) * b,
                5 => a.transpose(0, 1) * b,
                _ => a.sum_keep(&[0]) + b,
            };
            values.push(next);
        }
        let total = values[20..].iter().skip(1).fold(values[20].sum(), |total, value| total + value.sum());
        let mut roots = total.grad_or_zeros(&leaves.iter().collect::<Vec<_>>()).expect("gradients");
        roots.push(total);
        roots
    }

    /// However groups came to be, each knows of just those that it needs, directly or not.
    #[test]
    fn groups_know_what_they_need() {
        let mut pairs = 0;
        for seed in 0..60 {
            let roots = random(seed);
            let (graph, ..) = Graph::of(&roots.iter().collect::<Vec<_>>());
            let graph = simplify(&graph, true);
            let views = views(&graph);
            let fusion = fuse(&graph, &views);
            let home = |id: u32| fusion.place[views[id as usize].base as usize].map(|(group, _)| group);
            let direct = |group: usize| -> BTreeSet<u32> {
                let inputs = fusion.groups[group].members.iter().flat_map(|&id| &graph.node(id).inputs);
                inputs.filter_map(|&input| home(input)).filter(|&other| other as usize != group).collect()
            };
            for group in 0..fusion.groups.len() {
                let (mut all, mut open) = (BTreeSet::new(), direct(group));
                while let Some(other) = open.pop_first() {
                    if all.insert(other) {
                        open.extend(direct(other as usize));
                    }
                }
                let known: BTreeSet<u32> = super::bits(&fusion.before[group]).collect();
                assert_eq!(known, all, "group {group} of seed {seed}");
                pairs += all.len();
            }
        }
        assert!(pairs > 5000, "{pairs} needs");
    }

    /// On the way back each factor of a chain opens a group, which its reader takes in: the numbers of those are used again,
    /// and every member knows its group.
    #[test]
    fn a_chain_and_its_gradient_need_few_groups() {
        let x = Tensor::f64(0.5);
        let y = (0..6000).fold(x.clone(), |y, _| y.sin());
        let gradient = y.grad(&[&x]).unwrap().remove(0);
        let (graph, ..) = Graph::of(&[&gradient]);
        let fusion = fuse(&graph, &views(&graph));
        let members: usize = fusion.groups.iter().map(|group| group.members.len()).sum();
        assert!(members >= 12_000, "{members} operations");
        assert!(fusion.groups.len() <= 3 * members / 512, "{} groups of {members} operations", fusion.groups.len());
        for (number, group) in fusion.groups.iter().enumerate() {
            assert!(group.members.iter().all(|&id| fusion.place[id as usize].is_some_and(|(at, _)| at as usize == number)));
            assert!(fusion.before[number].len() * 64 < fusion.groups.len() + 64);
        }
        assert!(!fusion.needs(0, 1) && fusion.needs(fusion.groups.len() as u32 - 1, 0));
    }
}
