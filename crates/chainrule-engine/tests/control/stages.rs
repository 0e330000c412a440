//! What the compiler takes out of loops: products before and after the steps, in blocks of steps, results of several types.

use crate::costs::programs;
use crate::scans::{Loop, refs, scanned, unrolled};
use crate::support::{agree, eval, like, random};
use chainrule_engine::compile::kernel::{Control, Kernel};
use chainrule_engine::functions::{Cell, CellWeights, ScanOptions, Sequence, cond, host_call, map, recurrent, scan, while_loop};
use chainrule_engine::ops::{HostArray, HostFunction};
use chainrule_engine::tensor::Shape;
use chainrule_engine::transform::{jvp, vmap};
use chainrule_engine::{DType, Options, Result, Runtime, Step, Tensor};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So wide that few steps fill a block.
const WIDE: usize = 16_000;

/// Products of the part alone, of the carry, and of the next carry for a result.
fn network(c: &[Tensor], x: &[Tensor], w: &[Tensor]) -> (Vec<Tensor>, Vec<Tensor>) {
    let next = (x[0].matmul(&w[0]) + &c[0]).sin();
    let narrow = next.matmul(&w[1]);
    (vec![&next * 0.5], vec![narrow.tanh(), x[0].matmul(&w[2])])
}

/// Carries that are only added to, each in another way: a product of two that vary, turned; one of one that does not; a
/// sum over axes; the same sum again; what is no contraction; two terms; one that is a result, too; and beside another a product that the
/// state needs besides.
fn sums(c: &[Tensor], x: &[Tensor], w: &[Tensor]) -> (Vec<Tensor>, Vec<Tensor>) {
    let state = (&c[0] * &w[1] + &x[0]).sin();
    let needed = c[0].t().matmul(&x[0]);
    let outer = state.t().matmul(&x[0]);
    let total = state.sum_over(&[0]);
    let running = &c[6] + state.sum();
    let next = vec![
        &state + &needed * 0.1,
        &c[1] + outer.t(),
        &c[2] + state.matmul(&w[0]),
        &c[3] + &total,
        &total + &c[4],
        (&c[5] + &state * 2.0) + x[0].t().matmul(&x[0]).matmul(&w[0]).reshape([2, 2]).slice(0, ..2).matmul(&state),
        running.clone(),
        &c[7] + &c[7] * 0.1,
        &c[8] + needed + state.matmul(&w[0]),
    ];
    (next, vec![running, state.exp()])
}

/// A loop in a loop, and a branch, that read products of the part.
fn inside(c: &[Tensor], x: &[Tensor], w: &[Tensor]) -> (Vec<Tensor>, Vec<Tensor>) {
    let seen = x[0].matmul(&w[0]);
    let inner = |c: &[Tensor], _: &[Tensor]| Ok((vec![(&c[0] * 0.5 + &seen).sin()], vec![]));
    let end = scan(&refs(c), &[], ScanOptions { length: Some(2), reverse: false }, inner).unwrap().0.remove(0);
    let on = end.sum().greater(&Tensor::from_slice(&[0.0f64], []));
    let next = cond(&on, &[&end], |e| Ok(vec![&e[0] * &seen]), |e| Ok(vec![e[0].matmul(&w[1])])).unwrap();
    (next, vec![end.matmul(&w[1])])
}

/// No carry at all: nothing is left of the loop.
fn alone(_: &[Tensor], x: &[Tensor], w: &[Tensor]) -> (Vec<Tensor>, Vec<Tensor>) {
    (vec![], vec![x[0].matmul(&w[0]).sin().matmul(&w[1]), x[0].exp()])
}

fn seeded(shapes: &[&[usize]], seed: u64) -> Vec<Tensor> {
    shapes.iter().zip(seed..).map(|(shape, seed)| random(shape, seed)).collect()
}

fn loops() -> Vec<Loop> {
    let wide: fn(usize) -> Vec<Tensor> = |n| seeded(&[&[1, WIDE], &[n, 1, 3], &[3, WIDE], &[WIDE, 2], &[3, 2]], 7);
    let added: fn(usize) -> Vec<Tensor> =
        |n| seeded(&[&[2, 2], &[2, 2], &[2, 2], &[2], &[2], &[2, 2], &[], &[], &[2, 2], &[n, 2, 2], &[2, 2], &[2, 2]], 17);
    let nested: fn(usize) -> Vec<Tensor> = |n| seeded(&[&[2, 2], &[n, 2, 2], &[2, 2], &[2, 2]], 37);
    let mapped: fn(usize) -> Vec<Tensor> = |n| seeded(&[&[n, 2, 3], &[3, 4], &[4, 2]], 47);
    let one = |name, step, carries, inputs| Loop { name, step, carries, sequences: 1, inputs, reverse: false };
    vec![
        one("network", network as crate::scans::Step, 1, wide),
        Loop { reverse: true, ..one("network backwards", network, 1, wide) },
        one("sums", sums, 9, added),
        Loop { reverse: true, ..one("sums backwards", sums, 9, added) },
        one("inside", inside, 1, nested),
        one("alone", alone, 0, mapped),
    ]
}

fn loss(results: &[Tensor]) -> Tensor {
    let one = |(at, y): (u64, &Tensor)| (like(y, at) * y + y.square() * 0.1).sum();
    (1..).zip(results).map(one).reduce(|a, b| a + b).unwrap()
}

type Make = fn(&Loop, usize, &[Tensor]) -> Result<Vec<Tensor>>;

/// Values, gradients, a tangent and products with the second derivative.
fn everything(one: &Loop, length: usize, x: &[Tensor], make: Make) -> Result<Vec<Tensor>> {
    let results = make(one, length, x)?;
    let loss = loss(&results);
    let wrt: Vec<&Tensor> = x.iter().collect();
    let gradients = loss.grad_or_zeros(&wrt)?;
    let along: Vec<Tensor> = x.iter().zip(80..).map(|(x, seed)| like(x, seed)).collect();
    let tangent = jvp(&[&loss], &wrt, &along.iter().collect::<Vec<_>>())?.remove(0);
    let inner = gradients.iter().zip(&along).map(|(g, u)| (g * u).sum()).reduce(|a, b| a + b).unwrap();
    let second = inner.grad_or_zeros(&wrt)?;
    Ok([results, gradients, vec![tangent], second].concat())
}

/// Of lengths that are less than a block, several blocks, and several with a rest.
#[test]
fn loops_in_stages_equal_the_same_steps_unrolled_to_second_order() {
    for one in loops() {
        for length in [2, 9, 16, 19] {
            let x = (one.inputs)(length);
            let got = everything(&one, length, &x, scanned).unwrap();
            let want = everything(&one, length, &x, unrolled).unwrap();
            for (at, (got, want)) in got.iter().zip(&want).enumerate() {
                agree(&format!("{} of {length}, number {at}", one.name), &eval(got), &eval(want), 1e-10).unwrap();
            }
        }
    }
}

#[test]
fn batches_of_loops_in_stages_equal_those_of_unrolled_ones() {
    for one in loops().iter().skip(2) {
        let x = (one.inputs)(4);
        for k in 0..x.len() {
            let axes: Vec<Option<usize>> = (0..x.len()).map(|at| (at == k || at == x.len() - 1).then_some(0)).collect();
            let twice = |(x, axis): (&Tensor, &Option<usize>)| match axis {
                Some(_) => Tensor::stack(&[x, &like(x, 5)], 0),
                None => x.clone(),
            };
            let wide: Vec<Tensor> = x.iter().zip(&axes).map(twice).collect();
            let all = |make: Make| {
                let one_of = |x: &[Tensor]| {
                    let results = make(one, 4, x)?;
                    let gradients = loss(&results).grad_or_zeros(&x.iter().collect::<Vec<_>>())?;
                    Ok([results, gradients].concat())
                };
                vmap(one_of, &wide.iter().collect::<Vec<_>>(), &axes).unwrap()
            };
            for (at, (got, want)) in all(scanned).iter().zip(&all(unrolled)).enumerate() {
                agree(&format!("{}, {axes:?}, number {at}", one.name), &eval(got), &eval(want), 1e-11).unwrap();
            }
        }
    }
}

/// With and without the passes, in other types: products before the steps round as they did at each.
#[test]
fn other_types_are_what_they_were() {
    let runtime = Runtime::new(2).unwrap();
    let plain = runtime.with_options(Options { simplify: false, ..runtime.options() });
    for (dtype, within) in [(DType::F32, 1e-5), (DType::F16, 4e-3), (DType::BF16, 3e-2)] {
        let one = &loops()[5];
        let x: Vec<Tensor> = (one.inputs)(6).iter().map(|x| x.cast(dtype).to_leaf().unwrap()).collect();
        let results = scanned(one, 6, &x).unwrap();
        let run = |runtime: &Runtime| {
            let mut step = Step::capture_on(runtime, &[], &results.iter().collect::<Vec<_>>(), &[]).unwrap();
            step.run(&[]).unwrap();
            (0..results.len()).flat_map(|at| eval(&step.output(at))).collect::<Vec<_>>()
        };
        agree(dtype.name(), &run(&runtime), &run(&plain), within).unwrap();
    }
}

/// All loops of a program, those inside of others after them.
fn controls(kernels: &[Kernel]) -> Vec<&Control> {
    let mut found = Vec::new();
    for kernel in kernels {
        if let Kernel::Control(control) = kernel {
            found.push(&**control);
            control.bodies.iter().for_each(|body| found.extend(controls(&body.kernels.kernels)));
        }
    }
    found
}

fn products(kernels: &[Kernel]) -> usize {
    kernels.iter().filter(|kernel| matches!(kernel, Kernel::Contract(_))).count()
}

fn captured(outputs: &[&Tensor]) -> Step {
    Step::capture_on(&Runtime::new(1).unwrap(), &[], outputs, &[]).unwrap()
}

/// One product for each step there, with the state, and one back: those of inputs and of weights' gradients are outside.
#[test]
fn a_recurrent_network_has_one_product_for_each_step_and_way() {
    let (n, inputs, units) = (4, 8, 8);
    for cell in [Cell::RnnTanh, Cell::Lstm, Cell::Gru] {
        let rows = cell.gates() * units;
        let leaf = |shape: &[usize], seed| random(shape, seed).cast(DType::F32).to_leaf().unwrap();
        let mut weights = CellWeights::new(leaf(&[rows, inputs], 1), leaf(&[rows, units], 2));
        weights.input_bias = Some(leaf(&[rows], 3));
        weights.hidden_bias = Some(leaf(&[rows], 4));
        let x = leaf(&[20, n, inputs], 5);
        let (y, _) = recurrent(cell, &x, None, &weights, &Sequence::default());
        let wrt = [&x, &weights.input, &weights.hidden].into_iter().chain(&weights.input_bias).chain(&weights.hidden_bias);
        let gradients = y.square().sum().grad(&wrt.collect::<Vec<_>>()).unwrap();
        let step = captured(&[&[&y], &gradients.iter().collect::<Vec<_>>()[..]].concat());
        let found = controls(&step.program().kernels.kernels);
        let each: Vec<usize> = found.iter().map(|control| products(&control.bodies[0].kernels.kernels)).collect();
        assert_eq!(each, [1, 1], "{cell:?}");
        // What is the gradient of a bias is no carry, either.
        let carried: Vec<usize> = found.iter().map(|control| control.carried.len()).collect();
        let states = if cell == Cell::Lstm { 2 } else { 1 };
        assert_eq!(carried, [states; 2], "{cell:?}");
        assert_eq!(products(&step.program().kernels.kernels), 4, "{cell:?}");
    }
}

/// A loop whose results are of two types runs once, also where another one keeps its carries, and branches do.
#[test]
fn a_loop_with_results_of_two_types_runs_once() {
    let x = random(&[6, 2], 3);
    let step = |c: &[Tensor], x: &[Tensor]| {
        let next = (&c[0] * &x[0]).sin();
        let over = next.greater(&c[0]);
        Ok((vec![next.clone(), &c[1] + &Tensor::from(1i64)], vec![next.clone(), over, next.argmax(0)]))
    };
    let (last, results) = scan(&[&random(&[2], 1), &Tensor::from(0i64)], &[&x], ScanOptions::default(), step).unwrap();
    let gradient = last[0].sum().grad(&[&x]).unwrap().remove(0);
    let all = [&last[0], &last[1], &results[0], &results[1], &results[2]];
    assert_eq!(programs(&captured(&all)), 1);
    assert_eq!(programs(&captured(&[&all[..], &[&gradient]].concat())), 2);
    let on = Tensor::from(true);
    let branch = |x: &[Tensor]| Ok(vec![x[0].sin(), x[0].argmax(1)]);
    let chosen = cond(&on, &[&x], branch, |x| Ok(vec![x[0].cos(), x[0].argmax(1)])).unwrap();
    assert_eq!(programs(&captured(&[&chosen[0], &chosen[1]])), 1);
    let going = |c: &[Tensor]| Ok(c[1].less(&Tensor::from(5i64)));
    let more = |c: &[Tensor]| Ok(vec![c[0].sin(), &c[1] + &Tensor::from(1i64)]);
    let ended = while_loop(going, more, &[&x, &Tensor::from(0i64)], None).unwrap();
    assert_eq!(programs(&captured(&[&ended[0], &ended[1]])), 1);
    assert_eq!((eval(&last[1]), eval(&ended[1])), (vec![6.0], vec![5.0]));
}

/// How often it is called.
struct Counting(Arc<AtomicUsize>);

impl HostFunction for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn infer(&self, shapes: &[&[usize]]) -> std::result::Result<Shape, String> {
        Ok(shapes[0].into())
    }

    fn evaluate(&self, inputs: &[HostArray<'_, f64>], output: &mut [f64]) -> std::result::Result<(), String> {
        self.0.fetch_add(1, Ordering::Relaxed);
        output.copy_from_slice(inputs[0].values);
        Ok(())
    }
}

/// A function of the host is called once for each step, whatever is made of it and however many types of results there are.
#[test]
fn a_function_of_the_host_is_called_once_for_each_step() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (x, w) = (random(&[7, 2, 2], 3), random(&[2, 2], 4));
    let step = |c: &[Tensor], x: &[Tensor]| {
        let seen = host_call(Counting(calls.clone()), &[&x[0]], 0);
        let next = (&c[0] + seen.matmul(&w)).sin();
        Ok((vec![next.clone()], vec![seen.matmul(&w), next.argmax(0), next]))
    };
    let (last, results) = scan(&[&random(&[2, 2], 1)], &[&x], ScanOptions::default(), step).unwrap();
    let mut step = captured(&[&last[0], &results[0], &results[1], &results[2]]);
    step.run(&[]).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 7);
    agree("products", &eval(&step.output(1)), &eval(&x.matmul(&w)), 1e-12).unwrap();
}

/// Results are written where they are wanted, a carry that is only read where it is written over itself.
#[test]
fn nothing_is_copied_around_a_loop() {
    let x = random(&[5, 3], 1);
    let step = |c: &[Tensor], x: &[Tensor]| {
        let next = &c[0] * 0.5 + x[0].sin();
        Ok((vec![next.clone(), &c[2] + &c[1], c[1].clone()], vec![next, x[0].exp()]))
    };
    let (last, results) = scan(&[&random(&[3], 2), &random(&[3], 3), &random(&[3], 4)], &[&x], ScanOptions::default(), step).unwrap();
    let step = captured(&[&results[1], &last[0], &results[0], &last[1], &last[2]]);
    let kernels = &step.program().kernels.kernels;
    let [Kernel::Control(control)] = &kernels[..] else { panic!("{}", step.program().kernels.print()) };
    let own: Vec<bool> = control.carried.iter().map(|places| places[0] == places[1]).collect();
    assert_eq!(own, [true, false, false]);
}

/// `map` of products alone is one product.
#[test]
fn a_map_of_products_is_no_loop() {
    let (x, w) = (random(&[9, 2, 3], 1), random(&[3, 4], 2));
    let y = map(&[&x], |x| Ok(vec![x[0].matmul(&w).tanh()])).unwrap().remove(0);
    let step = captured(&[&y]);
    assert_eq!((programs(&step), products(&step.program().kernels.kernels)), (0, 1));
    agree("values", &eval(&y), &eval(&x.matmul(&w).tanh()), 1e-13).unwrap();
}

/// Weights that change between runs are packed again: operands are kept from step to step, not from run to run.
#[test]
fn what_is_packed_for_a_loop_is_packed_again_in_the_next_run() {
    let (w, x) = (Tensor::placeholder([64, 256], DType::F32), Tensor::placeholder([12, 32, 64], DType::F32));
    let cell = |w: &Tensor, c: &Tensor, x: &Tensor| (c.matmul(w).slice(1, ..64) + x).tanh();
    let init = Tensor::zeros([32, 64]);
    let looped = scan(&[&init], &[&x], ScanOptions::default(), |c, x| Ok((vec![cell(&w, &c[0], &x[0])], vec![]))).unwrap().0.remove(0);
    let plain = (0..12).fold(init.clone(), |c, at| cell(&w, &c, &x.index(0, at)));
    let mut step = Step::capture_on(&Runtime::new(2).unwrap(), &[&w, &x], &[&looped, &plain], &[]).unwrap();
    for seed in 1..4 {
        let [w, x] = [random(&[64, 256], seed), random(&[12, 32, 64], seed + 9)].map(|x| (x.cast(DType::F32) * 0.2).to_leaf().unwrap());
        step.run(&[&w, &x]).unwrap();
        agree("looped and unrolled", &eval(&step.output(0)), &eval(&step.output(1)), 1e-5).unwrap();
    }
}
