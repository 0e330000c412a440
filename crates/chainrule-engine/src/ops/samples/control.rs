//! Samples of loops and branches, whose bodies are of f64.

use super::{Domain, PLAIN, Sample, add};
use crate::ops::{Body, Op, Scan, Switch, While};
use crate::tensor::{DType, Tensor};

/// Recorded from placeholders of some shapes and types.
fn bodies(types: &[(&[usize], DType)], record: impl Fn(&[Tensor]) -> Vec<Vec<Tensor>>) -> Vec<Body> {
    let start = Tensor::next_id();
    let own: Vec<Tensor> = types.iter().map(|&(shape, dtype)| Tensor::placeholder(shape, dtype)).collect();
    // What does not fit is met where the sample is applied.
    Body::trace_all(start, &own, &record(&own)).map_or_else(|_| Vec::new(), |(bodies, _)| bodies)
}

/// One more sample for each.
pub(super) fn control(list: &mut Vec<Sample>) {
    let (f, i) = (DType::F64, DType::I64);
    let one = |mut bodies: Vec<Body>| bodies.remove(0);
    // Carries, sequences, and what every step reads, none of them for nothing.
    let step = one(bodies(&[(&[3], f), (&[], f), (&[3], f), (&[3], f)], |x| {
        let next = (&x[0] * &x[2]).sin() + &x[3] * &x[1].broadcast_to([3]);
        vec![vec![next.clone(), &x[1] * 0.5 + next.sum(), next.square() * &x[2]]]
    }));
    for (length, reverse) in [(4, false), (3, true), (1, false)] {
        let scan = Scan { body: step.clone(), carries: 2, sequences: 1, length, reverse, dtype: f };
        add(list, scan, &[(&[3], PLAIN), (&[], PLAIN), (&[length, 3], PLAIN), (&[3], PLAIN)]);
    }
    // A position that moves on is carried beside a number; the results of either type.
    let picking = one(bodies(&[(&[], i), (&[2], f), (&[6, 2], f)], |x| {
        let next = &x[0] + &x[0].ones_like();
        vec![vec![next.clone(), (&x[1] * x[2].gather(&x[0])).cos(), next, x[1].clone()]]
    }));
    for dtype in [f, i] {
        let scan = Scan { body: picking.clone(), carries: 2, sequences: 0, length: 3, reverse: false, dtype };
        add(list, scan, &[(&[], Domain::Indices(3, i)), (&[2], PLAIN), (&[6, 2], PLAIN)]);
    }
    let branches = bodies(&[(&[3], f), (&[2, 3], f)], |x| {
        let (a, b) = (x[0].broadcast_to([2, 3]), &x[1]);
        vec![vec![&a * b, x[0].exp()], vec![(&a + b).sin(), &x[0] * 3.0], vec![b.square() * &a, x[0].square()]]
    });
    for (index, branches) in [(DType::I64, &branches[..]), (DType::I32, &branches[1..])] {
        add(
            list,
            Switch { branches: branches.to_vec(), dtype: f },
            &[(&[], Domain::Indices(branches.len(), index)), (&[3], PLAIN), (&[2, 3], PLAIN)],
        );
    }
    let mut both = bodies(&[(&[3], f), (&[], f), (&[3], f)], |x| {
        vec![vec![x[0].square().sum().less(&Tensor::full([], 20.0, f))], vec![&x[0] * 1.5 + x[2].sin() + 1.0, &x[1] + x[0].sum()]]
    });
    if let (Some(body), Some(condition)) = (both.pop(), both.pop()) {
        let repeat = While { bodies: [condition, body], dtype: f };
        add(list, Op::from(repeat), &[(&[3], PLAIN), (&[], PLAIN), (&[3], Domain::Between(0.1, 1.0))]);
    }
}
