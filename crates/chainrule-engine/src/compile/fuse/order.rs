//! The order of groups: each after what it needs, and so that little has to be kept.
//!
//! Refuses to change groups.

use super::Fusion;
use super::needs::bits;
use crate::compile::graph::NodeId;

/// Points of a group that takes no time and next to no memory.
const SMALL: usize = 1024;

impl Fusion {
    /// The groups in an order in which each comes after what it needs, and otherwise near the order of recording.
    pub fn order(&self) -> Vec<u32> {
        use std::cmp::Reverse;
        let n = self.groups.len();
        let mut waiting: Vec<u32> = self.before.iter().map(|words| words.iter().map(|word| word.count_ones()).sum()).collect();
        let mut after: Vec<Vec<u32>> = vec![Vec::new(); n];
        for (g, words) in self.before.iter().enumerate() {
            bits(words).for_each(|needed| after[needed as usize].push(g as u32));
        }
        let places = self.places(&after);
        let mut ready: std::collections::BinaryHeap<Reverse<(NodeId, u32)>> =
            (0..n).filter(|&g| waiting[g] == 0).map(|g| Reverse((places[g], g as u32))).collect();
        let mut order = Vec::with_capacity(n);
        while let Some(Reverse((_, g))) = ready.pop() {
            // A group may have lost all its members, to another one or to those who compute them again.
            if !self.groups[g as usize].members.is_empty() {
                order.push(g);
            }
            for &next in &after[g as usize] {
                waiting[next as usize] -= 1;
                if waiting[next as usize] == 0 {
                    ready.push(Reverse((places[next as usize], next)));
                }
            }
        }
        order
    }

    /// Where each group would like to stand: at its last member, for what it makes is not needed earlier. If no group
    /// needs it, as nobody needs the update of a weight that follows its gradient, then at its first, so that what
    /// it reads is let go; and what is small must not keep it waiting, such as a scalar of all updates that was recorded late.
    fn places(&self, after: &[Vec<u32>]) -> Vec<NodeId> {
        let place = |g: usize| {
            let members = &self.groups[g].members;
            if after[g].is_empty() { members.first() } else { members.last() }.copied().unwrap_or(NodeId::MAX)
        };
        let own: Vec<NodeId> = (0..self.groups.len()).map(place).collect();
        let small = |g: usize| self.groups[g].total <= SMALL;
        let earliest = |g: usize| after[g].iter().filter(|_| small(g)).map(|&next| own[next as usize]).min().unwrap_or(NodeId::MAX);
        (0..own.len()).map(|g| own[g].min(earliest(g))).collect()
    }
}
