//! In which order the products of an einsum are taken.
//!
//! Costs are those of opt_einsum (Smith and Gray, "opt_einsum - A Python package for optimizing contraction order for
//! einsum-like expressions", 2018): a product of two takes as many multiplications as its labels have values together, and
//! as many additions if it sums. The sizes alone decide: equal sizes give equal orders.

use super::formula::Formula;

/// How the order of an einsum is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ContractionOrder {
    /// [`Optimal`](Self::Optimal) of up to 8 operands, [`Greedy`](Self::Greedy) of more.
    #[default]
    Auto,
    /// From the left to the right.
    Left,
    /// Again and again the pair, of those that share a label, whose product is smallest beside the two: opt_einsum's
    /// greedy rule. Its time grows with the third power of the number of operands.
    Greedy,
    /// The least cost of all orders, by dynamic programming over all sets of operands; beyond 12, which would be 3^n
    /// steps, as `Greedy`.
    Optimal,
}

/// An order of products of two, and its cost.
#[derive(Clone, Debug, PartialEq)]
pub struct ContractionPath {
    /// Of each product, its two operands as places in the list of those that are left; both leave it, and the product
    /// goes to its end. The form of NumPy's `einsum_path`.
    pub pairs: Vec<(usize, usize)>,
    /// Multiplications and additions, by opt_einsum's model.
    pub flops: f64,
    /// Elements of the largest product on the way, the result included.
    pub largest: f64,
}

/// The most operands of which all orders are looked at, and those of `Auto`.
const MOST_OPTIMAL: usize = 12;
const MOST_AUTO: usize = 8;

/// A set of labels.
type Set = u128;

/// Labels of the operands as sets.
struct Sets {
    operands: Vec<Set>,
    out: Set,
    sizes: Vec<usize>,
}

/// The order of a formula's products.
pub(super) fn find(formula: &Formula, order: ContractionOrder) -> ContractionPath {
    let set = |labels: &[u8]| labels.iter().fold(0, |set: Set, &label| set | 1 << label);
    let sets = Sets {
        operands: formula.operands.iter().map(|labels| set(labels)).collect(),
        out: set(&formula.out),
        sizes: formula.sizes.clone(),
    };
    let count = sets.operands.len();
    let pairs = match order {
        ContractionOrder::Left => {
            (1..count).map(|_| (0, 1)).enumerate().map(|(i, pair)| if i == 0 { pair } else { (0, count - 1 - i) }).collect()
        }
        ContractionOrder::Optimal if count <= MOST_OPTIMAL => sets.optimal(),
        ContractionOrder::Auto if count <= MOST_AUTO => sets.optimal(),
        _ => sets.greedy(),
    };
    sets.priced(pairs)
}

impl Sets {
    /// How many values the labels of a set have together.
    fn size(&self, set: Set) -> f64 {
        self.sizes.iter().enumerate().filter(|(label, _)| set >> label & 1 == 1).map(|(_, &size)| size as f64).product()
    }

    /// The cost of a product of labels `all`, of which `kept` stay.
    fn flops(&self, all: Set, kept: Set) -> f64 {
        self.size(all) * if all & !kept == 0 { 1.0 } else { 2.0 }
    }

    /// Labels of the list but for two places, and of the result.
    fn needed(&self, list: &[Set], i: usize, j: usize) -> Set {
        list.iter().enumerate().filter(|&(at, _)| at != i && at != j).fold(self.out, |set, (_, &own)| set | own)
    }

    /// Each operand without the labels that are nowhere else: those are summed before any product.
    fn alone(&self) -> Vec<Set> {
        (0..self.operands.len()).map(|i| self.operands[i] & self.needed(&self.operands, i, i)).collect()
    }

    fn priced(&self, pairs: Vec<(usize, usize)>) -> ContractionPath {
        let mut list = self.alone();
        let (mut flops, mut largest) = (0.0, self.size(self.out));
        for &(i, j) in &pairs {
            let all = list[i] | list[j];
            let kept = all & self.needed(&list, i, j);
            flops += self.flops(all, kept);
            largest = self.size(kept).max(largest);
            list.remove(i.max(j));
            list.remove(i.min(j));
            list.push(kept);
        }
        ContractionPath { pairs, flops, largest }
    }

    fn greedy(&self) -> Vec<(usize, usize)> {
        let mut list = self.alone();
        let mut pairs = Vec::new();
        while list.len() > 1 {
            let mut best = (true, f64::INFINITY, 0, 1);
            for i in 0..list.len() {
                for j in i + 1..list.len() {
                    let kept = (list[i] | list[j]) & self.needed(&list, i, j);
                    let apart = list[i] & list[j] == 0;
                    // Of pairs that share nothing, the smallest product.
                    let gain = self.size(kept) - if apart { 0.0 } else { self.size(list[i]) + self.size(list[j]) };
                    if (apart, gain) < (best.0, best.1) {
                        best = (apart, gain, i, j);
                    }
                }
            }
            let (.., i, j) = best;
            let kept = (list[i] | list[j]) & self.needed(&list, i, j);
            list.remove(j);
            list.remove(i);
            list.push(kept);
            pairs.push((i, j));
        }
        pairs
    }

    fn optimal(&self) -> Vec<(usize, usize)> {
        let count = self.operands.len();
        let whole = (1_usize << count) - 1;
        let mut union = vec![0 as Set; whole + 1];
        for set in 1..=whole {
            union[set] = union[set & (set - 1)] | self.operands[set.trailing_zeros() as usize];
        }
        // What is left of the product of a set of operands.
        let kept = |set: usize| union[set] & (union[whole ^ set] | self.out);
        let (mut cost, mut split) = (vec![f64::INFINITY; whole + 1], vec![0_usize; whole + 1]);
        for set in 1..=whole {
            if set.is_power_of_two() {
                cost[set] = 0.0;
                continue;
            }
            // Each way to cut the set in two once: the part that holds its first operand.
            let (first, own) = (set & set.wrapping_neg(), kept(set));
            let mut part = (set - 1) & set;
            while part > 0 {
                if part & first != 0 {
                    let other = set ^ part;
                    let total = cost[part] + cost[other] + self.flops(kept(part) | kept(other), own);
                    if total < cost[set] || split[set] == 0 {
                        (cost[set], split[set]) = (total, part);
                    }
                }
                part = (part - 1) & set;
            }
        }
        listed(count, &split)
    }
}

/// The cuts of sets as pairs of places.
fn listed(count: usize, split: &[usize]) -> Vec<(usize, usize)> {
    // Sets from the last product down to the first: a product comes after both of its parts.
    let mut products = Vec::new();
    let mut open = vec![(1_usize << count) - 1];
    while let Some(set) = open.pop() {
        if set.count_ones() > 1 {
            products.push(set);
            open.extend([split[set], set ^ split[set]]);
        }
    }
    let mut list: Vec<usize> = (0..count).map(|i| 1 << i).collect();
    let mut pairs = Vec::with_capacity(products.len());
    for set in products.into_iter().rev() {
        let place = |part: usize| list.iter().position(|&own| own == part).unwrap_or(0);
        let (a, b) = (place(split[set]), place(set ^ split[set]));
        pairs.push((a.min(b), a.max(b)));
        list.remove(a.max(b));
        list.remove(a.min(b));
        list.push(set);
    }
    pairs
}
