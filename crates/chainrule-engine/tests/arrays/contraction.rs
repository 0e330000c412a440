//! Products by labels: random formulas against nested loops in every order, orders against all there are, and errors that
//! point at the character.

use crate::check::{close, numbers, values};
use chainrule_engine::Tensor;
use chainrule_engine::functions::{ContractionOrder, einsum, einsum_in, einsum_path};

const ORDERS: [ContractionOrder; 4] = [ContractionOrder::Auto, ContractionOrder::Left, ContractionOrder::Greedy, ContractionOrder::Optimal];

/// A sequence of whole numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }
}

/// Sums over all values of all labels, one at a time.
fn loops(terms: &[Vec<usize>], out: &[usize], sizes: &[usize], operands: &[Vec<f64>]) -> Vec<f64> {
    let mut sums = vec![0.0; out.iter().map(|&label| sizes[label]).product()];
    let all: usize = sizes.iter().product();
    for mut count in 0..all {
        let at: Vec<usize> = sizes
            .iter()
            .map(|size| {
                let own = count % size;
                count /= size;
                own
            })
            .collect();
        let place = |labels: &[usize]| labels.iter().fold(0, |place, &label| place * sizes[label] + at[label]);
        sums[place(out)] += terms.iter().zip(operands).map(|(labels, values)| values[place(labels)]).product::<f64>();
    }
    sums
}

#[test]
fn random_formulas_equal_loops_in_every_order() {
    let mut dice = Dice(7);
    for round in 0..150 {
        let sizes: Vec<usize> = (0..1 + dice.below(5)).map(|_| 1 + dice.below(3)).collect();
        let terms: Vec<Vec<usize>> =
            (0..1 + dice.below(5)).map(|_| (0..dice.below(4)).map(|_| dice.below(sizes.len())).collect()).collect();
        let mut out: Vec<usize> = (0..sizes.len()).filter(|label| terms.concat().contains(label)).collect();
        // Labels of no operand do not count.
        let used = out.clone();
        out.retain(|_| dice.below(2) == 0);
        out.reverse();
        let sizes: Vec<usize> = sizes.iter().enumerate().map(|(label, &size)| if used.contains(&label) { size } else { 1 }).collect();
        let letters = |labels: &[usize]| labels.iter().map(|&label| (b'a' + label as u8) as char).collect::<String>();
        let text = format!("{}->{}", terms.iter().map(|term| letters(term)).collect::<Vec<_>>().join(","), letters(&out));
        let shapes: Vec<Vec<usize>> = terms.iter().map(|term| term.iter().map(|&label| sizes[label]).collect()).collect();
        let data: Vec<Vec<f64>> = shapes.iter().zip(0..).map(|(shape, seed)| numbers(shape.iter().product(), round * 10 + seed)).collect();
        let tensors: Vec<Tensor> = data.iter().zip(&shapes).map(|(data, shape)| Tensor::from_slice(data, shape)).collect();
        let want = loops(&terms, &out, &sizes, &data);
        for order in ORDERS {
            close(&format!("{text} {order:?}"), &values(&einsum_in(&text, &tensors.iter().collect::<Vec<_>>(), order)), &want, 1e-13);
        }
    }
}

/// The least cost of all orders, one after the other: labels as lists of letters.
fn least(terms: &[Vec<char>], out: &[char], size: &dyn Fn(char) -> f64) -> f64 {
    if terms.len() == 1 {
        return 0.0;
    }
    let mut best = f64::INFINITY;
    for i in 0..terms.len() {
        for j in i + 1..terms.len() {
            let others: Vec<Vec<char>> = (0..terms.len()).filter(|&k| k != i && k != j).map(|k| terms[k].clone()).collect();
            let mut all = [&terms[i][..], &terms[j][..]].concat();
            all.sort_unstable();
            all.dedup();
            let kept: Vec<char> = all.iter().copied().filter(|label| out.contains(label) || others.concat().contains(label)).collect();
            let own = all.iter().map(|&label| size(label)).product::<f64>() * if kept.len() < all.len() { 2.0 } else { 1.0 };
            best = best.min(own + least(&[&others[..], &[kept]].concat(), out, size));
        }
    }
    best
}

#[test]
fn the_optimal_order_costs_the_least_and_greedy_no_less() {
    let formulas = ["ab,bc,cd,de->ae", "ab,bc,ca->", "ai,bi,ci->abc", "abc,bd,ce,de->a", "ab,cd,bc->ad", "a,b,c->abc", "abc,cde,efa,bdf->"];
    let size = |label: char| [2.0, 9.0, 3.0, 5.0, 7.0, 4.0, 1.0, 6.0, 8.0][(label as u8 - b'a') as usize % 9];
    for text in formulas {
        let (terms, out) = text.split_once("->").unwrap();
        let shapes: Vec<Vec<usize>> = terms.split(',').map(|term| term.chars().map(|label| size(label) as usize).collect()).collect();
        let shapes: Vec<&[usize]> = shapes.iter().map(|shape| &shape[..]).collect();
        let terms: Vec<Vec<char>> = terms.split(',').map(|term| term.chars().collect()).collect();
        let out: Vec<char> = out.chars().collect();
        let cost = |order| einsum_path(text, &shapes, order).unwrap().flops;
        assert_eq!(cost(ContractionOrder::Optimal), least(&terms, &out, &size), "{text}");
        assert!(
            cost(ContractionOrder::Greedy) >= cost(ContractionOrder::Optimal)
                && cost(ContractionOrder::Left) >= cost(ContractionOrder::Optimal)
        );
    }
}

#[test]
fn many_operands_take_a_good_order_in_a_moment() {
    let letter = |i: usize| char::from_u32('a' as u32 + i as u32).filter(char::is_ascii_lowercase).unwrap_or('A');
    let text = (0..25).map(|i| format!("{}{}", letter(i), letter(i + 1))).collect::<Vec<_>>().join(",") + "->az";
    let chain: Vec<Tensor> = (0..25).map(|_| Tensor::full([2, 2], 0.5, chainrule_engine::DType::F64)).collect();
    close("chain", &values(&einsum(&text, &chain.iter().collect::<Vec<_>>())), &[0.5; 4], 1e-15);
    let path = einsum_path(&text, &[&[2, 2][..]; 25], ContractionOrder::Auto).unwrap();
    assert_eq!((path.flops, path.largest), (24.0 * 16.0, 4.0));
}

#[test]
fn mistakes_point_at_the_character() {
    let shapes: [&[usize]; 2] = [&[2, 3], &[3, 4]];
    for (text, at, word) in [
        ("ij,j%->i", 5, "no label"),
        ("ij,jk->i>", 9, "no label"),
        ("ij,jk-i", 6, "`->`"),
        ("ij,jk->i->k", 9, "second arrow"),
        ("ij,jk->i,k", 9, "one result"),
        ("ij,jk->iq", 9, "no operand"),
        ("ij,jk->ii", 9, "twice"),
        ("ij,ik->k", 4, "3 here, and 2 before"),
        ("ij,j->i", 4, "1 labels"),
        ("ij,j..->i", 5, "left over"),
        ("ij,j......->i", 8, "twice in one term"),
        ("...,jk->k", 9, "write it there"),
    ] {
        let text_of = einsum_path(text, &shapes, ContractionOrder::Auto).unwrap_err().to_string();
        assert!(text_of.contains(&format!("character {at} ")) && text_of.contains(word), "{text}: {text_of}");
    }
}
