//! Scans against the same steps recorded one after the other: values, gradients, second derivatives.

use crate::support::{agree, eval, like, numeric_gradient, oracle, random};
use chainrule_engine::functions::{ScanOptions, fori_loop, map, scan};
use chainrule_engine::transform::{jvp, vjp};
use chainrule_engine::{DType, Result, Tensor};

/// From carries, parts of sequences and captured tensors to carries and parts of results.
pub type Step = fn(&[Tensor], &[Tensor], &[Tensor]) -> (Vec<Tensor>, Vec<Tensor>);

/// A loop: its step, and how many of the inputs are carries, sequences, and captured.
pub struct Loop {
    pub name: &'static str,
    pub step: Step,
    pub carries: usize,
    pub sequences: usize,
    pub inputs: fn(usize) -> Vec<Tensor>,
    pub reverse: bool,
}

pub fn refs(tensors: &[Tensor]) -> Vec<&Tensor> {
    tensors.iter().collect()
}

/// All results of a scan.
pub fn scanned(one: &Loop, length: usize, x: &[Tensor]) -> Result<Vec<Tensor>> {
    let (init, rest) = x.split_at(one.carries);
    let (sequences, captured) = rest.split_at(one.sequences);
    let options = ScanOptions { length: Some(length), reverse: one.reverse };
    let (carries, results) = scan(&refs(init), &refs(sequences), options, |c, x| Ok((one.step)(c, x, captured)))?;
    Ok([carries, results].concat())
}

/// All results of the same steps one after the other. Of no steps, the results are not known.
pub fn unrolled(one: &Loop, length: usize, x: &[Tensor]) -> Result<Vec<Tensor>> {
    let (init, rest) = x.split_at(one.carries);
    let (sequences, captured) = rest.split_at(one.sequences);
    let mut carries = init.to_vec();
    let mut results: Vec<Vec<Tensor>> = vec![Vec::new(); length];
    for step in 0..length {
        let at = if one.reverse { length - 1 - step } else { step };
        let parts: Vec<Tensor> = sequences.iter().map(|s| s.index(0, at as isize)).collect();
        let (next, own) = (one.step)(&carries, &parts, captured);
        (carries, results[at]) = (next, own);
    }
    let count = results.first().map_or(0, Vec::len);
    carries.extend((0..count).map(|k| Tensor::stack(&results.iter().map(|own| &own[k]).collect::<Vec<_>>(), 0)));
    Ok(carries)
}

fn cell(c: &[Tensor], x: &[Tensor], w: &[Tensor]) -> (Vec<Tensor>, Vec<Tensor>) {
    let next = (c[0].matmul(&w[0]) + x[0].matmul(&w[1]) + &w[2]).tanh();
    (vec![next.clone()], vec![next.square().sum_over(&[1]), next])
}

/// Two carries of which one is only added up, a sequence that is not read, a carry that stays, and a result of a carry as it was.
fn several(c: &[Tensor], x: &[Tensor], w: &[Tensor]) -> (Vec<Tensor>, Vec<Tensor>) {
    let next = (&c[0] * &x[0]).sin() + &w[0] * &c[2];
    let sum = &c[1] + (&next * &x[0]).sum();
    (vec![next.clone(), sum, c[2].clone()], vec![c[0].clone(), &x[0] * 2.0 + &c[1].broadcast_to([3])])
}

/// A product that is the first thing computed, of nothing but the carry.
fn squared(c: &[Tensor], _: &[Tensor], _: &[Tensor]) -> (Vec<Tensor>, Vec<Tensor>) {
    let next = (c[0].matmul(&c[0]) * 0.3).tanh();
    (vec![next.clone()], vec![next.square().sum_over(&[1])])
}

/// The carries exchanged, so that each depends on the other's start after two steps.
fn exchanged(c: &[Tensor], x: &[Tensor], _: &[Tensor]) -> (Vec<Tensor>, Vec<Tensor>) {
    (vec![&c[1] * &x[0], c[0].sin()], vec![])
}

/// A counter of whole numbers that chooses what is read, and a truth that is carried.
fn counted(c: &[Tensor], _: &[Tensor], w: &[Tensor]) -> (Vec<Tensor>, Vec<Tensor>) {
    let picked = w[0].gather(&c[0]);
    let next = c[2].broadcast_to([2]).select(&(&c[1] * &picked), &(&c[1] + &picked));
    let counter = &c[0] + &Tensor::from(1i64);
    (vec![counter.clone(), next.clone(), c[2].equal(&Tensor::from(false))], vec![next.exp(), counter])
}

/// A loop in a loop: powers of a matrix applied again and again.
fn nested(c: &[Tensor], x: &[Tensor], w: &[Tensor]) -> (Vec<Tensor>, Vec<Tensor>) {
    let inner = |c: &[Tensor], _: &[Tensor]| Ok((vec![(c[0].matmul(&w[0]) * 0.5).tanh() + &x[0]], vec![c[0].sum()]));
    match scan(&refs(c), &[], ScanOptions { length: Some(3), reverse: false }, inner) {
        Ok((carries, results)) => (carries, results),
        Err(error) => panic!("{error}"),
    }
}

fn seeded(shapes: &[&[usize]], seed: u64) -> Vec<Tensor> {
    shapes.iter().zip(seed..).map(|(shape, seed)| random(shape, seed)).collect()
}

pub fn loops() -> Vec<Loop> {
    let one = |name, step: Step, carries, sequences, inputs| Loop { name, step, carries, sequences, inputs, reverse: false };
    let cells = |n: usize| seeded(&[&[2, 3], &[n, 2, 4], &[3, 3], &[4, 3], &[3]], 7);
    let two: fn(usize) -> Vec<Tensor> = |n| seeded(&[&[3], &[], &[3], &[n, 3], &[n, 2], &[3]], 17);
    let swapped: fn(usize) -> Vec<Tensor> = |n| seeded(&[&[2], &[2], &[n, 2]], 27);
    let counters: fn(usize) -> Vec<Tensor> = |n| vec![Tensor::from(1i64), random(&[2], 37), Tensor::from(true), random(&[n + 2, 2], 38)];
    let inside: fn(usize) -> Vec<Tensor> = |n| seeded(&[&[2], &[n, 2], &[2, 2]], 47);
    vec![
        one("cell", cell, 1, 1, cells),
        Loop { reverse: true, ..one("cell backwards", cell, 1, 1, cells) },
        one("several", several, 3, 2, two),
        Loop { reverse: true, ..one("several backwards", several, 3, 2, two) },
        one("exchanged", exchanged, 2, 1, swapped),
        one("counted", counted, 3, 0, counters),
        one("nested", nested, 1, 1, inside),
        one("squared", squared, 1, 0, |_| seeded(&[&[8, 8]], 57)),
    ]
}

/// A scalar of all float results, of which no derivative is constant.
fn loss(results: &[Tensor]) -> Tensor {
    let one = |(at, y): (u64, &Tensor)| (like(y, at) * y + like(y, at + 50) * y * y).sum();
    let sums = (1..).zip(results.iter().filter(|y| y.dtype().is_float())).map(one);
    sums.reduce(|a, b| a + b).unwrap_or_else(|| Tensor::from_slice(&[0.0f64], []))
}

fn floats(x: &[Tensor]) -> Vec<&Tensor> {
    x.iter().filter(|x| x.dtype().is_float()).collect()
}

pub type Make = fn(&Loop, usize, &[Tensor]) -> Result<Vec<Tensor>>;

/// Everything that must not depend on how the loop is recorded.
fn everything(one: &Loop, length: usize, x: &[Tensor], make: Make) -> Result<Vec<(&'static str, Tensor)>> {
    let results = make(one, length, x)?;
    let mut all: Vec<(&'static str, Tensor)> = results.iter().map(|y| ("value", y.clone())).collect();
    let loss = loss(&results);
    let wrt = floats(x);
    let gradients = loss.grad_or_zeros(&wrt)?;
    all.extend(gradients.iter().map(|g| ("gradient", g.clone())));
    let along: Vec<Tensor> = wrt.iter().zip(80..).map(|(x, seed)| like(x, seed)).collect();
    let along: Vec<&Tensor> = along.iter().collect();
    all.push(("tangent", jvp(&[&loss], &wrt, &along)?.remove(0)));
    let inner = gradients.iter().zip(&along).map(|(g, u)| (g * *u).sum()).reduce(|a, b| a + b);
    let inner = inner.unwrap_or_else(|| loss.clone());
    all.extend(inner.grad_or_zeros(&wrt)?.into_iter().map(|h| ("reverse over reverse", h)));
    all.push(("forward over reverse", jvp(&[&inner], &wrt, &along)?.remove(0)));
    let tangent = jvp(&[&loss], &wrt, &along)?.remove(0);
    all.extend(tangent.grad_or_zeros(&wrt)?.into_iter().map(|h| ("reverse over forward", h)));
    Ok(all)
}

#[test]
fn scans_equal_the_same_steps_unrolled_to_second_order() {
    for one in loops() {
        for length in [1, 2, 5] {
            let x = (one.inputs)(length);
            let got = everything(&one, length, &x, scanned).unwrap();
            let want = everything(&one, length, &x, unrolled).unwrap();
            assert_eq!(got.len(), want.len());
            for (at, ((what, got), (_, want))) in got.iter().zip(&want).enumerate() {
                let what = format!("{} of {length}: {what}, number {at}", one.name);
                assert_eq!(got.ty(), want.ty(), "{what}");
                agree(&what, &eval(got), &eval(want), 1e-12).unwrap();
                agree(&format!("{what}, reference"), &oracle(got), &oracle(want), 1e-12).unwrap();
            }
        }
    }
}

#[test]
fn gradients_equal_differences() {
    for one in loops() {
        let x = (one.inputs)(4);
        let value = |x: &[Tensor]| loss(&scanned(&one, 4, x).unwrap());
        for (k, own) in x.iter().enumerate().filter(|(_, x)| x.dtype().is_float()) {
            let gradient = value(&x).grad_or_zeros(&[own]).unwrap().remove(0);
            agree(&format!("{}, input {k}", one.name), &eval(&gradient), &numeric_gradient(&x, k, &value), 1e-7).unwrap();
        }
    }
}

/// No steps: the carries are what they were at the start, and so are their derivatives.
#[test]
fn no_steps_change_nothing() {
    for one in loops() {
        let x = (one.inputs)(0);
        let results = scanned(&one, 0, &x).unwrap();
        for (at, y) in results.iter().enumerate() {
            let want = if at < one.carries { eval(&x[at]) } else { Vec::new() };
            assert_eq!((eval(y), oracle(y)), (want.clone(), want), "{}", one.name);
            if at >= one.carries {
                assert_eq!(y.shape()[0], 0);
            }
        }
        let wrt: Vec<usize> = (0..x.len()).filter(|&k| x[k].dtype().is_float()).collect();
        let own: Vec<&Tensor> = wrt.iter().map(|&k| &x[k]).collect();
        let gradients = loss(&results).grad_or_zeros(&own).unwrap();
        let plain = loss(&x[..one.carries]).grad_or_zeros(&own).unwrap();
        for (k, (got, want)) in wrt.iter().zip(gradients.iter().zip(&plain)) {
            assert_eq!(eval(got), eval(want), "{}, input {k}", one.name);
        }
    }
}

/// f32, and f16, in which every step is rounded: the reference says how.
#[test]
fn other_types_are_computed_in_their_own_precision() {
    let one = &loops()[0];
    for (dtype, within) in [(DType::F32, 1e-6), (DType::F16, 2e-3), (DType::BF16, 2e-2)] {
        let x: Vec<Tensor> = (one.inputs)(6).iter().map(|x| x.cast(dtype).to_leaf().unwrap()).collect();
        for (got, want) in scanned(one, 6, &x).unwrap().iter().zip(unrolled(one, 6, &x).unwrap()) {
            assert_eq!(got.ty(), want.ty());
            agree(dtype.name(), &eval(got), &oracle(&want), within).unwrap();
            agree(dtype.name(), &oracle(got), &oracle(&want), 1e-12).unwrap();
        }
    }
}

#[test]
fn a_cotangent_of_one_result_alone_is_enough() {
    let one = &loops()[0];
    let x = (one.inputs)(5);
    let (got, want) = (scanned(one, 5, &x).unwrap(), unrolled(one, 5, &x).unwrap());
    for k in 0..got.len() {
        let seed = like(&got[k], 3);
        let back = |y: &Tensor| vjp(&[y], &[&seed], &floats(&x)).unwrap();
        for (got, want) in back(&got[k]).iter().zip(back(&want[k])) {
            agree(&format!("result {k}"), &eval(got), &eval(&want), 1e-12).unwrap();
        }
    }
}

#[test]
fn a_map_is_a_loop_over_parts() {
    let (x, w) = (random(&[4, 3], 1), random(&[3], 2));
    let y = map(&[&x], |x| Ok(vec![(&x[0] * &w).sin(), x[0].sum()])).unwrap();
    let want = (&x * &w).sin();
    agree("values", &eval(&y[0]), &eval(&want), 1e-13).unwrap();
    agree("sums", &eval(&y[1]), &eval(&x.sum_over(&[1])), 1e-13).unwrap();
    let (got, want) = (loss(&y[..1]).grad(&[&x, &w]).unwrap(), loss(&[want]).grad(&[&x, &w]).unwrap());
    got.iter().zip(&want).for_each(|(got, want)| agree("gradient", &eval(got), &eval(want), 1e-12).unwrap());
}

#[test]
fn a_loop_over_numbers_counts_from_its_first_to_before_its_last() {
    let x = Tensor::from_slice(&[0.5f64], []);
    let polynomial =
        |from, to| fori_loop(from, to, &[&Tensor::from_slice(&[0.0f64], [])], |i, sum| Ok(vec![&sum[0] * &x + i.cast(DType::F64)]));
    assert_eq!(polynomial(-1, 3).unwrap()[0].item().unwrap(), ((-0.5 + 0.0) * 0.5 + 1.0) * 0.5 + 2.0);
    assert_eq!(polynomial(3, 3).unwrap()[0].item().unwrap(), 0.0);
    assert_eq!(polynomial(3, -3).unwrap()[0].item().unwrap(), 0.0);
    // d/dx of -x^3 + x + 2.
    assert_eq!(polynomial(-1, 3).unwrap()[0].grad(&[&x]).unwrap()[0].item().unwrap(), -3.0 * 0.25 + 1.0);
}
