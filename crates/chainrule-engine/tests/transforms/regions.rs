//! What a checkpoint holds on to: what its region reads, and nothing of what it computes on the way.

use crate::support::random;
use chainrule_engine::ops::Op;
use chainrule_engine::transform::checkpoint;
use chainrule_engine::transform::walk::Walk;
use chainrule_engine::{DType, Rng, Tensor};

/// The name of the rule behind a node, and the numbers of what it reads, constants apart.
fn region(y: &Tensor) -> Option<(String, Vec<u64>)> {
    let Op::Custom(custom) = y.op() else { return None };
    let reads = y.inputs()[1..].iter().filter(|input| !matches!(input.op(), Op::Constant(_)));
    let mut reads: Vec<u64> = reads.map(Tensor::id).collect();
    reads.sort_unstable();
    Some((custom.rule.name().to_string(), reads))
}

#[test]
fn a_region_reads_what_lies_before_it_and_what_is_made_or_drawn_in_it() {
    let (x, w, unused) = (random(&[3], 1), random(&[3], 2), random(&[3], 3));
    let key = Tensor::from_slice(&[5i64], ());
    let mut made = None;
    let body = |x: &[&Tensor]| {
        let leaf = random(&[3], 4);
        let noise = Tensor::rand_of([3], DType::F64, &mut Rng::from_key(&key));
        // Each is read more than once.
        let h = (x[0] * &w).tanh() * &leaf + noise.sin();
        made = Some(leaf);
        (h.exp() * x[0] * noise).square() + &w
    };
    let y = checkpoint(body, &[&x, &unused]);
    let inner = Walk::new([&y.inputs()[0]], |_| true);
    // The last of the draws: one before it made the key.
    let draw = inner.nodes.iter().rev().find(|node| matches!(node.op(), Op::Random(_))).map(Tensor::id);
    let Some(leaf) = made else { panic!("the region did not run") };
    let mut want = vec![x.id(), w.id(), leaf.id(), draw.unwrap_or_default()];
    want.sort_unstable();
    assert_eq!(region(&y), Some(("checkpoint".to_string(), want.clone())));

    // The backward pass starts from these again: of all the region computed it sees nothing.
    let Ok(g) = y.sum().grad(&[&x, &w]) else { panic!("no gradient") };
    let backward = Walk::new(&g, |_| true);
    let kept: Vec<&Op> = inner
        .nodes
        .iter()
        .filter(|node| {
            node.id() > key.id() && !node.inputs().is_empty() && !want.contains(&node.id()) && !matches!(node.op(), Op::Random(_))
        })
        .filter(|node| backward.find(node).is_some())
        .map(Tensor::op)
        .collect();
    assert!(kept.is_empty(), "kept for the backward pass: {kept:?}");
}

#[test]
fn a_region_of_one_operation_is_one_and_of_none_is_none() {
    let (x, w) = (random(&[3], 1), random(&[3], 2));
    assert_eq!(region(&checkpoint(|x| x[0].sin(), &[&x])), Some(("checkpoint".to_string(), vec![x.id()])));
    // What was there before is handed on as it is.
    assert!(checkpoint(|x| x[0].clone(), &[&x]).is(&x));
    assert!(checkpoint(|_| w.exp(), &[&x]).inputs()[1].is(&w));
    let before = w.exp();
    assert!(checkpoint(|_| before.clone(), &[&x]).is(&before));
    // So is a mistake.
    let mistake = checkpoint(|x| x[0].reshape([7]), &[&x]);
    assert_eq!(mistake.error().map(|error| error.operation().to_string()), Some("reshape".to_string()));
}
